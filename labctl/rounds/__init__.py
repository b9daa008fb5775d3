"""Events and rules of a round make points. Pure: nothing is read, asked or written here."""
