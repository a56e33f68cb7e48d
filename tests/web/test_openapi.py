"""The OpenAPI document is whole, and the service keeps to it as far as schemathesis finds out.

`TEST_OPENAPI_EXAMPLES=100` makes it search longer, in every phase.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from projections import Appointments
from projections.web.app import Service
from projections.web.configuration import Access
from tests.support.builders import envelope
from tests.support.serving import served

TOKEN = "t" * 32
EXAMPLES = os.environ.get("TEST_OPENAPI_EXAMPLES")


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with Appointments.open("memory:openapi") as appointments:
        appointments.events.append([envelope(1, id="a"), envelope(2, id="b", status="DONE")])
        appointments.projector.catch_up()
        service = Service(appointments=appointments, intake=appointments, access=Access(intake_token=TOKEN))
        with served(service) as client:
            yield client


def references(document: Any) -> Iterator[str]:
    if isinstance(document, dict):
        yield from (value for name, value in document.items() if name == "$ref")
        document = list(document.values())
    if isinstance(document, list):
        for part in document:
            yield from references(part)


def test_every_reference_leads_somewhere_and_every_schema_is_used(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    found = set(references(document))
    assert document["openapi"].startswith("3.1")
    assert found == {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}


@pytest.mark.timeout(1200)
def test_schemathesis_finds_no_fault(client: httpx.Client, tmp_path: Path) -> None:
    search = ["--max-examples", EXAMPLES] if EXAMPLES else ["--max-examples", "2", "--phases", "fuzzing"]
    done = subprocess.run(
        [
            Path(sys.executable).parent / "schemathesis", "run", f"{client.base_url}/openapi.json",
            "--header", f"Authorization: Bearer {TOKEN}", *search, "--generation-database", "none", "--no-color",
        ],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
