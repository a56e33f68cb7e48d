"""Open pages are told of changes of what they show, by one thread and one listener for all of them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from html import unescape
from typing import Any

import httpx
import psycopg
import pytest

from domain.storage import open_database
from domain.storage.location import locate
from projections import Changes, Schedules
from projections.rows import Side
from projections.web.app import Service
from projections.web.configuration import Access
from projections.web.live import Watch
from tests.conftest import Place
from tests.support.builders import as_json, envelope
from tests.support.serving import serve_process, served

SECONDS_MAX = 30


def project(place: Place, *envelopes: bytes) -> None:
    place.events().append(envelopes)
    place.projector().catch_up()


@contextmanager
def listening(client: httpx.Client, path: str) -> Iterator[Iterator[str]]:
    """The lines of the stream that a page names, from when it is open."""
    live = unescape(client.get(path).text.partition('data-live="')[2].partition('"')[0])
    with client.stream("GET", live) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = (line for line in stream.iter_lines() if line)
        assert next(lines) == ": alive"
        yield lines


def test_a_page_is_told_within_a_second_of_a_change_of_its_schedule(place: Place) -> None:
    project(place, as_json(envelope(1)))
    with served(Service(appointments=place.appointments())) as client:
        for path in ("/talents/talent-1", "/coaches/coach-1", "/appointments/appointment-1"):
            with listening(client, path) as lines:
                number = place.events().head() + 1
                project(place, as_json(envelope(number, id=f"a-{number}")))
                began = time.monotonic()
                assert next(lines) == "event: changed"
                assert time.monotonic() - began < 1


def test_what_changed_between_a_page_and_its_stream_is_told_too(sqlite_place: Place) -> None:
    project(sqlite_place, as_json(envelope(1)))
    with served(Service(appointments=sqlite_place.appointments())) as client:
        live = unescape(client.get("/talents/talent-1").text.partition('data-live="')[2].partition('"')[0])
        project(sqlite_place, as_json(envelope(2)))
        with client.stream("GET", live) as stream:
            assert "event: changed" in stream.iter_lines()


def test_the_page_of_a_person_who_is_forgotten_is_told_and_others_are_told_on(sqlite_place: Place) -> None:
    project(sqlite_place, as_json(envelope(1)), as_json(envelope(2, id="b", talentId="talent-2")))
    with served(Service(appointments=sqlite_place.appointments())) as client:
        with listening(client, "/talents/talent-2") as others, listening(client, "/talents/talent-1") as lines:
            sqlite_place.appointments().forget(talent_id="talent-1")
            assert next(lines) == "event: changed"
            project(sqlite_place, as_json(envelope(3, id="b", talentId="talent-2")))
            assert next(others) == "event: changed"
        forged = "/live/talents/talent-1?since=" + "A" * 20
        with client.stream("GET", forged) as stream, listening(client, "/talents/talent-2") as others:
            assert "event: changed" in stream.iter_lines()
            project(sqlite_place, as_json(envelope(4, id="b", talentId="talent-2")))
            assert next(others) == "event: changed"


def test_a_page_as_of_a_moment_does_not_listen(sqlite_place: Place) -> None:
    project(sqlite_place, as_json(envelope(1)))
    with served(Service(appointments=sqlite_place.appointments())) as client:
        assert 'data-live=""' in client.get("/talents/talent-1?as_of=2023-07-10").text


@pytest.mark.parametrize(
    "path", ["x", "%FF?since=x", "%00?since=x", "?since=x", "talent-1?since=%00", "talent-1?since=sesame"]
)
def test_a_stream_that_makes_no_sense_is_refused(sqlite_place: Place, path: str) -> None:
    project(sqlite_place, as_json(envelope(1)))
    with served(Service(appointments=sqlite_place.appointments())) as client:
        assert client.get(f"/live/talents/{path}").status_code == 400
        with listening(client, "/talents/talent-1") as lines:  # others are told all the same
            project(sqlite_place, as_json(envelope(2)))
            assert next(lines) == "event: changed"


class CountingSchedules(Schedules):
    asked = 0

    def changes(self, **question: Any) -> Changes:
        self.asked += 1
        return super().changes(**question)


def test_while_nothing_is_projected_nothing_is_asked(memory_place: Place) -> None:
    project(memory_place, as_json(envelope(1)))
    schedules = CountingSchedules(open_database(locate(memory_place.url)))

    async def run() -> None:
        watch = Watch(schedules)
        await opened(watch, "talent-1", schedules.token(Side.TALENT, "talent-1"))
        for _ in range(5):
            memory_place.events().append([as_json(envelope(2))])
            watch._tell()
        assert schedules.asked <= 2  # by the watch's own thread, and perhaps by this one at the same moment

    asyncio.run(run())


async def opened(watch: Watch, owner_id: str, token: str) -> AsyncIterator[bytes]:
    events = watch.changes(Side.TALENT, owner_id, token, closing=asyncio.Event())
    assert await anext(events) == b": alive\n\n"
    return events


def test_changes_of_others_tell_nothing(place: Place) -> None:
    project(place, as_json(envelope(1)))
    schedules = place.schedules()

    async def run() -> None:
        watch = Watch(schedules)
        tokens = [schedules.token(Side.TALENT, talent) for talent in ("talent-1", "talent-2")]
        mine = await opened(watch, "talent-1", tokens[0])
        other = await opened(watch, "talent-2", tokens[1])
        waiting = asyncio.ensure_future(anext(other))
        await asyncio.to_thread(project, place, as_json(envelope(2)))
        assert await asyncio.wait_for(anext(mine), SECONDS_MAX) == b"event: changed\ndata:\n\n"
        assert not waiting.done()
        waiting.cancel()

    asyncio.run(run())


def test_two_hundred_pages_cost_one_thread_and_one_listener(postgres_place: Place) -> None:
    project(postgres_place, as_json(envelope(1)))
    schedules: Schedules = postgres_place.schedules()

    async def run() -> None:
        watch = Watch(schedules)
        token = schedules.token(Side.TALENT, "talent-1")
        before = threading.active_count()
        pages = [await opened(watch, "talent-1", token) for _ in range(200)]
        await asyncio.to_thread(project, postgres_place, as_json(envelope(2)))
        told = await asyncio.wait_for(asyncio.gather(*(anext(page) for page in pages)), SECONDS_MAX)
        assert set(told) == {b"event: changed\ndata:\n\n"}
        # The thread that waits, the one that listens to PostgreSQL, and the one in which this test projects.
        assert threading.active_count() - before <= 3
        with psycopg.connect(postgres_place.url) as connection:
            listeners = connection.execute(
                "SELECT COUNT(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%%' OR query = '-- LISTEN goes on'"
            ).fetchone()
        assert listeners == (1,)
        for page in pages:
            await page.aclose()  # type: ignore[attr-defined] # it is a generator
        assert watch.pages == 0

    asyncio.run(run())


def test_open_pages_do_not_hold_up_the_end_of_the_service(durable_place: Place) -> None:
    project(durable_place, as_json(envelope(1)))
    with serve_process(*durable_place.arguments) as server, server.client() as client:
        with listening(client, "/talents/talent-1") as lines:
            server.process.terminate()
            assert list(lines) == []
        assert server.process.wait(5) == 0


def test_a_stream_asks_for_the_services_token_as_its_page_does(sqlite_place: Place) -> None:
    project(sqlite_place, as_json(envelope(1)))
    token = "a-token-of-the-service"
    access = Access(token=token)
    with served(Service(appointments=sqlite_place.appointments(), access=access)) as client:
        assert client.get("/live/talents/talent-1?since=x").status_code == 401
        client.auth = ("anybody", token)  # as a browser sends it
        with listening(client, "/talents/talent-1") as lines:
            project(sqlite_place, as_json(envelope(2)))
            assert next(lines) == "event: changed"
