"""What stands before a command."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer


def _print_version(is_asked: bool) -> None:
    if is_asked:
        print(f"appointments {version('appointments')}")  # noqa: T201
        raise typer.Exit


def before_the_command(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Takes what stands before the command."""
