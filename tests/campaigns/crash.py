"""The crash campaign: real processes, one of which is killed with SIGKILL at a random moment, over and over.

    python -m tests.campaigns.crash --backend sqlite --kills 200 --seed 1
    python -m tests.campaigns.crash --backend postgresql --kills 200 --seed 1

Two writers ingest overlapping, shuffled files with contradictions and garbage; two followers project; one process
rebuilds and rolls back without end; two readers compare what they see with an independent fold. On PostgreSQL about
every tenth kill ends the whole server (fsync on). At the end the files are ingested once more and everything is
compared. Exit status 1 when anything differs.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from projections import Appointments
from tests.campaigns.material import ITEM_BYTES_MAX, Material, make_material
from tests.campaigns.processes import end_on_sigterm, start_module
from tests.campaigns.verdict import Verdict, expected_report, judge, stored_texts
from tests.support.postgres_server import PostgresServer, postgres_server

WRITERS = ["writer-1", "writer-2"]
WORKERS = [*WRITERS, "follower-1", "follower-2", "rebuilder-1", "reader-1", "reader-2"]
READY_SECONDS_MAX = 90.0
STOP_SECONDS_MAX = 90.0
SCHEMA = "campaign"

# What a process may say while its server, or another rebuild, is in its way. Anything else is a difference.
_EXPECTED_WORDS = re.compile(
    r"appointments: (?:cannot connect to PostgreSQL|PostgreSQL cannot be reached or went away"
    r"|PostgreSQL gave up waiting|there is no database|(?:the schema )?\S+ holds no (?:appointments|read models)"
    r"|another rebuild|there is no previous generation|stopped after|following;|interrupted)"
)


@dataclass
class Campaign:
    """The processes of one campaign and what happened to them."""

    backend: str
    folder: Path
    url: str
    server: PostgresServer | None
    rng: Random
    seed: int
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    logs: dict[str, Path] = field(default_factory=dict)
    kills: Counter[str] = field(default_factory=Counter)
    starts: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)

    @property
    def place(self) -> list[str]:
        return ["--db", self.url, "--schema", SCHEMA]

    def start(self, name: str) -> None:
        kind = name.partition("-")[0]
        module, arguments = "projections", ["project", "--follow", "--log-level", "error"]
        if kind != "follower":
            module = "tests.campaigns.workers"
            arguments = [kind, "--name", name, "--folder", str(self.folder), "--seed", str(self.seed)]
        (self.folder / f"{name}.ready").unlink(missing_ok=True)
        self.logs[name] = self.folder / f"{name}.{self.starts.total()}.log"
        self.processes[name] = start_module(module, [*arguments, *self.place], self.logs[name])
        self.starts[kind] += 1

    def kill(self, name: str) -> None:
        """Kills a process, as `kill -9` or the kernel would: nothing that it started is told."""
        process = self.processes[name]
        process.kill()
        if process.wait() != -signal.SIGKILL:
            self.findings.append(f"{name} had ended by itself with {process.returncode}")
        self.kills[name.partition("-")[0]] += 1
        self.start(name)

    def kill_server(self) -> None:
        assert self.server is not None
        self.server.kill()
        time.sleep(self.rng.uniform(0, 0.3))
        self.server.start()
        self.kills["server"] += 1

    def is_ready(self, name: str) -> bool:
        if name.startswith("follower"):
            return b"following" in self.logs[name].read_bytes()
        return (self.folder / f"{name}.ready").exists()

    def choose(self) -> str:
        """A process that works, writers and the rebuilder rather than others."""
        deadline = time.monotonic() + READY_SECONDS_MAX
        while True:
            ready = [name for name in WORKERS if self.is_ready(name)]
            for name in WORKERS:
                if self.processes[name].poll() is not None:
                    self.findings.append(f"{name} ended by itself with {self.processes[name].returncode}")
                    self.start(name)
            if ready:
                return self.rng.choice([*ready, *(one for one in ready if one.startswith(("writer", "rebuilder")))])
            if time.monotonic() > deadline:
                raise TimeoutError(f"no process worked within {READY_SECONDS_MAX} s")
            time.sleep(0.05)

    def wait_until_ready(self, name: str) -> None:
        """A process that is still starting takes no signals yet."""
        deadline = time.monotonic() + READY_SECONDS_MAX
        while not self.is_ready(name) and time.monotonic() < deadline:
            time.sleep(0.02)

    def stop(self) -> None:
        """Ends every process in good order, the writers first."""
        for name in WORKERS:
            self.wait_until_ready(name)
            self.processes[name].terminate()
            try:
                status = self.processes[name].wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                status = -1
            if status != 0:
                self.findings.append(f"{name} did not end in good order: {status}")

    def end(self) -> None:
        """Leaves no process behind, and tells of those that a killed one left."""
        for process in self.processes.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def orphans(self) -> list[str]:
        """Processes that killed ones started and that work on this installation without them."""
        time.sleep(1.0)
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError, ValueError, IndexError):
                environment = (entry / "environ").read_bytes()
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                if f"CAMPAIGN={self.folder}".encode() in environment and parent != os.getpid():
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        return found

    def said(self) -> list[str]:
        """What the processes complained of and should not have, and how often they had reason to."""
        findings = sorted(self.folder.glob("*.findings"))
        unexpected = [f"{path.stem}: {path.read_text('utf-8')[:2000]}" for path in findings]
        for path in [*self.folder.glob("*.errors"), *self.folder.glob("*.log")]:
            lines = path.read_text("utf-8", "replace").splitlines()
            unexpected += [f"{path.name}: {line[:300]}" for line in lines if not _is_expected(line)]
        return unexpected


def _is_expected(line: str) -> bool:
    return not line or _EXPECTED_WORDS.match(line) is not None or "; trying again" in line


def run_campaign(
    backend: str, *, kills: int, seed: int, envelopes: int, pause_max: float = 1.0
) -> tuple[list[str], dict[str, object]]:
    """Runs a whole campaign; returns what differs, in words, and the figures of the table."""
    began = time.monotonic()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="crash-")))
        server = stack.enter_context(_own_server()) if backend == "postgresql" else None
        url = server.url if server else f"sqlite:///{folder}/appointments.db"
        campaign = Campaign(backend, folder, url, server, Random(seed), seed)
        files = max(10, kills)
        material = make_material(folder / "material", WRITERS, envelopes=envelopes, files=files, seed=seed)
        stack.enter_context(_environment(folder))
        try:
            _kill_and_restart(campaign, material, kills, pause_max)
            campaign.stop()
        finally:
            orphans = campaign.orphans()
            campaign.end()
        findings = [*campaign.findings, *(f"left behind: {one}" for one in orphans), *campaign.said()]
        verdict = _finish(campaign, material)
        differences = [*findings, *verdict.differences]
        return differences, {
            "backend": backend,
            **{f"kills of {kind}s": count for kind, count in sorted(campaign.kills.items())},
            "kills in all": campaign.kills.total(),
            "processes started": campaign.starts.total(),
            "items in the files": sum(1 for _ in material.all_lines()),
            **{f"{what} compared": f"{count:,}" for what, count in verdict.compared.items()},
            "clear errors said by processes": _errors(folder),
            "seconds": round(time.monotonic() - began, 1),
            "differences": len(differences),
        }


def _errors(folder: Path) -> int:
    return sum(len(path.read_text("utf-8").splitlines()) for path in folder.glob("*.errors"))


@contextmanager
def _own_server() -> Iterator[PostgresServer]:
    """A server that may be killed, whatever TEST_DATABASE_URL says; it keeps what it committed."""
    given = os.environ.pop("TEST_DATABASE_URL", None)
    try:
        with postgres_server(fsync=True) as server:
            yield server
    finally:
        if given is not None:
            os.environ["TEST_DATABASE_URL"] = given


@contextmanager
def _environment(folder: Path) -> Iterator[None]:
    """Marks the processes of this campaign, so that those left behind can be told."""
    os.environ["CAMPAIGN"] = str(folder)
    try:
        yield
    finally:
        del os.environ["CAMPAIGN"]


def _kill_and_restart(campaign: Campaign, material: Material, kills: int, pause_max: float) -> None:
    for name in WRITERS:
        (campaign.folder / f"{name}.inbox").mkdir()
    _release(campaign, material, 0.05)
    for name in WORKERS:
        campaign.start(name)
    for number in range(1, kills + 1):
        _release(campaign, material, number / kills)
        victim = campaign.choose()
        time.sleep(campaign.rng.uniform(0, pause_max))
        if campaign.server is not None and number % 10 == 5:
            campaign.kill_server()
        else:
            campaign.kill(victim)


def _release(campaign: Campaign, material: Material, part: float) -> None:
    """Shows the writers more of their files; each file appears whole."""
    for name in WRITERS:
        files = material.files[name]
        for path in files[: max(1, round(part * len(files)))]:
            shown = campaign.folder / f"{name}.inbox" / path.name
            if not shown.exists():
                shown.symlink_to(path)


def _finish(campaign: Campaign, material: Material) -> Verdict:
    """Does what is left once more, then compares; then a rebuild and another comparison of counters."""
    differences: list[str] = []
    for name in WRITERS:
        _run(campaign, differences, "ingest", "--item-bytes-max", str(ITEM_BYTES_MAX), *_paths(material, name))
    with Appointments.open(campaign.url, schema=SCHEMA) as appointments:
        events = appointments.events
        stored = stored_texts(events)
        head = events.head()
    for name in WRITERS:
        options = ("--item-bytes-max", str(ITEM_BYTES_MAX), "--json")
        printed = json.loads(_run(campaign, differences, "ingest", *options, *_paths(material, name)) or "{}")
        expected = expected_report(material, stored, name)
        wanted = {one: getattr(expected, one) for one in ("read", "appended", "duplicates", "ignored", "quarantined")}
        if printed != {**wanted, "position": head}:
            differences.append(f"ingesting the files of {name} again: expected {wanted}, found {printed}")
    verdict = judge(campaign.url, SCHEMA, material)
    with Appointments.open(campaign.url, schema=SCHEMA) as appointments:
        schedules = appointments.schedules
        generation = schedules.stamp().generation
    rebuilt = json.loads(_run(campaign, differences, "rebuild", "--json") or "{}")
    verdict.expect("a last rebuild made a new generation", holds=rebuilt.get("generation", 0) > generation)
    # One that goes on with an unfinished generation reads only what that one had not loaded.
    verdict.expect("a last rebuild read every envelope", holds=rebuilt.get("events", -1) <= len(stored))
    _run(campaign, differences, "verify")
    _run(campaign, differences, "status", "--check", "--max-lag", "0", "--max-quarantined", "1000000")
    verdict.differences += differences
    return verdict


def _paths(material: Material, writer: str) -> list[str]:
    return [str(path) for path in material.files[writer]]


def _run(campaign: Campaign, differences: list[str], *arguments: str) -> str:
    """What a command prints; a failure is a difference."""
    command = [sys.executable, "-m", "projections", *arguments, *campaign.place]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        differences.append(f"{arguments[0]} returned {done.returncode}: {done.stderr[:500]}")
        return ""
    return done.stdout


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", choices=["sqlite", "postgresql"], required=True)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--envelopes", type=int, default=30_000)
    options = parser.parse_args(arguments)
    end_on_sigterm()
    differences, figures = run_campaign(
        options.backend, kills=options.kills, seed=options.seed, envelopes=options.envelopes
    )
    for name, value in figures.items():
        print(f"{name:36} {value:>12}")
    for difference in differences[:50]:
        print("DIFFERENCE", difference)
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
