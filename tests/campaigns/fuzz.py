"""The fuzzer: inputs that reach ever more of the code, each held to what must be so of any input.

    pip install -e '.[dev,fuzz]'
    python -m tests.campaigns.fuzz --seconds 1500 --seed 1

It begins with the files of tests/data/fuzz_corpus. A finding is printed with the input that shows it, and the exit
status is then 1. Beside the oracle of `tests/support/every_byte.py` it asks about bytes, text and object,
and folds in several orders.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import traceback
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from projections import Appointments
from tests import DATA
from tests.campaigns.processes import end_on_sigterm

CORPUS = DATA / "fuzz_corpus"
INPUT_BYTES_MAX = 4096
INPUT_SECONDS_MAX = 30
MEMORY_MIB_MAX = 2048
FINDINGS_MAX = 20
ITEM_BYTES = (16 * 1024 * 1024, 16 * 1024 * 1024, 1024, 300)
CHUNK_BYTES = (65_536, 1000, 7, 1)

WORDS = (
    "id", "createdAt", "eventName", "eventData", "version", "appointment", "talentId", "coachId", "status", "title",
    "description", "startDate", "endDate", "appointmentType", "subphaseId", "talentBlockId", "canceledBy",
    "cancelationReason", "cancelationExplanation", "updatedAt", "deletedAt", "VCSessionScheduledEvent", "PLANNED",
    "DONE", "CANCELED", "STANDALONE", "COACH", "OTHER", "2023-07-10T09:00:00Z", "null", "true", "NaN", "Infinity",
    "1e999", "9223372036854775807", "\\\\u0000", "\\\\ud83d", "\\xef\\xbb\\xbf", "\\xed\\xa0\\x80", "\\x0d\\x0a",
)  # fmt: skip


def check(content: bytes) -> None:
    """Asserts everything; how the input is cut, and what is too large, depend on the input alone."""
    from tests.support.every_byte import check_bytes, check_door, check_fold

    digest = zlib.crc32(content)
    with Appointments.open("memory:fuzz") as appointments:
        events = appointments.events
        check_bytes(events, content, item_bytes_max=ITEM_BYTES[digest % 4], chunk_bytes=CHUNK_BYTES[digest // 4 % 4])
        check_fold(events)
    for item in content.splitlines():
        check_door(item)


class Findings:
    """Inputs for which something did not hold; one for each place where that showed."""

    def __init__(self, folder: Path, checked: Callable[[bytes], None]) -> None:
        self._folder = folder
        self._checked = checked
        self._places: set[tuple[str, int | None]] = set()

    def examine(self, content: bytes) -> None:
        """Checks one input and notes what it shows, so that the search goes on."""
        try:
            self._checked(content)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            last = traceback.extract_tb(error.__traceback__)[-1]
            if (place := (last.filename, last.lineno)) not in self._places and len(self._places) < FINDINGS_MAX:
                self._places.add(place)
                name = self._folder / f"finding-{len(self._places)}"
                name.with_suffix(".input").write_bytes(content)
                name.with_suffix(".txt").write_text("".join(traceback.format_exception(error)), "utf-8")


def search(folder: Path, *, seconds: int, seed: int) -> None:
    """Searches in this process, which ends with the search."""
    import atheris

    with atheris.instrument_imports(include=["domain", "projections.cli.explanation"]):
        import tests.support.every_byte  # noqa: F401

    grown = folder / "corpus"
    grown.mkdir(parents=True)
    words = folder / "words"
    words.write_text("".join(f'"{word}"\n' for word in WORDS), "ascii")
    options = {
        "max_total_time": seconds, "seed": seed, "max_len": INPUT_BYTES_MAX, "timeout": INPUT_SECONDS_MAX,
        "rss_limit_mb": MEMORY_MIB_MAX, "dict": words, "artifact_prefix": f"{folder}/finding-",
        "print_final_stats": 1,
    }  # fmt: skip
    arguments = [sys.argv[0], *(f"-{name}={value}" for name, value in options.items()), str(grown), str(CORPUS)]
    atheris.Setup(arguments, Findings(folder, check).examine)
    atheris.Fuzz()


def run_search(*, seconds: int, seed: int) -> tuple[dict[str, str], list[str]]:
    """Searches in a process of its own; returns the figures and the findings."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        folder = Path(name)
        command = [sys.executable, "-m", "tests.campaigns.fuzz", "--seconds", str(seconds), "--seed", str(seed)]
        done = subprocess.run([*command, "--folder", name], capture_output=True, check=False)
        said = done.stderr.decode("utf-8", "replace")
        statistics = dict(re.findall(r"stat::(\w+):\s+(\d+)", said))
        reached = re.findall(r"cov: (\d+) ft: (\d+) corp: (\d+)", said)
        findings = [_told(path) for path in sorted(folder.glob("finding-*")) if path.suffix != ".txt"]
        if not findings and (done.returncode or not reached):
            findings = [f"the search ended with {done.returncode}: {said[-2000:]}"]
        places, features, inputs = reached[-1] if reached else ("0", "0", "0")
        return {
            "inputs": statistics.get("number_of_executed_units", "0"),
            "inputs a second": statistics.get("average_exec_per_sec", "0"),
            "branches reached": places,
            "features reached": features,
            "inputs that reached something new": inputs,
            "largest memory in MiB": statistics.get("peak_rss_mb", "0"),
            "findings": str(len(findings)),
        }, findings


def _told(path: Path) -> str:
    reason = path.with_suffix(".txt")
    why = reason.read_text("utf-8") if reason.exists() else path.name
    return f"{path.read_bytes()!r}\n{why}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.folder is not None:
        search(options.folder, seconds=options.seconds, seed=options.seed)
    end_on_sigterm()
    figures, findings = run_search(seconds=options.seconds, seed=options.seed)
    for name, value in figures.items():
        print(f"{name:36} {value:>12}")
    for finding in findings:
        print("FINDING", finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
