"""Pictures of the figures: throughput beside the rivals, and what an envelope costs by size of the history."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.figures import Figure

_OURS, _OTHERS, _FLOOR = "#1f5fa8", "#b9c2cc", "#e0a030"


def draw(figures: Sequence[Figure], folder: Path) -> list[Path]:
    """Writes the pictures for which there are figures on PostgreSQL, and returns where they are."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    ours = [one for one in figures if one.backend == "postgresql"]
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    if compared := [one for one in ours if one.rivals and one.unit == "envelopes/s" and "," not in one.what]:
        drawn.append(_throughput(plt, compared, folder / "throughput.png"))
    if growing := [one for one in ours if one.events]:
        drawn.append(_growth(plt, growing, folder / "growth.png"))
    return drawn


def _throughput(pyplot: Any, figures: Sequence[Figure], path: Path) -> Path:
    picture, areas = pyplot.subplots(len(figures), 1, figsize=(9, 2.4 * len(figures)), squeeze=False)
    for area, figure in zip(areas[:, 0], figures, strict=True):
        bars = {"appointments": figure.ours} | ({"floor": figure.floor} if figure.floor else {}) | dict(figure.rivals)
        colours = [_OURS, *([_FLOOR] if figure.floor else []), *[_OTHERS] * len(figure.rivals)]
        drawn = area.barh(list(bars), list(bars.values()), color=colours)
        area.bar_label(drawn, [f"{value:,.0f}" for value in bars.values()], padding=3)
        area.set_title(f"{figure.what}, envelopes a second", loc="left", fontsize=10)
        area.set_xlim(0, 1.15 * max(bars.values()))
        area.invert_yaxis()
        area.spines[["top", "right"]].set_visible(False)
    return _saved(pyplot, picture, path)


def _growth(pyplot: Any, figures: Sequence[Figure], path: Path) -> Path:
    picture, area = pyplot.subplots(figsize=(9, 3.6))
    for what in dict.fromkeys(one.what.split(",")[0] for one in figures):
        points = [(one.events, one.ours) for one in figures if one.what.startswith(what)]
        area.plot(*zip(*points, strict=True), marker="o", label=what)
    area.set_xscale("log")
    area.set_ylim(bottom=0)
    area.set_xlabel("envelopes in the history")
    area.set_title("microseconds an envelope", loc="left", fontsize=10)
    area.legend(frameon=False)
    area.spines[["top", "right"]].set_visible(False)
    return _saved(pyplot, picture, path)


def _saved(pyplot: Any, picture: Any, path: Path) -> Path:
    picture.tight_layout()
    picture.savefig(path, dpi=110, metadata={"Software": None})
    pyplot.close(picture)
    return path
