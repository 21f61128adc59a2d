"""The command `oplead-sync`: what it takes, what it prints, and the exit code it ends with."""

from jobs.cli.app import main

__all__ = ["main"]
