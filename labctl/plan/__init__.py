"""From a topology and a team to every name, address, MAC and UUID of a lab. Pure: no input, no output."""
