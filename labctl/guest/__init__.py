"""What is asked of a guest, whatever the way in: run a command, put, read and look at a file."""

from labctl.guest.files import File, put_script
from labctl.guest.guest import Command, Guest, Result, shell_line, shortened

__all__ = ["Command", "File", "Guest", "Result", "put_script", "shell_line", "shortened"]
