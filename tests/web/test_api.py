"""The JSON API: the command line's documents and filters, problems for what makes no sense, nothing sent twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import quote

import httpx
import pytest

from projections import Appointments
from projections.web.app import Service
from tests.conftest import Ask, Place
from tests.support.builders import envelope
from tests.support.serving import served

HISTORY = [
    envelope(1, id="a"),
    envelope(2, id="b", coachId="coach-2", startDate="2023-07-11T09:00:00Z", endDate="2023-07-11T10:00:00Z"),
    envelope(3, id="c", startDate="2023-07-10T09:30:00Z", endDate="2023-07-10T10:30:00Z", subphaseId="s"),
    envelope(4, id="d", status="DONE", startDate="2023-07-09T09:00:00Z", endDate="2023-07-09T10:00:00Z"),
    envelope(5, id="e", deletedAt="2023-07-03T00:00:00Z", startDate=None, endDate=None, appointmentType="PART_ONE"),
    envelope(
        6, id="b", coachId="coach-2", status="CANCELED", canceledBy="COACH",
        cancelationReason="COACH_NO_LONGER_AVAILABLE", startDate="2023-07-11T09:00:00Z",
        endDate="2023-07-11T10:00:00Z",
    ),
]  # fmt: skip


def ready(place: Place) -> Appointments:
    appointments = place.appointments()
    appointments.events.append(HISTORY)
    appointments.projector.catch_up()
    return appointments


@pytest.fixture
def appointments(place: Place) -> Appointments:
    return ready(place)


@pytest.fixture
def client(appointments: Appointments) -> Iterator[httpx.Client]:
    with served(Service(appointments=appointments)) as client:
        yield client


@pytest.fixture(scope="module")
def reading_client(shared_place: Place) -> Iterator[httpx.Client]:
    """One service for all tests that only read."""
    with served(Service(appointments=ready(shared_place))) as client:
        yield client


def ids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["appointments"]]


ROUTES = [
    ("talents", "talents"),
    ("coaches?limit=1", "coaches --limit 1"),
    ("talents/talent-1", "talent talent-1"),
    (
        "coaches/coach-1?desc=true&tz=Europe/Paris&from=2023-07-10",
        "coach coach-1 --desc --tz Europe/Paris --from 2023-07-10",
    ),
    (
        "talents/talent-1?status=DONE&status=CANCELED&coach=coach-2",
        "talent talent-1 --status DONE --status CANCELED --coach coach-2",
    ),
    ("talents/talent-1?as_of=2023-07-02T00:00:03Z", "talent talent-1 --as-of 2023-07-02T00:00:03Z"),
    ("talents/talent-1?known_at=2023-07-02T00:00:03Z", "talent talent-1 --known-at 2023-07-02T00:00:03Z"),
    ("talents/talent-1/changes", "changes --talent talent-1"),
    ("coaches/coach-1/conflicts", "conflicts --coach coach-1"),
    (
        "talents/talent-1/figures?past=true&now=2023-07-12T00:00Z",
        "figures --talent talent-1 --past --now 2023-07-12T00:00Z",
    ),
    ("appointments/b", "appointment b"),
    ("appointments/b/history", "history b"),
]  # fmt: skip


def test_every_route_answers_with_the_document_that_the_command_prints(durable_place: Place, ask: Ask) -> None:
    with served(Service(appointments=ready(durable_place))) as client:
        answers = [client.get(f"/api/{path}") for path, _ in ROUTES]
    for answer, (path, command) in zip(answers, ROUTES, strict=True):
        status, out, _ = ask(*command.split(), "--json")
        assert (answer.status_code, status, answer.json()) == (200, 0, json.loads(out)), path


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "d a c b"),
        ("desc=true", "b c a d"),
        ("include_deleted=true", "d a c b e"),
        ("status=PLANNED", "a c"),
        ("from=2023-07-10T10:00:00Z&to=2023-07-11", "c"),
        ("from=2023-07-10T12:00&tz=Europe/Paris&to=2023-07-10T12:15", "c"),
        ("upcoming=true&now=2023-07-11T00:00Z", "b"),
        ("past=true&now=2023-07-10T00:00Z", "d"),
        ("subphase_id=s", "c"),
        ("appointment_type=PART_ONE&include_deleted=true", "e"),
        ("coach=coach-2", "b"),
        ("as_of=2023-07-02T00:00:01Z", "a"),
        ("known_at=2023-07-02T00:00:01Z", ""),
        ("at_least=6&timeout=5", "d a c b"),
    ],
)
def test_a_schedule_has_every_filter_of_the_command(reading_client: httpx.Client, query: str, expected: str) -> None:
    zone = "" if "tz=" in query else "&tz=UTC"
    assert ids(reading_client.get(f"/api/talents/talent-1?{query}{zone}")) == expected.split()


def test_pages_follow_each_other_by_their_cursor(reading_client: httpx.Client) -> None:
    first = reading_client.get("/api/talents/talent-1", params={"limit": 3})
    second = reading_client.get("/api/talents/talent-1", params={"limit": 3, "after": first.json()["next"]})
    assert (ids(first), ids(second), second.json()["next"]) == (["d", "a", "c"], ["b"], None)


def test_changes_come_since_the_token_of_the_answer_before(client: httpx.Client, appointments: Appointments) -> None:
    token = client.get("/api/coaches/coach-1/changes").json()["token"]
    appointments.events.append([envelope(7, id="a", coachId="coach-2")])
    appointments.projector.catch_up()
    changes = client.get("/api/coaches/coach-1/changes", params={"since": token}).json()["changes"]
    assert [(one["id"], one["removed"]) for one in changes] == [("a", True)]


def test_an_id_may_hold_anything_as_one_encoded_segment(sqlite_place: Place) -> None:
    talents = ["a/b", "..", "%", "%2F", "a?b#c", "'\"<script>", "é\u202e", "a b", "x" * 512]
    appointments = sqlite_place.appointments()
    appointments.events.append(envelope(n, id=f"a{n}", talentId=one) for n, one in enumerate(talents, 1))
    appointments.projector.catch_up()
    with served(Service(appointments=appointments)) as client:
        for number, talent_id in enumerate(talents, 1):
            path = quote(talent_id, safe="").replace(".", "%2E")
            answer = client.get(httpx.URL(str(client.base_url), raw_path=f"/api/talents/{path}".encode()))
            assert (answer.json()["talent_id"], ids(answer)) == (talent_id, [f"a{number}"])


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        ("talents/talent-1?from=soon", 400, "from: expected a time such as 2023-07-10, "),
        ("talents/talent-1?tz=Mars/Olympus", 400, "tz: expected a time zone such as Europe/Paris, found "),
        ("talents/talent-1?from=2023-07-11&to=2023-07-10", 409, "FROM is after TO"),
        ("talents/talent-1?upcoming=true&past=true", 409, "no appointment is both upcoming and past"),
        ("talents/talent-1?after=sesame", 400, "after: expected the `next` of the page before"),
        ("talents?after=sesame-open-thyself", 409, "the cursor does not belong to this question"),
        ("talents/talent-1/changes?since=sesame", 400, "since: expected the `token` of the answer before"),
        ("talents/talent-1/changes?since=sesame-open-thyself", 409, "the token does not belong to this question"),
        ("talents/talent-1?tz=UTC&tz=Europe/Paris", 400, "tz: expected once, found 2 times"),
        ("talents/talent-1?limit=0", 400, "limit: "),
        ("talents/talent-1?limit=ten", 400, "limit: "),
        ("talents/talent-1?status=PLANED", 400, "status: "),
        ("talents/talent-1?upcoming=maybe", 400, "upcoming: "),
        ("talents/talent-1?form=2023-07-10", 400, "form: "),
        ("talents/talent-1?timeout=61", 400, "timeout: "),
        ("talents/talent-1?timeout=nan", 400, "timeout: "),
        ("talents/talent-1?at_least=7", 409, "at_least: nothing is stored at position 7; the last is 6"),
        ("talents/%FF", 400, "id: expected an id as percent-encoded UTF-8"),
        ("talents/%zz", 400, "id: expected an id as percent-encoded UTF-8"),
        ("talents/%", 400, "id: expected an id as percent-encoded UTF-8"),
        ("talents/%00", 400, "talent_id: expected an id that is not blank"),
        ("talents/%20", 400, "talent_id: expected an id that is not blank"),
        ("talents/" + "x" * 513, 400, "talent_id: expected an id that is not blank, of at most 512 bytes"),
        ("talents/a/b", 404, "there is nothing at this address"),
        ("appointments/z", 404, "no appointment has the id 'z'"),
        ("appointments/z/history", 404, "no appointment has the id 'z'"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_a_problem_that_says_what_was_expected(
    reading_client: httpx.Client, path: str, status: int, detail: str
) -> None:
    answer = reading_client.get(f"/api/{path}")
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert (answer.json()["status"], answer.json()["detail"][: len(detail)]) == (status, detail)


def test_the_cursor_and_the_token_of_another_question_are_409_for_each_makes_sense_elsewhere(
    reading_client: httpx.Client,
) -> None:
    cursor = reading_client.get("/api/talents/talent-1?limit=1").json()["next"]
    token = reading_client.get("/api/talents/talent-1/changes").json()["token"]
    assert reading_client.get("/api/coaches/coach-1", params={"after": cursor}).status_code == 409
    assert reading_client.get("/api/coaches/coach-1/changes", params={"since": token}).status_code == 409


def test_an_answer_that_a_client_has_is_not_sent_again_until_something_moves(
    client: httpx.Client, appointments: Appointments
) -> None:
    for path in (
        "talents",
        "talents/talent-1",
        "appointments/a",
        "appointments/a/history",
        "talents/talent-1/figures",
    ):
        tag = client.get(f"/api/{path}").headers["etag"]
        again = client.get(f"/api/{path}", headers={"If-None-Match": f'"other", W/{tag}'})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        other = client.get(f"/api/{path}?timeout=5", headers={"If-None-Match": tag})
        assert (other.status_code, other.headers["cache-control"]) == (200, "private, no-cache")
        appointments.events.append([envelope(int(appointments.events.head()) + 1, id="a")])
        assert client.get(f"/api/{path}", headers={"If-None-Match": tag}).status_code == 200


def test_an_answer_that_depends_on_the_clock_is_tagged_by_its_content(reading_client: httpx.Client) -> None:
    path = "/api/talents/talent-1?upcoming=true"
    tag = reading_client.get(path).headers["etag"]
    assert reading_client.get(path, headers={"If-None-Match": tag}).status_code == 304


def test_a_wait_for_a_position_ends_when_it_is_projected_or_with_503(durable_place: Place) -> None:
    appointments = durable_place.appointments()
    appointments.install()
    appointments.events.append(HISTORY)
    with served(Service(appointments=appointments)) as client:
        behind = client.get("/api/talents/talent-1?at_least=6&timeout=0.2")
        assert (behind.status_code, behind.headers["retry-after"]) == (503, "5")
        assert behind.json()["detail"].startswith("the read model is at position 0 and did not reach 6 within 0.2 s")
        appointments.projector.catch_up()
        assert len(ids(client.get("/api/talents/talent-1?at_least=6&timeout=5"))) == 4
