"""SIGINT, SIGTERM and SIGHUP end any command with one line, an exit status of its own, and nothing half done."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from projections.cli.sample import sample_envelopes
from tests.conftest import Place
from tests.support.builders import TALENT, as_json, envelope
from tests.support.generations import append_sample, serving, wait_until
from tests.support.rebuilding import held_rebuild, rebuilt

Start = Callable[..., subprocess.Popen[bytes]]

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]

LINES = {
    signal.SIGINT: "appointments: interrupted, everything that was committed is safe",
    signal.SIGTERM: "appointments: ended by SIGTERM, everything that was committed is safe",
    signal.SIGHUP: "appointments: ended by SIGHUP, everything that was committed is safe",
}


@pytest.fixture
def start(durable_place: Place) -> Iterator[Start]:
    """Starts a command on the installation; it is killed at the end of the test."""
    with ExitStack() as stack:

        def start(*arguments: str, under: Sequence[str] = ()) -> subprocess.Popen[bytes]:
            command = [*under, sys.executable, "-m", "projections", *arguments, *durable_place.arguments]
            pipe = subprocess.PIPE
            process = stack.enter_context(subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe))
            stack.callback(process.kill)
            return process

        yield start


def is_ready(process_number: int) -> bool:
    """Whether the process has come so far that it catches SIGTERM."""
    [caught] = [
        int(line.split()[1], 16)
        for line in Path(f"/proc/{process_number}/status").read_text().splitlines()
        if line.startswith("SigCgt")
    ]
    return bool(caught & 1 << (signal.SIGTERM - 1))


def ended(process: subprocess.Popen[bytes]) -> tuple[int, str, str]:
    """Its exit status, its output and its complaints."""
    out, complaints = process.communicate()
    return process.returncode, out.decode(), complaints.decode()


@pytest.mark.parametrize("number", SIGNALS)
def test_a_question_that_waits_is_ended_in_one_line(
    durable_place: Place, start: Start, number: signal.Signals
) -> None:
    durable_place.projector()
    process = start("talent", TALENT, "--at-least", "1000", "--timeout", "600")
    wait_until(lambda: is_ready(process.pid))
    process.send_signal(number)
    assert ended(process) == (128 + number, "", f"{LINES[number]}\n")


@pytest.mark.parametrize("number", SIGNALS)
def test_an_ingestion_keeps_what_was_committed_and_says_how_much(
    durable_place: Place, start: Start, number: signal.Signals
) -> None:
    process = start("ingest")
    assert process.stdin
    process.stdin.write(b"".join(line.encode() + b"\n" for line in sample_envelopes(1500)))
    process.stdin.flush()
    events = durable_place.events()
    events.install()
    wait_until(lambda: events.count() == 1500)
    process.send_signal(number)
    status, out, complaint = ended(process)
    assert (status, out, complaint.count("\n")) == (128 + number, "", 1)
    done = r"[1-9][0-9,]* items were done; running it again completes the work\n"
    assert re.fullmatch(f"{re.escape(LINES[number])}; {done}", complaint)
    assert events.count() == 1500


@pytest.mark.parametrize("number", SIGNALS)
def test_a_follower_is_done_when_it_is_told_to_end(
    durable_place: Place, start: Start, number: signal.Signals
) -> None:
    durable_place.projector()
    process = start("project", "--follow", "--json")
    assert process.stderr
    assert process.stderr.readline() == b"appointments: following; end with Ctrl-C\n"
    durable_place.events().append([as_json(envelope(1))])
    assert len(durable_place.schedules().talent(TALENT, at_least=1)) == 1
    process.send_signal(number)
    status, out, complaints = ended(process)
    assert (status, json.loads(out)) == (0, {"position": 1})
    assert complaints.splitlines()[-1].endswith('INFO stopped position=1 reason="asked to"')


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_rebuild_is_ended_in_one_line_and_the_next_one_completes_it(
    durable_place: Place, processes: str, number: signal.Signals
) -> None:
    append_sample(durable_place, 1500)
    durable_place.projector().catch_up()
    with held_rebuild(durable_place, "--processes", processes) as rebuild:
        rebuild.until("load")
        rebuild.process.send_signal(number)
        status, _, complaints = rebuild.go_on()
    assert (status, complaints) == (128 + number, f"{LINES[number]}\n")
    assert serving(durable_place) == 1
    assert rebuilt(durable_place).generation == serving(durable_place) == 2
    assert durable_place.appointments().verify().differences == []


def test_a_terminal_that_is_closed_ends_the_command_it_ran(durable_place: Place) -> None:
    durable_place.projector()
    waiting = ["talent", TALENT, "--at-least", "1000", "--timeout", "600", *durable_place.arguments]
    number, terminal = pty.fork()
    if number == 0:
        os.execv(sys.executable, [sys.executable, "-m", "projections", *waiting])
    wait_until(lambda: is_ready(number))
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]) == 128 + signal.SIGHUP


def test_a_command_under_nohup_outlives_its_terminal(durable_place: Place, start: Start) -> None:
    durable_place.projector()
    process = start("ingest", under=["nohup"])
    wait_until(lambda: is_ready(process.pid))
    process.send_signal(signal.SIGHUP)
    assert process.communicate(as_json(envelope(1)))[0].startswith(b"read 1: 1 appended")
    assert process.returncode == 0
