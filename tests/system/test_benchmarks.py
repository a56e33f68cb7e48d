from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.benchmarks import workers
from tests.benchmarks.__main__ import main
from tests.benchmarks.figures import Figure
from tests.benchmarks.plots import draw

SHORT = ("--events", "300", "--sizes", "200", "--runs", "1")


@pytest.mark.parametrize(
    ("part", "backend", "beside"),
    [
        ("feeding", "sqlite", {"append"}),
        ("asking", "sqlite", {"schedule of 50, 200 envelopes, median"}),
        ("serving", "sqlite", {"intake in requests of 100"}),
        ("workers", "sqlite", {"their share of time in the database, 2 workers"}),
        ("rebuilding", "postgresql", {"rebuild"}),
        ("growth", "sqlite", set()),
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


def test_rivals_stand_beside_every_rate_and_as_json_nothing_else_is_printed(
    capfd: pytest.CaptureFixture[str],
) -> None:
    figures = main(["feeding", "--backends", "sqlite", "--json", *SHORT])
    [append, catch_up] = [one for one in figures if one.unit == "envelopes/s"]
    assert set(append.rivals) == {"library, save()", "library, save(*100)", "script"}
    assert set(catch_up.rivals) == {"script"}
    document = json.loads(capfd.readouterr().out)
    assert [(one["what"], one["ours"]) for one in document] == [(one.what, one.ours) for one in figures]


def test_pictures_are_drawn_of_the_figures_on_postgresql(tmp_path: Path) -> None:
    compared = Figure("append", "postgresql", "envelopes/s", 3.0, 4.0, {"script": 2.0})
    growing = [
        Figure("append, 10", "postgresql", "µs an envelope", 30.0, events=10),
        Figure("append", "sqlite", "s", 1),
    ]
    drawn = draw([compared, *growing], tmp_path / "plots")
    assert [path.name for path in drawn] == ["throughput.png", "growth.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in drawn)
