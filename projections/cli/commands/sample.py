"""`appointments sample`: prints made-up envelopes."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from projections.cli.sample import sample_envelopes


def sample(
    events: Annotated[int, typer.Option("--events", min=0, metavar="N", help="How many envelopes.")] = 1000,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="The same seed gives the same envelopes.")] = 0,
) -> None:
    """Prints realistic envelopes as JSON Lines, the same for the same seed."""
    out = sys.stdout.buffer
    for envelope in sample_envelopes(events, seed=seed):
        out.write(envelope.encode() + b"\n")
    out.flush()
