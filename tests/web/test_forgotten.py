"""Over HTTP: a forgotten person is 410, and nobody's cache keeps what named them."""

from __future__ import annotations

import pytest

from projections.web.app import Service
from tests.conftest import Place
from tests.support.builders import COACH, TALENT, as_json, envelope
from tests.support.serving import served

PATHS = (
    f"/api/talents/{TALENT}",
    f"/api/talents/{TALENT}/changes",
    f"/api/talents/{TALENT}/conflicts",
    f"/api/talents/{TALENT}/figures",
    f"/api/talents/{TALENT}?as_of=2023-07-10T00:00:00Z",
    f"/talents/{TALENT}",
)


def test_whatever_is_asked_of_a_forgotten_person_is_gone(place: Place) -> None:
    appointments = place.appointments()
    appointments.events.append([as_json(envelope(1))])
    appointments.projector.catch_up()
    own, coachs = (appointments.calendar_links.link(**one) for one in ({"talent_id": TALENT}, {"coach_id": COACH}))
    with served(Service(appointments=place.appointments())) as client:
        paths = [*PATHS, own.path]
        before = {path: client.get(path) for path in [*paths, coachs.path, f"/api/coaches/{COACH}"]}
        assert {one.status_code for one in before.values()} == {200}
        appointments.forget(talent_id=TALENT)
        for path in paths:
            again = client.get(path, headers={"If-None-Match": before[path].headers.get("etag", '"none"')})
            assert again.status_code == 410, path
            assert TALENT not in again.text
        for path in (coachs.path, f"/api/coaches/{COACH}"):
            again = client.get(path, headers={"If-None-Match": before[path].headers["etag"]})
            assert again.status_code == 200, path
            assert "forgotten" in again.text
            assert TALENT not in again.text
        assert "forgotten" in client.get(f"/coaches/{COACH}?week=2023-07-10").text


@pytest.mark.parametrize("path", [f"/?q={TALENT}", "/"])
def test_the_overview_finds_nobody_who_is_forgotten(sqlite_place: Place, path: str) -> None:
    appointments = sqlite_place.appointments()
    appointments.events.append([as_json(envelope(1))])
    appointments.projector.catch_up()
    appointments.forget(talent_id=TALENT)
    with served(Service(appointments=sqlite_place.appointments())) as client:
        answer = client.get(path)
        assert answer.status_code == 200
        assert f"/talents/{TALENT}" not in answer.text
