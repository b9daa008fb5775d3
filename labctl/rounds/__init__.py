"""Rounds of the challenge: events and rules make points. Pure: nothing is read, asked or written here."""
