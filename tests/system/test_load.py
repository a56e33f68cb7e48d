"""Two seconds of writers, followers and readers; `python -m tests.campaigns.load` is the campaign of minutes."""

from __future__ import annotations

from tests.campaigns.load import run_load


def test_under_writers_followers_and_readers_every_answer_is_right_and_the_lag_goes_back_to_zero() -> None:
    errors, figures = run_load(seconds=2, rate=2000)
    assert errors == []
    assert figures["lag at the end, events"] == "0"
    assert {"talent", "page", "coach", "as of", "changes"} <= {name.partition(",")[0] for name in figures}
