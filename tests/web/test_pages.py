"""The pages: whole without a script, with their state in their address, and nothing from outside in their markup."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from html import unescape
from urllib.parse import quote

import httpx
import pytest

from projections.queries.schedules import Schedules
from projections.rows import Side
from projections.web.app import Service
from projections.web.pages import LANES_MAX
from projections.web.week import ROWS_A_DAY
from tests import DATA, ROOT
from tests.conftest import Place, in_memory
from tests.support.builders import as_json, envelope
from tests.support.serving import served

EXAMPLE = (DATA / "VCSessionScheduledEvent.v1.example.json").read_bytes()
TALENT = "06e6f647-6ed0-43c9-b323-85d8f3384f31"
APPOINTMENT = "cc62fba4-ac9a-4b71-b5b8-5ac030a5c145"
WEEK = "week=2023-07-10"

CANCELED = {
    "status": "CANCELED",
    "canceledBy": "COACH",
    "cancelationReason": "COACH_NO_LONGER_AVAILABLE",
    "cancelationExplanation": "Erreur d’horaire",
}


def project(place: Place, *envelopes: bytes) -> None:
    place.events().append(envelopes)
    place.projector().catch_up()


@pytest.fixture
def client(sqlite_place: Place) -> Iterator[httpx.Client]:
    sqlite_place.appointments().install()
    with served(Service(appointments=sqlite_place.appointments())) as client:
        yield client


@pytest.fixture(scope="module")
def empty_client() -> Iterator[httpx.Client]:
    """One service without an envelope, for all that ask for none."""
    with in_memory() as place:
        place.appointments().install()
        with served(Service(appointments=place.appointments())) as client:
            yield client


def page(client: httpx.Client, path: str, *, status: int = 200) -> str:
    answer = client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert not re.search(r"<[^>]* (style|on\w+)=", answer.text), "no style and no script of its own"
    assert re.findall(r"<script[^>]*>", answer.text) == ['<script src="/static/live.js" defer>']
    return answer.text


def words(text: str) -> str:
    """What a reader sees, in the order of the markup."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", text.partition("<main")[2])).split())


def test_the_publishers_example_is_in_the_week_at_its_hour_in_every_zone(place: Place) -> None:
    project(place, EXAMPLE)
    with served(Service(appointments=place.appointments())) as client:
        paris = page(client, f"/talents/{TALENT}?{WEEK}&tz=Europe/Paris")
        kathmandu = page(client, f"/talents/{TALENT}?{WEEK}&tz=Asia/Kathmandu")
    assert "Monday 10 July 2023 09:00 – 09:30 30 min Séance Découverte Planned" in words(paris)
    assert "times in Europe/Paris" in words(paris)
    assert re.search(r'class="cluster f4 s3">\s*<a tabindex="-1" class="block planned l0 f0 s3"', paris)
    assert "Monday 10 July 2023 12:45 – 13:15" in words(kathmandu)


def test_a_cancelation_says_by_whom_and_why_and_the_page_as_known_before_shows_the_plan(place: Place) -> None:
    project(
        place,
        as_json(envelope(1, at="2023-07-02T10:00:00.000Z")),
        as_json(envelope(2, at="2023-07-03T10:00:00.000Z", **CANCELED)),
    )
    with served(Service(appointments=place.appointments())) as client:
        now = words(page(client, f"/talents/talent-1?{WEEK}&tz=UTC"))
        then = words(page(client, f"/talents/talent-1?{WEEK}&tz=UTC&as_of=2023-07-02T12:00"))
        before = words(page(client, f"/coaches/coach-1?{WEEK}&tz=UTC&as_of=2023-07-01"))
    assert "Canceled Canceled by coach: coach no longer available. Erreur d’horaire" in now
    assert "As published until 2 July 2023, 12:00:00 UTC" in then
    assert "Canceled" not in then
    assert "No appointments were known in this week." in before


def test_a_page_as_known_at_a_moment_shows_only_what_had_arrived_by_then(place: Place) -> None:
    project(place, as_json(envelope(1)))
    moment = quote(datetime.now(UTC).isoformat())
    with served(Service(appointments=place.appointments())) as client:
        project(place, as_json(envelope(2, **CANCELED)))
        then = page(client, f"/talents/talent-1?{WEEK}&tz=UTC&known_at={moment}")
        before = words(page(client, f"/talents/talent-1?{WEEK}&tz=UTC&known_at=2020-01-01"))
    assert "Séance Découverte Planned Coach" in words(then)
    assert 'data-live=""' in then
    assert "As known at 1 January 2020, 00:00:00 UTC" in before
    assert "No appointments were known in this week." in before


def test_overlapping_ones_reschedules_deleted_and_undated_ones_are_marked(
    client: httpx.Client, sqlite_place: Place
) -> None:
    project(
        sqlite_place,
        as_json(envelope(1, id="a", title="First")),
        as_json(envelope(2, id="b", title="Second", startDate="2023-07-10T09:30:00.000Z")),
        as_json(envelope(3, id="b", title="Second", startDate="2023-07-10T09:45:00.000Z")),
        as_json(envelope(4, id="c", title="Some day", startDate=None, endDate=None)),
        as_json(envelope(5, id="d", title="Gone", deletedAt="2023-07-05T00:00:00.000Z")),
    )
    shown = words(page(client, f"/talents/talent-1?{WEEK}&tz=UTC"))
    assert "First Planned Conflict: at the same time as Second , 10 July 2023, 09:45 UTC" in shown
    assert "Second Planned Rescheduled Conflict: at the same time as First" in shown
    assert "Without a date No date Some day Planned" in shown
    assert "Gone" not in shown
    assert "Gone Planned Deleted" in words(page(client, f"/talents/talent-1?{WEEK}&include_deleted=true"))


def test_an_empty_week_names_the_nearest_appointments_and_weeks_lead_on(
    client: httpx.Client, sqlite_place: Place
) -> None:
    project(
        sqlite_place,
        EXAMPLE,
        as_json(envelope(9, talentId=TALENT, startDate="2023-09-01T09:00:00.000Z", endDate=None)),
    )
    empty = page(client, f"/talents/{TALENT}?week=2023-08-02&tz=UTC")
    assert "The last one before: 10 July 2023, 07:00 UTC" in words(empty)
    assert "The next one after: 1 September 2023, 09:00 UTC" in words(empty)
    assert "?week=2023-07-24&amp;tz=UTC" in empty
    assert "?week=2023-08-07&amp;tz=UTC" in empty


def test_the_page_of_an_appointment_shows_what_each_envelope_changed(
    client: httpx.Client, sqlite_place: Place
) -> None:
    project(sqlite_place, as_json(envelope(2, **CANCELED)), as_json(envelope(1)))
    shown = words(page(client, "/appointments/appointment-1?tz=UTC"))
    assert "Lifecycle Planned 2 July 2023, 00:00:01 UTC envelope 1 Canceled 2 July 2023, 00:00:02 UTC" in shown
    assert "Status PLANNED CANCELED Canceled by none COACH" in shown
    assert "Envelope 1, position 2 Arrived late" in shown


def test_the_overview_counts_finds_by_id_and_pages(client: httpx.Client, sqlite_place: Place) -> None:
    assert "No talents yet: no envelope has arrived." in words(page(client, "/"))
    project(sqlite_place, *(as_json(envelope(n, id=f"a{n}", talentId=f"t{n:02}")) for n in range(1, 31)), b"not JSON")
    overview = page(client, "/")
    assert "Up to date" in words(overview)
    assert "Quarantined 1" in words(overview)
    [more] = re.findall(r'href="(/\?after_talent=[^"]+)"', overview)
    assert "t30" not in overview
    assert "t30" in page(client, unescape(more))
    assert 'href="/talents/t07"' in page(client, "/?q=t07")
    assert 'Appointment <a href="/appointments/a7"' in page(client, "/?q=a7")
    assert "No talent, coach or appointment has this id." in words(page(client, "/?q=nobody"))
    sqlite_place.events().append([as_json(envelope(99))])
    assert "Behind 1 envelope is not projected yet" in words(page(client, "/"))


def test_the_quarantine_can_be_read(client: httpx.Client, sqlite_place: Place) -> None:
    assert "Nothing here." in words(page(client, "/quarantine"))
    sqlite_place.events().append([b"<b>not JSON</b>", as_json(envelope(1, startDate="<i>soon</i>"))])
    shown = page(client, "/quarantine?tz=UTC")
    assert "2 items wait" in words(shown)
    assert "Malformed JSON" in shown
    assert "<i>" not in shown
    assert "Invalid envelope" not in page(client, "/quarantine?after=2")
    assert client.post("/quarantine").status_code == 405


HOSTILE_TITLES = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }}",
    "\u202eright to left",
    "\u2067unclosed isolate",
    "x" * 10_000,
    "bell \x07 and escape \x1b[31m",
    "🙏 é",
)


@pytest.mark.parametrize("title", HOSTILE_TITLES, ids=range(len(HOSTILE_TITLES)))
def test_a_title_is_only_ever_text(client: httpx.Client, sqlite_place: Place, title: str) -> None:
    project(sqlite_place, as_json(envelope(1, title=title, description=title)))
    schedule = page(client, f"/talents/talent-1?{WEEK}")
    one = page(client, "/appointments/appointment-1")
    assert "<img" not in schedule + one
    assert len(schedule) < 20_000
    for text in (schedule, one):
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f]", text.replace("\n", ""))
        body = text.partition("<main")[2]
        assert all("\u202e" in found for found in re.findall(r"<bdi[^>]*>[^<]*\u202e[^<]*</bdi>", body))
        assert "\u202e" not in re.sub(r"<bdi[^>]*>[^<]*</bdi>", "", body)
    assert unescape(re.findall(r'<dd class="text"><bdi>(.*?)</bdi>', one, re.DOTALL)[0]) == re.sub(
        "[\x00-\x08\x0b-\x1f]", "\ufffd", title
    )


HOSTILE_IDS = (
    "a/b",
    ".",
    "..",
    "../etc",
    'a"b',
    "a'b",
    "50%",
    "%2F",
    "a b",
    "a?b#c",
    "é🙏",
    "<b>",
    "a\\b",
    "\u202ex",
    "&amp;",
)


@pytest.mark.parametrize("one", HOSTILE_IDS)
def test_every_id_has_its_page_and_links_lead_to_it(client: httpx.Client, sqlite_place: Place, one: str) -> None:
    project(sqlite_place, as_json(envelope(1, id=one, talentId=one, coachId=one)))
    [talent] = re.findall(r'href="(/talents/[^"]*)"', page(client, "/"))
    shown = page(client, f"{unescape(talent)}{'&' if '?' in talent else '?'}{WEEK}")
    assert "Séance Découverte" in shown
    appointments = set(re.findall(r'href="(/appointments/[^"]*)"', shown))
    [appointment] = appointments
    assert "What each envelope changed" in page(client, unescape(appointment))
    [coach] = set(re.findall(r'<a href="(/coaches/[^"]*)"', shown))
    assert "Séance Découverte" in page(client, unescape(coach))


def test_a_conflict_is_marked_in_the_week_of_one_though_the_other_begins_after_it(
    client: httpx.Client, sqlite_place: Place
) -> None:
    late = {"startDate": "2023-07-16T23:00:00Z", "endDate": "2023-07-17T01:00:00Z"}
    after = {"startDate": "2023-07-17T00:30:00Z", "endDate": "2023-07-17T02:00:00Z"}
    project(
        sqlite_place,
        as_json(envelope(1, id="late", title="Over midnight", **late)),
        as_json(envelope(2, id="after", title="Of Monday", **after)),
        as_json(envelope(3, id="done", title="Held", status="DONE", **after)),
    )
    shown = words(page(client, "/talents/talent-1?week=2023-07-10&tz=UTC"))
    assert "Conflict: at the same time as Of Monday , 17 July 2023, 00:30 UTC" in shown
    assert "Held" not in shown
    assert "at the same time as Over midnight , 16 July" in words(
        page(client, "/talents/talent-1?week=2023-07-17&tz=UTC")
    )


@pytest.mark.parametrize(
    ("path", "status", "expected"),
    [
        ("/talents/x?tz=Nowhere", 400, "expected a time zone such as Europe/Paris, found 'Nowhere'"),
        ("/talents/x?tz=../../etc/passwd", 400, "expected a time zone"),
        ("/talents/x?week=soon", 400, "week: expected a date such as 2023-07-10, found 'soon'"),
        ("/talents/x?week=0001-01-01", 400, "expected a week of the years 1900 to 2999"),
        ("/talents/x?as_of=then", 400, "expected a time such as"),
        ("/talents/x?status=LOST", 400, "expected one of PLANNED, DONE, CANCELED"),
        ("/talents/x?include_deleted=perhaps", 400, "include_deleted: expected true or false"),
        ("/talents/%00", 400, "expected an id that is not blank"),
        ("/talents/%FF", 400, "expected an id as percent-encoded UTF-8"),
        (f"/talents/{'x' * 3000}", 400, "expected an id that is not blank, of at most"),
        ("/talents/", 400, "expected an id that is not blank"),
        ("/talents/%zz", 400, "expected an id as percent-encoded UTF-8"),
        ("/talents/x?tz=UTC&tz=Europe/Paris", 400, "tz: expected once, found 2 times"),
        ("/?q=%00", 400, "id: expected an id that is not blank, of at most 512 bytes"),
        (f"/?q={'x' * 513}", 400, "id: expected an id that is not blank, of at most 512 bytes"),
        ("/appointments/nothing", 404, "no appointment has the id 'nothing'"),
        ("/appointments/%3Cb%3E", 404, "no appointment has the id '<b>'"),
        ("/?after_talent=x", 400, "the cursor does not belong to this question"),
        ("/quarantine?after=-1", 400, "after: expected the number of a quarantined item"),
        ("/static/nothing", 404, "there is no such file"),
    ],
)
def test_what_makes_no_sense_is_answered_with_a_page_that_says_so(
    empty_client: httpx.Client, path: str, status: int, expected: str
) -> None:
    assert expected in words(page(empty_client, path, status=status))


@pytest.mark.parametrize(
    "start", ["0001-01-01T00:00:00.000Z", "1899-12-31T23:30:00.000Z", "9999-12-31T23:00:00.000Z"]
)
def test_an_appointment_in_a_year_without_weeks_takes_no_page_away(
    client: httpx.Client, sqlite_place: Place, start: str
) -> None:
    project(sqlite_place, as_json(envelope(1, startDate=start, endDate=start)))
    one = next(iter(sqlite_place.schedules().talent("talent-1")))
    for path in ("/talents/talent-1", "/coaches/coach-1", f"/appointments/{one.id}"):
        page(client, f"{path}?tz=UTC")


@pytest.mark.parametrize(("week", "rel"), [("1900-01-01", "prev"), ("2999-12-30", "next")])
def test_the_first_and_the_last_week_lead_nowhere_beyond(empty_client: httpx.Client, week: str, rel: str) -> None:
    shown = page(empty_client, f"/talents/talent-1?week={week}&tz=UTC")
    assert re.findall(r'rel="(prev|next)"', shown) == [{"prev": "next", "next": "prev"}[rel]]


def test_where_nothing_is_installed_the_page_names_what_is_missing(sqlite_place: Place) -> None:
    with served(Service(appointments=sqlite_place.appointments())) as client:
        assert "appointments init" in words(page(client, "/", status=503))


def test_the_files_of_the_pages_have_their_types_and_nothing_comes_from_elsewhere(empty_client: httpx.Client) -> None:
    kinds = {
        name: empty_client.get(f"/static/{name}").headers["content-type"]
        for name in ("appointments.css", "live.js", "icon.svg")
    }
    assert kinds == {
        "appointments.css": "text/css; charset=utf-8",
        "live.js": "text/javascript; charset=utf-8",
        "icon.svg": "image/svg+xml",
    }
    for path in (ROOT / "projections" / "web").glob("*/*"):
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", path.read_text()), path


def test_every_place_in_the_grid_has_its_class_in_the_style_sheet(empty_client: httpx.Client) -> None:
    classes = set(re.findall(r"\.([fslh]\d+)\{", empty_client.get("/static/appointments.css").text))
    expected = {*(f"f{row}" for row in range(ROWS_A_DAY)), *(f"s{rows}" for rows in range(1, ROWS_A_DAY + 1))}
    expected |= {*(f"l{lane}" for lane in range(LANES_MAX)), *(f"h{hours}" for hours in range(1, 25))}
    assert classes == expected


def test_undated_ones_are_asked_for_by_themselves(place: Place) -> None:
    project(
        place,
        as_json(envelope(1, id="dated")),
        as_json(envelope(2, id="undated", startDate=None)),
        as_json(envelope(3, id="late", startDate="9999-12-31T23:59:59.999Z", endDate=None)),
        as_json(envelope(4, id="gone", startDate=None, deletedAt="2023-07-05T00:00:00.000Z")),
    )
    schedules: Schedules = place.schedules()
    assert [one.id for one in schedules.undated(Side.TALENT, "talent-1")] == ["undated"]
    assert [one.id for one in schedules.undated(Side.COACH, "coach-1", include_deleted=True)] == ["gone", "undated"]
    assert [one.id for one in schedules.undated(Side.TALENT, "talent-1", as_of=None, limit=1)] == ["undated"]


def test_a_token_of_now_gives_what_comes_after_it(place: Place) -> None:
    project(place, as_json(envelope(1)))
    token = place.schedules().token(Side.TALENT, "talent-1")
    assert list(place.schedules().changes(talent_id="talent-1", since=token)) == []
    project(place, as_json(envelope(2, id="b")))
    assert [one.id for one in place.schedules().changes(talent_id="talent-1", since=token)] == ["b"]


def test_of_many_at_once_the_grid_shows_some_and_says_that_the_list_has_more(
    client: httpx.Client, sqlite_place: Place
) -> None:
    project(sqlite_place, *(as_json(envelope(n, id=f"a{n}", title=f"Number {n}")) for n in range(1, 8)))
    shown = page(client, f"/talents/talent-1?{WEEK}")
    assert shown.count('tabindex="-1" class="block') == LANES_MAX
    assert shown.count('<p class="more">More in the list</p>') == 1
    assert shown.count('<li class="entry') == 7


def test_the_day_on_which_clocks_go_back_says_so_and_shows_both_of_the_hours(
    client: httpx.Client, sqlite_place: Place
) -> None:
    hours = {"startDate": "2023-10-29T00:30:00.000Z", "endDate": "2023-10-29T01:30:00.000Z"}
    project(sqlite_place, as_json(envelope(1, **hours)))
    shown = words(page(client, "/talents/talent-1?week=2023-10-23&tz=Europe/Paris"))
    assert "Sunday 29 October 2023 a day of 25 hours: the clocks change 02:30 CEST – 02:30 CET 1 h" in shown
