"""The README's systemd units: they are what systemd understands, and start commands that there are."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from projections.cli.app import run
from projections.cli.exits import EXIT_LATER, EXIT_NOT_ALLOWED, EXIT_UNUSABLE
from tests import ROOT

UNITS = dict(
    re.findall(r"```ini\n *# /etc/systemd/system/(\S+)\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
)
NAMES = ["appointments-follower.service", "appointments-server.service"]


def unit(name: str) -> str:
    return re.sub(r"(?m)^  ", "", UNITS[name])


@pytest.mark.parametrize("name", NAMES)
def test_a_unit_starts_a_command_with_options_that_there_are(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    [started] = re.findall(r"ExecStart=(.*)", unit(name))
    program, command, *options = shlex.split(started)
    assert program.endswith("/bin/appointments")
    assert run([command, "--help"]) == 0
    said = capfd.readouterr().out
    assert [one for one in options if one.startswith("--") and one not in said] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_supervisor_does_not_try_again_what_does_not_go_away_by_itself(name: str) -> None:
    [prevented] = re.findall(r"RestartPreventExitStatus=(.*)", unit(name))
    assert prevented.split() == [f"{EXIT_UNUSABLE}", f"{EXIT_NOT_ALLOWED}"]
    assert f"{EXIT_LATER}" not in prevented


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
@pytest.mark.parametrize("name", NAMES)
def test_systemd_understands_a_unit(name: str, tmp_path: Path) -> None:
    program = tmp_path / "appointments"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    text = (
        unit(name)
        .replace("/opt/appointments/bin/appointments", str(program))
        .replace("User=appointments", "User=root")
    )
    (tmp_path / name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", str(tmp_path / name)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
