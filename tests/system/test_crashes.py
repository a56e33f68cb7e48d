"""Five kills on each durable database; `python -m tests.campaigns.crash` is the campaign of hundreds."""

from __future__ import annotations

import pytest

from tests.campaigns.crash import run_campaign


@pytest.mark.timeout(300)  # it starts some twenty processes, on a machine that may be busy
@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_of_real_processes_any_may_be_killed_at_any_moment_and_nothing_is_lost_or_counted_twice(backend: str) -> None:
    differences, figures = run_campaign(backend, kills=5, seed=3, envelopes=700, pause_max=0.2)
    assert differences == []
    assert figures["kills in all"] == 5
