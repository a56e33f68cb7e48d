"""Calendar feeds: a person's own schedule for whoever has the link, in a form that calendars read."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from icalendar import Calendar

from domain.errors import UsageError
from projections import Appointments
from projections.rows import Side
from projections.web.app import Service
from projections.web.configuration import Access
from tests.conftest import Ask, Place
from tests.support.builders import as_json, envelope
from tests.support.serving import served

CANCELED = {
    "status": "CANCELED",
    "canceledBy": "COACH",
    "cancelationReason": "COACH_NO_LONGER_AVAILABLE",
    "cancelationExplanation": "Erreur d’horaire : 9 h, pas 10 h",
}


def project(place: Place, *envelopes: dict[str, Any]) -> None:
    place.events().append(as_json(one) for one in envelopes)
    place.projector().catch_up()


def events_of(answer: httpx.Response) -> dict[str, Any]:
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/calendar; charset=utf-8")
    return {str(one["UID"]): one for one in Calendar.from_ical(answer.content).walk("VEVENT")}


def installed(place: Place) -> Appointments:
    place.projector()
    return place.appointments()


def test_a_person_has_one_link_that_stays_the_same_until_it_is_revoked(place: Place) -> None:
    links = installed(place).calendar_links
    link = links.link(talent_id="talent-1")
    assert links.link(talent_id="talent-1") == link
    assert links.find(link.token) == link
    assert len({link.token, links.link(coach_id="talent-1").token, links.link(talent_id="talent-2").token}) == 3
    assert len(link.token) >= 43
    assert links.revoke(talent_id="talent-1") is True
    assert links.revoke(talent_id="talent-1") is False
    assert links.find(link.token) is None
    assert links.link(talent_id="talent-1") != link
    assert (link.side, link.owner_id) == (Side.TALENT, "talent-1")


def test_two_who_ask_for_a_first_link_at_once_get_the_same(place: Place) -> None:
    links = installed(place).calendar_links
    with ThreadPoolExecutor(8) as executor:
        found = list(executor.map(lambda _: links.link(coach_id="coach-1"), range(16)))
    assert len(set(found)) == 1


@pytest.mark.parametrize("token", ["", "x", "é", "a\0b", "x" * 300, "%"])
def test_what_is_no_token_finds_nothing(place: Place, token: str) -> None:
    assert installed(place).calendar_links.find(token) is None


def test_a_link_is_of_a_talent_or_a_coach(memory_place: Place) -> None:
    links = memory_place.appointments().calendar_links
    with pytest.raises(UsageError, match="one of the two"):
        links.link()
    with pytest.raises(UsageError, match="talent_id: expected an id"):
        links.link(talent_id=" ")


def test_a_feed_says_what_is_planned_and_who_canceled_what_and_why(place: Place) -> None:
    project(place, envelope(1, description="Bilan"), envelope(2, id="gone", deletedAt="2023-07-05T00:00:00.000Z"))
    link = place.appointments().calendar_links.link(talent_id="talent-1")
    with served(Service(appointments=place.appointments())) as client:
        planned = events_of(client.get(link.path))["appointment-1"]
        project(place, envelope(3, description="Bilan", **CANCELED))
        canceled = events_of(client.get(link.path))
    assert (str(planned["STATUS"]), int(planned["SEQUENCE"])) == ("CONFIRMED", 0)
    one = canceled["appointment-1"]
    assert (str(one["STATUS"]), int(one["SEQUENCE"])) == ("CANCELLED", 1)
    assert str(one["DESCRIPTION"]).split("\n\n") == [
        "Bilan",
        "Canceled by COACH: COACH_NO_LONGER_AVAILABLE",
        "Erreur d’horaire : 9 h, pas 10 h",
    ]
    assert (str(one["X-CANCELED-BY"]), str(one["X-CANCELATION-REASON"])) == ("COACH", "COACH_NO_LONGER_AVAILABLE")
    assert str(canceled["gone"]["STATUS"]) == "CANCELLED"


def test_a_feed_that_has_not_changed_is_not_sent_again(place: Place) -> None:
    project(place, envelope(1))
    link = place.appointments().calendar_links.link(coach_id="coach-1")
    with served(Service(appointments=place.appointments())) as client:
        first = client.get(link.path)
        tag = first.headers["etag"]
        project(place, envelope(2, id="other", coachId="coach-2"))
        for condition in (tag, f"W/{tag}", f'"x", {tag}'):
            again = client.get(link.path, headers={"If-None-Match": condition})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        project(place, envelope(3))
        changed = client.get(link.path, headers={"If-None-Match": tag})
        assert changed.status_code == 200
        assert changed.headers["etag"] != tag
        assert changed.headers["cache-control"] == "private, no-cache"
        assert client.head(link.path).headers["etag"] == changed.headers["etag"]


def test_an_empty_schedule_is_a_valid_calendar(sqlite_place: Place) -> None:
    link = installed(sqlite_place).calendar_links.link(talent_id="nobody")
    with served(Service(appointments=sqlite_place.appointments())) as client:
        answer = client.get(link.path)
    assert events_of(answer) == {}
    calendar = Calendar.from_ical(answer.content)
    assert (str(calendar["VERSION"]), str(calendar["METHOD"])) == ("2.0", "PUBLISH")
    assert [one.name for one in calendar.subcomponents] == ["VTIMEZONE"]  # RFC 5545 asks for a component


def test_a_link_opens_its_feed_without_the_services_token_and_nothing_else(sqlite_place: Place) -> None:
    project(sqlite_place, envelope(1))
    links = sqlite_place.appointments().calendar_links
    link = links.link(talent_id="talent-1")
    access = Access(token="a-token-of-the-service")
    with served(Service(appointments=sqlite_place.appointments(), access=access)) as client:
        assert client.get(link.path).status_code == 200
        bearer = {"Authorization": f"Bearer {link.token}"}
        assert client.get("/talents/talent-1", headers=bearer).status_code == 401
        assert client.get("/talents/talent-1").status_code == 401
        links.revoke(talent_id="talent-1")
        for path in (link.path, "/calendar/x.ics", f"/calendar/{link.token}", "/calendar/%00.ics", "/calendar/"):
            answer = client.get(path)
            assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_the_command_prints_the_path_and_revokes_it(durable_place: Place, ask: Ask) -> None:
    durable_place.projector()
    status, path, _ = ask("calendar-link", "--talent", "talent-1")
    assert (status, path[:10], path[-5:]) == (0, "/calendar/", ".ics\n")
    assert ask("calendar-link", "--talent", "talent-1")[1] == path
    assert json.loads(ask("calendar-link", "--talent", "talent-1", "--json")[1]) == {
        "talent_id": "talent-1",
        "path": path.strip(),
    }
    assert ask("calendar-link", "--talent", "talent-1", "--revoke")[:2] == (0, "revoked\n")
    assert json.loads(ask("calendar-link", "--talent", "talent-1", "--revoke", "--json")[1]) == {
        "talent_id": "talent-1",
        "revoked": False,
    }
    assert ask("calendar-link", "--coach", "c", "--talent", "t")[0] == 2
    assert ask("calendar-link", "--talent", "talent-1")[1] != path


def test_the_command_on_no_installation_names_init(ask: Ask) -> None:
    status, out, complaint = ask("calendar-link", "--talent", "t")
    assert (status, out) == (2, "")
    assert "appointments init" in complaint
