from __future__ import annotations

import pytest

from tests.benchmarks import workers
from tests.benchmarks.__main__ import main

SHORT = ("--events", "300", "--sizes", "200", "--runs", "1")


@pytest.mark.parametrize(
    ("part", "backend", "beside"),
    [
        ("feeding", "sqlite", {"append"}),
        ("asking", "sqlite", {"schedule of 50, 200 envelopes, median"}),
        ("serving", "sqlite", {"intake in requests of 100"}),
        ("workers", "sqlite", {"their share of time in the database, 2 workers"}),
        ("rebuilding", "postgresql", {"rebuild"}),
        ("cpu", "sqlite", {"contract, of json.loads", "history to rows, of json.loads"}),
    ],
)
def test_a_benchmark_measures_and_shows_what_it_measured(
    part: str, backend: str, beside: set[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "COUNTS", (2,))  # a worker takes seconds to start
    figures = main([part, "--backends", backend, *SHORT])
    assert all(figure.ours > 0 for figure in figures)
    assert beside <= {figure.what for figure in figures if figure.floor}
    shown = capsys.readouterr().out
    assert all(figure.what in shown for figure in figures)
