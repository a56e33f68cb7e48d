"""Bad arguments and bad input: one line says what is wrong, and the data stays unchanged."""

from __future__ import annotations

import gzip
import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from projections.cli.app import run
from tests.conftest import Ask, Place
from tests.support.builders import TALENT, as_json, as_lines, envelope

MIB = 1024 * 1024


ENVELOPES = [envelope(1), envelope(2, id="appointment-2"), envelope(3, id="appointment-3", talentId="talent-2")]

# Runs a command of the command line and complains by how many bytes it made the process larger at most.
MEASURED = """
import re, sys
from pathlib import Path
from projections.cli.app import run
def peak():
    return int(re.findall(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[0]) * 1024
before = peak()
status = run(sys.argv[1:])
print(peak() - before, file=sys.stderr)
sys.exit(status)
"""


@pytest.fixture
def ask(ask: Ask, durable_place: Place) -> Ask:
    """Runs one command on an installation with a few appointments."""
    durable_place.events().append([as_json(one) for one in ENVELOPES])
    durable_place.projector().catch_up()
    return ask


@pytest.fixture
def refusal(ask: Ask, durable_place: Place) -> Iterator[Callable[..., str]]:
    """Returns the one line with which a command is refused, after checking that no data was changed."""

    def refusal(*arguments: str, status: int = 2) -> str:
        found, out, complaint = ask(*arguments)
        assert (found, out) == (status, ""), complaint
        assert complaint.startswith("appointments: ")
        assert complaint.endswith("\n")
        assert complaint.count("\n") == 1
        assert "defect" not in complaint
        assert "Traceback" not in complaint
        return complaint.removeprefix("appointments: ").removesuffix("\n")

    yield refusal
    assert (durable_place.events().count(), len(durable_place.events().quarantine)) == (3, 0)
    assert len(durable_place.schedules().talent(TALENT)) == 2
    assert durable_place.appointments().verify().differences == []


def counts(out: str) -> tuple[int, int, int]:
    """Returns how many items were read, appended and quarantined."""
    report = json.loads(out)
    return report["read"], report["appended"], report["quarantined"]


def codes(place: Place) -> list[tuple[str, int | None]]:
    """The code and the line of each quarantined item."""
    return [(one.refused.code.value, one.refused.line) for one in place.events().quarantine.list()]


MISUSES = [
    ("talent", "Missing argument 'ID'; see: appointments talent --help"),
    ("talent talent-1 talent-2", "unexpected extra argument"),
    ("talent talent-1 --nope", "No such option: --nope"),
    ("talent talent-1 --stat DONE", "No such option: --stat"),
    ("talent talent-1 --limit ten", "'--limit'"),
    ("talent talent-1 --json=5", "'--json' does not take a value"),
    ("nope", "No such command 'nope'; see: appointments --help"),
    ("quarantine nope", "No such command 'nope'"),
    ("talent talent-1 --limit 0", "expected a limit from 1 to 10000, found 0"),
    ("talent talent-1 --limit 1000000", "expected a limit from 1 to 10000, found 1000000"),
    ("talents --limit -1", "expected a limit from 1 to 10000, found -1"),
    ("coaches --limit 99999999999999999999", "expected a limit from 1 to 10000"),
    ("talent talent-1 --upcoming --past", "no appointment is both upcoming and past"),
    ("talent talent-1 --json --ical", "--json and --ical exclude each other; leave one out"),
    ("quarantine show 1 --json --raw", "--json and --raw exclude each other; leave one out"),
    ("talent talent-1 --from 2023-07-11 --to 2023-07-10", "FROM is after TO"),
    ("conflicts --talent talent-1 --from 2023-07-11 --to 2023-07-10", "FROM is after TO"),
    ("changes --talent talent-1 --from 2023-07-11 --to 2023-07-10", "FROM is after TO"),
    ("figures --talent talent-1 --from 2023-07-11 --to 2023-07-10", "FROM is after TO"),
    ("talent talent-1 --from yesterday", "expected a time such as 2023-07-10, "),
    ("talent talent-1 --to 2023-02-30", "found '2023-02-30'"),
    ("talent talent-1 --as-of 2023-07-10T25:00", "found '2023-07-10T25:00'"),
    ("talent talent-1 --now ''", "found ''"),
    ("talent talent-1 --tz Europe/Pariss", "expected a time zone such as Europe/Paris, found 'Europe/Pariss'"),
    ("talent talent-1 --tz ../../etc/passwd", "expected a time zone"),
    ("appointment appointment-1 --tz ''", "expected a time zone"),
    ("talent talent-1 --status LATE", "expected one of PLANNED, DONE, CANCELED, found 'LATE'"),
    ("talent talent-1 --status done", "found 'done'"),
    ("talent talent-1 --type ALONE", "expected one of STANDALONE, PART_ONE, PART_TWO"),
    ("changes", "expected a talent or a coach, one of the two"),
    ("changes --talent talent-1 --coach coach-1", "expected a talent or a coach, one of the two"),
    ("conflicts", "expected a talent or a coach, one of the two"),
    ("figures --talent talent-1 --coach coach-1", "expected a talent or a coach, one of the two"),
    ("talent talent-1 --after nonsense", "the cursor does not belong to this question"),
    ("talents --after ''", "the cursor does not belong to this question"),
    ("changes --talent talent-1 --since nonsense", "the token does not belong to this question"),
    ("changes --talent talent-1 --since é", "the token does not belong to this question"),
    ("talent talent-1 --timeout nan", "expected 0 to 86,400 seconds, found nan"),
    ("talent talent-1 --timeout -1", "expected 0 to 86,400 seconds"),
    ("talent ''", "expected an id that is not blank, of at most 512 bytes, found ''"),
    ("appointment ' '", "expected an id that is not blank"),
    ("history ''", "expected an id that is not blank"),
    ("changes --talent ''", "expected an id that is not blank"),
    ("talent talent-1 --coach ''", "expected an id that is not blank"),
    (f"talent {'x' * 10_000}", f"found '{'x' * 60}'"),
    (f"appointment {'é' * 257}", "of at most 512 bytes"),
    (f"figures --coach {'x' * 10_000}", "of at most 512 bytes"),
    ("status --max-lag some", "'--max-lag'"),
    ("ingest --item-bytes-max 1", "'--item-bytes-max'"),
    ("verify --sample 0", "'--sample'"),
    ("quarantine show one", "'N'"),
    ("quarantine show 0", "'N'"),
    ("quarantine discard --yes", "expected numbers, or a filter"),
]


def test_a_misuse_is_one_line_that_says_what_is_wrong(refusal: Callable[..., str]) -> None:
    for typed, said in MISUSES:
        assert said in refusal(*shlex.split(typed)), typed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["talents", "--limit"], "'--limit' requires an argument"),
        (["talents", "--schema", "a; b"], "expected a schema of letters, digits and underscores"),
        (["--json", "talents"], "No such option: --json"),
        (["sample", "--json"], "No such option: --json"),
        (["sample", "--db", "sqlite:///a.db"], "No such option: --db"),
        (["sample", "--events", "-1"], "'--events'"),
    ],
    ids=lambda given: given[0] if isinstance(given, list) else "",
)
def test_a_misuse_that_concerns_no_installation_is_one_line_too(
    capfd: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert run(arguments) == 2
    out, complaint = capfd.readouterr()
    assert (out, complaint.count("\n")) == ("", 1)
    assert said in complaint


ABSENT = [
    ("appointment nowhere", "no appointment has the id 'nowhere'"),
    ("history nowhere", "no appointment has the id 'nowhere'"),
    ("""appointment "it's" """, '''no appointment has the id "it's"'''),
    ("""history '"; DROP TABLE stored_events; --' """, "DROP TABLE"),
    ("appointment 'two\nlines'", r"no appointment has the id 'two\nlines'"),
    ("history '\x1b[31mred'", r"no appointment has the id '\x1b[31mred'"),
    (f"appointment {'x' * 512}", "x" * 512),
    ("quarantine show 99", "no quarantined item has the number 99"),
    ("quarantine show 99999999999999999999999", "no quarantined item has the number 99999999999999999999999"),
    ("quarantine discard 99999999999999999999999 --yes", "no quarantined item has the number"),
    ("talent talent-1 --at-least 4 --timeout 0.1", "did not reach 4 within 0.1 s; the event store ends at 3"),
    ("talents --at-least 99999999999999999999999 --timeout 0", "the event store ends at 3"),
    ("changes --talent talent-1 --at-least 4 --timeout 0.01", "did not reach 4 within 0.01 s"),
]


def test_what_is_not_there_is_exit_1_and_one_line(refusal: Callable[..., str]) -> None:
    for typed, said in ABSENT:
        assert said in refusal(*shlex.split(typed), status=1), typed


def test_a_question_about_nobody_or_another_time_has_an_empty_answer(ask: Ask) -> None:
    for typed in (
        "talent nobody",
        "coach 'x\ny'",
        """talent "it's; --" """,
        "talent talent-1 --as-of 0001-01-01",
        "talent talent-1 --as-of 1969-12-31T23:59:59Z",
        "talent talent-1 --from 9999-12-31T23:59:59-12:00",
        "talent talent-1 --to 0001-01-01T00:00:00+14:00",
        "talent talent-1 --from 2023-08-01 --upcoming",
        "talent talent-1 --subphase ''",
    ):
        status, out, complaint = ask(*shlex.split(typed), "--json")
        assert (status, complaint) == (0, ""), typed
        assert json.loads(out)["appointments"] == [], typed


def test_cursors_and_tokens_of_another_question_or_with_a_changed_letter_are_refused(
    ask: Ask, refusal: Callable[..., str]
) -> None:
    cursor = json.loads(ask("talent", TALENT, "--limit", "1", "--json")[1])["next"]
    token = json.loads(ask("changes", "--talent", TALENT, "--json")[1])["token"]
    other = {"A": "B"}.get(cursor[20], "A")
    for arguments in (
        ["talent", "talent-2", "--after", cursor],
        ["coach", TALENT, "--after", cursor],
        ["talents", "--after", cursor],
        ["talent", TALENT, "--desc", "--after", cursor],
        ["talent", TALENT, "--after", token],
        ["talent", TALENT, "--after", cursor[:20] + other + cursor[21:]],
    ):
        assert "the cursor does not belong to this question" in refusal(*arguments)
    for arguments in (["--talent", "talent-2"], ["--coach", TALENT], ["--talent", TALENT, "--from", "2023-07-01"]):
        assert "the token does not belong to this question" in refusal("changes", *arguments, "--since", token)
    assert "the token does not" in refusal("changes", "--talent", TALENT, "--since", cursor)


def test_a_file_that_cannot_be_read_is_said_before_anything_is_done(
    refusal: Callable[..., str], tmp_path: Path
) -> None:
    good = tmp_path / "good.jsonl"
    good.write_bytes(as_lines([envelope(7)]))
    assert "good.jsonl/x: Not a directory" in refusal("ingest", str(good), f"{good}/x")
    assert "missing: No such file" in refusal("ingest", str(good), str(tmp_path / "missing"))
    assert "it is a directory" in refusal("ingest", str(good), str(tmp_path))
    assert "File name too long" in refusal("ingest", "x" * 10_000)


@pytest.mark.parametrize(
    ("content", "said"),
    [(gzip.compress(as_lines(ENVELOPES))[:-20], "ends too early"), (as_lines(ENVELOPES), "damaged gzip")],
    ids=["cut", "not gzip"],
)
def test_a_damaged_gzip_file_is_said(refusal: Callable[..., str], tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "damaged.gz"
    path.write_bytes(content)
    assert said in refusal("ingest", str(path))


@pytest.mark.parametrize(
    ("content", "expected", "quarantined"),
    [
        (b"", (0, 0, 0), []),
        (b"\xef\xbb\xbf\r\n \n", (0, 0, 0), []),
        (as_lines([envelope(7)]) + as_json(envelope(8))[:-9], (2, 1, 1), [("malformed_json", 2)]),
        (b"\n5\n", (1, 0, 1), [("invalid_envelope", 2)]),
        (b'"text"\nnull\ntrue\n', (3, 0, 3), [("invalid_envelope", line) for line in (1, 2, 3)]),
        ("é".encode("latin-1") + b"\n", (1, 0, 1), [("malformed_json", 1)]),
        (as_json(envelope(7, title="é")).decode().encode("latin-1"), (1, 0, 1), [("malformed_json", 1)]),
        (as_json(envelope(7)).decode().encode("utf-16"), (1, 0, 1), [("malformed_json", 1)]),
        (b"[" + as_json(envelope(7)) + b",{", (2, 1, 1), [("malformed_json", 1)]),
        (as_json({**envelope(7), "eventData": {"version": 2}}), (1, 0, 1), [("unsupported_version", 1)]),
    ],
    ids=["empty", "blank", "cut", "number", "scalars", "letter", "latin-1", "utf-16", "cut array", "version 2"],
)
def test_what_is_no_envelope_is_quarantined_with_its_line_and_the_rest_is_accepted(
    durable_place: Place,
    ask: Ask,
    tmp_path: Path,
    content: bytes,
    expected: tuple[int, int, int],
    quarantined: list[tuple[str, int | None]],
) -> None:
    path = tmp_path / "some.jsonl"
    path.write_bytes(content)
    status, out, complaint = ask("ingest", str(path), "--json")
    assert (status, counts(out)) == (0, expected)
    assert ("quarantined; see: appointments quarantine list" in complaint) == bool(quarantined)
    assert codes(durable_place) == quarantined
    assert durable_place.appointments().verify().differences == []


def test_lines_of_50_mb_are_quarantined_in_bounded_memory(durable_place: Place, ask: Ask, tmp_path: Path) -> None:
    path = tmp_path / "large.jsonl"
    large = b'{"id": 8, "title": "' + b"x" * 50 * MIB + b'"}\n'
    path.write_bytes(large + as_json(envelope(7)) + b"\n" + large + as_json(envelope(9)))
    arguments = ["ingest", str(path), "--json", "--no-project", *durable_place.arguments]
    measured = [sys.executable, "-c", MEASURED, *arguments]
    done = subprocess.run(measured, capture_output=True, text=True, check=False)
    assert (done.returncode, counts(done.stdout)) == (0, (4, 2, 2)), done.stderr
    assert int(done.stderr.splitlines()[-1]) < 80 * MIB
    assert ask("project")[0] == 0
    [(item, count)] = [(one.refused, one.count) for one in durable_place.events().quarantine.list()]
    assert (item.code, item.line, count) == ("too_large", 1, 2)
    assert (item.length, len(item.content)) == (50 * MIB + 22, 64 * 1024)


def test_a_database_that_is_none_is_said_and_stays_as_it_is(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "text").write_text("not a database, but long enough to have a header like one" * 100)
    (tmp_path / "folder").mkdir()
    source = tmp_path / "envelopes.jsonl"
    source.write_bytes(as_lines(ENVELOPES))
    places = {
        f"sqlite:///{tmp_path}/text": "is not an SQLite database",
        f"sqlite:///{tmp_path}/folder": "cannot be opened",
        f"sqlite:///{tmp_path}/missing/appointments.db": "No such file or directory",
        f"sqlite:///{tmp_path}/text/appointments.db": "Not a directory",
        "sqlite://relative.db": "expected a database URL",
        "mysql://somebody:secret@host/name": "expected a database URL",
        "appointments.db": "expected a database URL",
    }
    for url, said in places.items():
        for command in (["ingest", str(source)], ["init"], ["project"], ["rebuild"]):
            assert run([*command, "--db", url]) == 2
            out, complaint = capfd.readouterr()
            assert (out, complaint.count("\n"), "secret" in complaint) == ("", 1, False)
            assert said in complaint
    assert (tmp_path / "text").read_text().startswith("not a database")
    assert list((tmp_path / "folder").iterdir()) == []
    assert not (tmp_path / "missing").exists()
