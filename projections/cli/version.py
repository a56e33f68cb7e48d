"""The option --version."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer


def _print_version(is_asked: bool) -> None:
    if is_asked:
        print(f"appointments {version('appointments')}")  # noqa: T201
        raise typer.Exit


def version_option(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Declares the options that stand before a command."""
