"""Kills of an erasure on each durable database; `python -m tests.campaigns.forgetting` is the campaign of more."""

from __future__ import annotations

from tests.campaigns.forgetting import run_campaign
from tests.conftest import Place


def test_an_erasure_that_is_killed_at_any_moment_is_whole_or_has_not_been(durable_place: Place) -> None:
    differences, figures = run_campaign(durable_place.url, durable_place.schema, kills=3, seed=2)
    assert differences == []
    assert figures["kills"] == 3
