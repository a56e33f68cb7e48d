"""The pages in a real browser; `python -m tests.web.test_browser` makes the README's picture anew."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from icalendar import Calendar
from playwright.sync_api import Browser, Page, expect
from standardwebhooks.webhooks import Webhook

from projections import Appointments
from projections.web.app import Service
from tests import DATA, ROOT
from tests.conftest import Place
from tests.support.browser import chromium, opened
from tests.support.builders import as_json, envelope
from tests.support.sample_week import CANCELATION, COACH, TALENT, sample_week
from tests.support.serving import ServerProcess, serve_process, served

EXAMPLE = (DATA / "VCSessionScheduledEvent.v1.example.json").read_bytes()
APPOINTMENT = "cc62fba4-ac9a-4b71-b5b8-5ac030a5c145"
SECRET = "whsec_" + "c2VjcmV0" * 4
WEEK = f"/talents/{TALENT}?week=2023-07-10&tz=Europe/Paris"
PICTURE = DATA / "week.png"
PICTURE_BYTES_MAX = 200_000
PATHS = ("/", WEEK, f"/talents/{TALENT}", "/appointments/atelier", "/quarantine", "/?q=nothing")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def url(sqlite_place: Place) -> Iterator[str]:
    """The address of a service that shows the sample week."""
    appointments = sqlite_place.appointments()
    appointments.events.append([EXAMPLE, *sample_week(), b"not JSON"])
    appointments.projector.catch_up()
    with served(Service(appointments=appointments)) as client:
        yield str(client.base_url)


def deliver(server: ServerProcess, content: bytes) -> None:
    """Pushes an envelope as the publisher does: signed."""
    now = datetime.now(UTC)
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(SECRET).sign("msg_1", now, content.decode()),
    }
    answer = httpx.post(f"{server.url}/envelopes", content=content, headers=headers, timeout=60)
    assert (answer.status_code, answer.json()["appended"]) == (200, 1)


def hour_of(page: Page, title: str) -> str:
    """The hour of the grid at whose height an appointment stands."""
    top = page.locator(".grid .block", has_text=title).bounding_box()
    hours = page.locator(".grid .hour")
    assert top is not None
    heights = {
        label: box["y"] for label, box in ((one.inner_text(), one.bounding_box()) for one in hours.all()) if box
    }
    return min(heights, key=lambda label: abs(heights[label] - top["y"]))


def test_a_page_that_is_open_when_its_person_is_forgotten_shows_nothing_of_it_any_more(
    browser: Browser, url: str, sqlite_place: Place
) -> None:
    context = browser.new_context(base_url=url)
    page = context.new_page()
    with page.expect_response(re.compile("/live/talents/")):
        page.goto(WEEK)
    expect(page.get_by_role("link", name="Atelier").first).to_be_visible()
    sqlite_place.appointments().forget(talent_id=TALENT)
    expect(page.locator("main")).to_contain_text("this talent was forgotten", timeout=5_000)
    assert "Atelier" not in page.content()
    context.close()


def test_from_an_empty_installation_to_a_cancelation_that_turns_by_itself_and_back_in_time(
    browser: Browser, sqlite_place: Place, tmp_path: Path
) -> None:
    (tmp_path / "secrets").write_text(f"{SECRET}\n")
    arguments = ("--intake", "--project", "--webhook-secret-file", str(tmp_path / "secrets"), *sqlite_place.arguments)
    with (
        serve_process(*arguments) as server,
        opened(browser, server.url, viewport={"width": 1600, "height": 900}) as page,
    ):
        deliver(server, EXAMPLE)
        page.goto(WEEK)
        expect(page.locator(".grid .block")).to_have_count(1)
        assert hour_of(page, "Séance Découverte") == "09:00"
        page.get_by_label("Time zone").fill("America/New_York")
        page.get_by_role("button", name="Switch").click()
        expect(page.locator(".scope")).to_contain_text("America/New_York")
        assert hour_of(page, "Séance Découverte") == "03:00"
        page.goto(WEEK)

        before = datetime.now(UTC)
        page.evaluate("window.isTheSame = true")
        with page.expect_response(re.compile("/live/talents/")):  # the stream of the page is open
            page.reload()
        page.evaluate("window.isTheSame = true")
        deliver(server, cancelation())
        expect(page.locator(".days .entry .status")).to_have_text("Canceled", timeout=2_000)
        expect(page.locator(".grid .block .word")).to_have_text("Canceled")
        expect(page.locator(".days .why")).to_contain_text("Canceled by coach: coach no longer available.")
        expect(page.get_by_role("status")).to_contain_text("The schedule has changed")
        assert page.evaluate("window.isTheSame") is True

        page.get_by_label("As known at").fill(local_field(before))
        page.get_by_role("button", name="Go back").click()
        expect(page.locator(".notice")).to_contain_text("As known at")
        expect(page.locator(".days .entry .status")).to_have_text("Planned")
        page.get_by_role("link", name="Back to the present").click()
        expect(page.locator(".days .entry .status")).to_have_text("Canceled")

        [event] = subscribed(server, sqlite_place).walk("VEVENT")
        assert (str(event["STATUS"]), str(event["SEQUENCE"])) == ("CANCELLED", "1")


def cancelation() -> bytes:
    fields = {"talentId": TALENT, "coachId": COACH, "title": "Séance Découverte"}
    times = {"startDate": "2023-07-10T07:00:00.643Z", "endDate": "2023-07-10T07:30:00.188Z"}
    return as_json(envelope(6_200_000, id=APPOINTMENT, **fields, **times, **CANCELATION))


def local_field(moment: datetime) -> str:
    """A moment as a field in the zone of the page, Europe/Paris, holds it."""
    from zoneinfo import ZoneInfo

    return moment.astimezone(ZoneInfo("Europe/Paris")).replace(tzinfo=None).isoformat(timespec="milliseconds")


def subscribed(server: ServerProcess, place: Place) -> Calendar:
    """What a calendar program gets that subscribes by the path which the command prints."""
    command = [sys.executable, "-m", "projections", "calendar-link", "--talent", TALENT, *place.arguments]
    path = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    calendar = Calendar.from_ical(httpx.get(server.url + path, timeout=60).content)
    assert isinstance(calendar, Calendar)
    return calendar


def test_everything_is_reached_by_keyboard_and_shows_where_it_is(browser: Browser, url: str) -> None:
    with opened(browser, url, viewport={"width": 1600, "height": 900}) as page:
        page.goto(WEEK)
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        reached = walk(page)
        every = page.locator("a[href]:not([tabindex='-1']), button, input:not([type=hidden])").count()
        assert len(set(reached)) >= every
        assert [one for one in reached if one.startswith("focus is not seen")] == []

        page.goto("/")
        page.get_by_label("Find by id").focus()
        page.keyboard.type(TALENT)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Found under")).to_be_visible()
        page.locator("section.notice a").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_contain_text(TALENT)
        page.get_by_role("link", name="The last one before").focus()
        page.keyboard.press("Enter")
        page.get_by_role("link", name="Previous week").focus()
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Next week →"


def walk(page: Page) -> list[str]:
    """What the Tab key reaches, until it comes back to the beginning."""
    seen = """() => {
        const one = document.activeElement, box = one.getBoundingClientRect(), style = getComputedStyle(one);
        if (one === document.body) return "";
        const name = `${[...document.querySelectorAll("*")].indexOf(one)} ${one.localName} ${one.id}`;
        const isSeen = style.outlineStyle !== "none" && box.width && box.right > 0 && box.left < innerWidth;
        return isSeen ? name : `focus is not seen: ${name}`;
    }"""
    reached: list[str] = []
    while (found := page.evaluate(seen)) and found not in reached[:1] and len(reached) < 400:
        reached.append(found)
        page.keyboard.press("Tab")
    return reached


@pytest.mark.parametrize("width", [360, 1600])
@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_wider_than_the_window(browser: Browser, url: str, path: str, width: int) -> None:
    with opened(browser, url, viewport={"width": width, "height": 800}) as page:
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") == width


def test_a_wide_window_and_paper_show_the_grid_and_a_narrow_one_the_list(browser: Browser, url: str) -> None:
    with opened(browser, url, viewport={"width": 360, "height": 800}) as page:
        page.goto(WEEK)
        expect(page.locator(".grid")).to_be_hidden()
        expect(page.locator(".days .entry").first).to_be_visible()
        page.emulate_media(media="print")
        expect(page.locator(".grid")).to_be_visible()
        expect(page.locator(".controls")).to_be_hidden()
        page.emulate_media(media="screen")
        page.set_viewport_size({"width": 1600, "height": 800})
        expect(page.locator(".grid")).to_be_visible()


def test_without_a_script_every_form_and_link_works(browser: Browser, url: str) -> None:
    with opened(browser, url, java_script_enabled=False) as page:
        page.goto(WEEK)
        page.get_by_label("Week of").fill("2023-07-19")
        page.get_by_role("button", name="Show").click()
        expect(page.locator(".scope")).to_contain_text("Monday 17 July 2023")
        expect(page.locator(".scope")).to_contain_text("Europe/Paris")
        page.get_by_role("link", name="Previous week").click()
        page.get_by_role("link", name="Atelier").click()
        expect(page.get_by_role("heading", name="What each envelope changed")).to_be_visible()
        page.get_by_role("link", name="The talent’s week as published until then").first.click()
        expect(page.locator(".notice")).to_contain_text("As published until 9 July 2023, 12:00:05 CEST")
        assert "tz=Europe%2FParis" in page.url


def test_a_title_runs_nothing_in_the_browser(browser: Browser, sqlite_place: Place) -> None:
    title = "<script>document.title = 'run'</script><img src=x onerror=\"document.title = 'run'\">\u202e"
    sqlite_place.events().append([as_json(envelope(1, title=title, description=title, talentId="<b>"))])
    sqlite_place.projector().catch_up()
    with served(Service(appointments=sqlite_place.appointments())) as client:
        for path in ("/talents/%3Cb%3E?week=2023-07-10", "/appointments/appointment-1", "/"):
            with opened(browser, str(client.base_url)) as page:
                page.goto(path)
                assert page.locator("img").count() == 0
                assert page.title().endswith("– Appointments")


def test_the_focus_stays_where_it_was_when_the_answer_is_swapped(
    browser: Browser, url: str, sqlite_place: Place
) -> None:
    with opened(browser, url, viewport={"width": 1600, "height": 900}) as page:
        with page.expect_response(re.compile("/live/talents/")):
            page.goto(WEEK)
        page.get_by_role("link", name="Bilan à mi-parcours").first.focus()
        focused = page.evaluate("document.activeElement.href")
        sqlite_place.events().append([as_json(envelope(7_000_099, id="new", talentId=TALENT))])
        sqlite_place.projector().catch_up()
        expect(page.get_by_role("status")).to_contain_text("The schedule has changed")
        assert page.evaluate("document.activeElement.href") == focused


def picture(browser: Browser, url: str) -> bytes:
    """The week grid as the README shows it."""
    with opened(browser, url, viewport={"width": 1400, "height": 800}, color_scheme="light") as page:
        page.goto(WEEK)
        grid = page.locator(".grid").bounding_box()
        assert grid is not None
        clip = {"x": 0, "y": 0, "width": 1400, "height": grid["y"] + grid["height"] + 24}
        return page.screenshot(full_page=True, clip=clip)  # type: ignore[arg-type] # a TypedDict of Playwright's


def size_of(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG")
    return int.from_bytes(png[16:20]), int.from_bytes(png[20:24])


def test_the_readme_shows_the_week_as_it_looks(browser: Browser, url: str) -> None:
    made, kept = picture(browser, url), PICTURE.read_bytes()
    assert len(kept) < PICTURE_BYTES_MAX
    assert size_of(kept)[0] == size_of(made)[0]
    assert abs(size_of(kept)[1] - size_of(made)[1]) < 40, "python -m tests.web.test_browser makes it anew"
    assert str(PICTURE.relative_to(ROOT)) in (ROOT / "README.md").read_text(encoding="utf-8")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, Appointments.open(f"sqlite:///{folder}/week.db") as appointments:
        appointments.events.append([EXAMPLE, *sample_week()])
        appointments.projector.catch_up()
        with served(Service(appointments=appointments)) as client, chromium() as opened_browser:
            PICTURE.write_bytes(picture(opened_browser, str(client.base_url)))
