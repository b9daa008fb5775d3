"""The classroom's SSH server: the only room that uses asyncssh."""
