"""Metrics: each documented name is emitted and no other, and the values are those of the installation."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from projections import Appointments
from projections.metrics import metrics_text
from projections.rebuilding.progress import Progress
from tests import ROOT
from tests.conftest import Ask, Place
from tests.projections.test_known_at import arrive
from tests.support.builders import as_json, envelope
from tests.support.generations import BrokenOffError


def samples(text: str) -> dict[str, float]:
    """The values by name and labels."""
    return {
        f"{one.name}{dict(sorted(one.labels.items())) or ''}": one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


@pytest.fixture
def lagging(place: Place) -> Place:
    """Two of three envelopes are projected, and two items are quarantined."""
    place.projector()
    place.events().append([as_json(envelope(1, id="a")), as_json(envelope(2, id="b")), b"5", b"{1}"])
    place.projector().catch_up()
    place.events().append([as_json(envelope(3, id="c"))])
    arrive(place, 3, datetime.now(UTC) - timedelta(minutes=10))
    return place


def test_each_documented_name_is_emitted_and_no_other(lagging: Place) -> None:
    readme = (ROOT / "README.md").read_text()
    section = readme[readme.index("- **Metrics:**") : readme.index("- **Logs:**")]
    documented = set(re.findall(r"`(appointments_\w+)`", section))
    emitted = {name.split("{")[0] for name in samples(metrics_text(lagging.appointments()).decode())}
    assert emitted == documented
    assert set(re.findall(r"appointments_\w+", section)) <= documented


def alert_rules() -> str:
    [block] = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    return re.sub(r"(?m)^  ", "", block)


def test_three_alert_rules_are_what_prometheus_reads_and_ask_for_documented_names(lagging: Place) -> None:
    [group] = yaml.safe_load(alert_rules())["groups"]
    assert [set(rule) for rule in group["rules"]] == [{"alert", "expr", "for"}] * 3
    emitted = {name.split("{")[0] for name in samples(metrics_text(lagging.appointments()).decode())}
    for rule in group["rules"]:
        assert re.fullmatch(r"\d+[mh]", rule["for"])
        assert set(re.findall(r"appointments_\w+", rule["expr"])) <= emitted


@pytest.mark.skipif(shutil.which("promtool") is None, reason="there is no promtool here")
def test_promtool_accepts_the_alert_rules(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(alert_rules())
    done = subprocess.run(
        ["promtool", "check", "rules", str(tmp_path / "rules.yml")], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_rebuild_and_a_verification_are_measured(place: Place) -> None:
    place.projector()
    place.events().append([as_json(envelope(1, id="a"))])
    appointments = place.appointments()
    appointments.projector.catch_up()
    appointments.verify()

    def end(progress: Progress) -> None:
        if progress.phase == "index":
            raise BrokenOffError

    with pytest.raises(BrokenOffError):
        appointments.rebuild(processes=1, progress=end)
    found = samples(metrics_text(appointments).decode())
    assert found["appointments_rebuild_unfinished"] == 1
    assert found["appointments_rebuild_partitions_loaded"] == found["appointments_rebuild_partitions"] >= 1
    assert abs(datetime.now(UTC).timestamp() - found["appointments_rebuild_seen_timestamp_seconds"]) < 60
    assert abs(datetime.now(UTC).timestamp() - found["appointments_verification_timestamp_seconds"]) < 60
    assert found["appointments_verification_differences"] == 0


def test_the_values_are_those_of_the_installation(lagging: Place) -> None:
    found = samples(metrics_text(lagging.appointments()).decode())
    assert found["appointments_stored_envelopes"] == 3
    outcomes = {"appended": 3, "duplicate": 0, "ignored": 0, "quarantined": 2}
    for outcome, items in outcomes.items():
        assert found[f"appointments_envelopes_total{{'outcome': '{outcome}'}}"] == items
    assert (found["appointments_head_position"], found["appointments_lag_events"]) == (3, 1)
    assert 600 <= found["appointments_lag_seconds"] < 660
    assert found["appointments_schedule_appointments"] == 2
    assert found["appointments_serving_generation"] == 1
    assert found["appointments_blocked{'reason': 'poison_event'}"] == 0
    assert abs(datetime.now(UTC).timestamp() - found["appointments_last_commit_timestamp_seconds"]) < 60
    assert found["appointments_rebuild_unfinished"] == found["appointments_rebuild_partitions"] == 0
    assert found["appointments_verification_timestamp_seconds"] == 0
    assert math.isnan(found["appointments_verification_differences"])
    labels = {"fold_version": f"{lagging.schedules().stamp().fold_version}", "generation": "1", "state": "ready"}
    assert found[f"appointments_generation_position{labels}"] == 2
    assert found[f"appointments_generation_lag_events{labels}"] == 1
    assert 600 <= found[f"appointments_generation_lag_seconds{labels}"] < 660
    assert found["appointments_quarantined_items{'code': 'malformed_json'}"] == 1
    assert found["appointments_quarantined_items{'code': 'conflict'}"] == 0
    oldest = found["appointments_quarantine_oldest_timestamp_seconds{'code': 'malformed_json'}"]
    assert abs(datetime.now(UTC).timestamp() - oldest) < 60


def test_no_label_is_an_id(lagging: Place) -> None:
    text = metrics_text(lagging.appointments()).decode()
    labels = {
        name for family in text_string_to_metric_families(text) for one in family.samples for name in one.labels
    }
    assert labels == {"version", "fold_version", "generation", "state", "code", "outcome", "reason"}


def test_the_command_prints_the_text_format_and_nothing_else(durable_place: Place, ask: Ask) -> None:
    durable_place.projector()
    status, out, complaints = ask("status", "--prometheus")
    assert (status, complaints) == (0, "")
    assert samples(out)["appointments_stored_envelopes"] == 0
    assert ask("status", "--prometheus", "--json")[:2] == (2, "")


def test_a_question_to_a_database_that_is_away_is_one_line(ask: Ask) -> None:
    status, out, complaint = ask("status", "--prometheus")
    assert (status, out, complaint.count("\n")) == (2, "", 1)


def test_a_health_check_finds_an_envelope_that_waits_for_too_long(durable_place: Place, ask: Ask) -> None:
    durable_place.projector()
    durable_place.events().append([as_json(envelope(1))])
    arrive(durable_place, 1, datetime.now(UTC) - timedelta(minutes=10))
    assert ask("status", "--check")[0] == 0
    assert ask("status", "--check", "--max-lag-seconds", "900")[0] == 0
    status, _, complaint = ask("status", "--check", "--max-lag-seconds", "300")
    assert status == 1
    assert re.fullmatch(r"appointments: the age in seconds of .* is 60\d\.\d+, more than 300.0\n", complaint)


def test_opening_asks_nothing_before_it_is_collected() -> None:
    with Appointments.open("memory:metrics-of-nothing") as appointments:
        assert b"appointments_stored_envelopes 0.0" in metrics_text(appointments)
