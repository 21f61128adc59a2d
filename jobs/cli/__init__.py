"""The `oplead-sync` command: arguments, output and exit codes."""

from jobs.cli.app import main

__all__ = ["main"]
