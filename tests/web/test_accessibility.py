"""Every page keeps the rules of WCAG 2.2 AA that axe-core can check, narrow and light, wide and dark."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import pytest
from playwright.sync_api import Browser

from projections.web.app import Service
from tests.conftest import Place
from tests.support.browser import chromium, opened, violations
from tests.support.sample_week import COACH, TALENT, sample_week
from tests.support.serving import served

WEEK = "week=2023-07-10&tz=Europe/Paris"
PATHS = (
    "/",
    "/?q=atelier",
    f"/talents/{TALENT}?{WEEK}",
    f"/coaches/{COACH}?{WEEK}&known_at=2023-07-09T12:00:06",
    f"/talents/{TALENT}?tz=UTC",
    "/appointments/atelier",
    "/quarantine",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def url(sqlite_place: Place) -> Iterator[str]:
    appointments = sqlite_place.appointments()
    appointments.events.append([*sample_week(), b"not JSON"])
    appointments.projector.catch_up()
    with served(Service(appointments=appointments)) as client:
        yield str(client.base_url)


@pytest.mark.parametrize(("scheme", "width"), [("light", 360), ("dark", 1600)])
def test_axe_finds_nothing_on_any_page(
    browser: Browser, url: str, scheme: Literal["light", "dark"], width: int
) -> None:
    with opened(browser, url, color_scheme=scheme, viewport={"width": width, "height": 900}) as page:
        found = []
        for path in PATHS:
            page.goto(path)
            found += [f"{path}: {one}" for one in violations(page)]
    assert found == []
