"""The README's commands and programs, run; `python -m tests.cli.test_readme` writes their output back into it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests import ROOT

README = ROOT / "README.md"
EXAMPLE = "tests/data/VCSessionScheduledEvent.v1.example.json"

CONSOLE = re.compile(r"(?<=```console\n)(.*?)(?=```)", re.DOTALL)
PYTHON = re.compile(r"(?<=```python\n)(.*?)(?=```)", re.DOTALL)

VOLATILE = (
    (re.compile(r"arrived 20\S+ \S+ UTC"), "arrived ..."),
    (re.compile(r"last batch projected \S+"), "last batch projected ..."),
    (re.compile(r"in \d+\.\d s, [\d,]+ a second"), "in ... s, ... a second"),
    (re.compile(r"Next: --since \S+"), "Next: --since ..."),
    (re.compile(r"More: --after \S+"), "More: --after ..."),
    (re.compile(r'"next": "\S+"'), '"next": "..."'),
)


def commands_of(block: str) -> list[str]:
    return [line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ ")]


def run(command: str, folder: Path) -> str:
    """Runs a command; returns its standard output followed by its standard error."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("APPOINTMENTS_", "PG"))},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "80",
        "TZ": "UTC",
    }
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    said = done.stdout + done.stderr
    for volatile, words in VOLATILE:
        said = volatile.sub(words, said)
    return said.replace("\r\n", "\n")


def transcript(folder: Path, text: str) -> str:
    """Returns the README with the present output of its commands."""
    (folder / EXAMPLE).parent.mkdir(parents=True)
    shutil.copy(ROOT / EXAMPLE, folder / EXAMPLE)
    return CONSOLE.sub(
        lambda block: "".join(f"$ {command}\n{run(command, folder)}" for command in commands_of(block[0])), text
    )


@pytest.mark.timeout(300)  # it starts some forty processes, one after the other
def test_the_readme_shows_what_its_commands_print_and_its_programs_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = README.read_text(encoding="utf-8")
    assert len(CONSOLE.findall(text)) > 5
    assert transcript(tmp_path, text) == text
    monkeypatch.chdir(tmp_path)
    programs = PYTHON.findall(text)
    assert programs
    for program in programs:
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        README.write_text(transcript(Path(temporary), README.read_text(encoding="utf-8")), encoding="utf-8")
