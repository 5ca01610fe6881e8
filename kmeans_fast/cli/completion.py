"""What completes the command line in a shell, as shtab writes it."""

from __future__ import annotations

import argparse

FILES = {"pictures", "picture", "output", "palette", "report", "scene"}


def complete(shell: str, parser: argparse.ArgumentParser) -> str:
    """Return a script for bash, zsh or fish; shtab is needed to make it, not to complete."""
    try:
        import shtab
    except ImportError:
        raise ImportError(
            "--print-completion needs shtab: pip install 'kmeans_fast[completion]'"
        ) from None
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                command.description = None  # but the line that is their help
                for each in command._actions:
                    if each.dest in FILES:
                        each.complete = shtab.FILE  # which shtab looks for
    return str(shtab.complete(parser, shell))
