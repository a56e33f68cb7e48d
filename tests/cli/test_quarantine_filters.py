"""A quarantine of thousands of items: chosen by filters, counted, retried in batches, discarded by filter."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from domain.envelope import EnvelopeRefused, RefusalCode
from domain.errors import QuarantinedItemNotFound, UsageError
from domain.quarantine import RetryReport
from domain.storage.base import StoredEnvelope
from tests.conftest import Ask, Place
from tests.support.builders import as_json, as_lines, envelope


@pytest.fixture
def filled(place: Place, tmp_path: Path) -> Place:
    """Three of one file, one of another, of two codes."""
    for name, lines in (("a.jsonl", [b"{1}", b"{2}", b"5"]), ("b.jsonl", [b"{3}"])):
        path = tmp_path / name
        path.write_bytes(b"\n".join([*lines, as_json(envelope(1)), as_json(envelope(1))]))
        place.events().append_file(path)
    return place


def numbers(place: Place, **chosen: Any) -> list[int]:
    found = [item.number for item in place.events().quarantine.list(**chosen)]
    assert found == place.events().quarantine.numbers(**chosen)
    return found


def test_items_are_chosen_by_code_source_and_time_of_receipt(filled: Place, tmp_path: Path) -> None:
    assert numbers(filled) == [1, 2, 3, 4]
    assert numbers(filled, code="malformed_json") == [1, 2, 4]
    assert numbers(filled, source=f"{tmp_path}/a.jsonl") == [1, 2, 3]
    assert numbers(filled, source=f"{tmp_path}/a.jsonl", code="malformed_json") == [1, 2]
    third = filled.events().quarantine.show(3).refused.received_at
    assert numbers(filled, since=third)[-2:] == [3, 4]
    assert numbers(filled, since=datetime.now(UTC) + timedelta(hours=1)) == []
    assert [item.number for item in filled.events().quarantine.list(limit=2)] == [1, 2]


def test_filters_that_make_no_sense_are_refused(filled: Place) -> None:
    quarantine = filled.events().quarantine
    with pytest.raises(UsageError, match=r"code: expected one of malformed_json, .*, found 'nonsense'"):
        quarantine.list(code="nonsense")
    with pytest.raises(UsageError, match="since: expected a datetime with an offset"):
        quarantine.numbers(since=datetime(2023, 7, 10))  # noqa: DTZ001
    with pytest.raises(UsageError, match="limit"):
        quarantine.list(limit=0)


def test_items_are_counted_by_code_and_source_with_the_oldest_of_each(filled: Place, tmp_path: Path) -> None:
    quarantine = filled.events().quarantine
    counts = quarantine.counts()
    assert [(one.code, Path(one.source).name, one.items) for one in counts] == [
        ("invalid_envelope", "a.jsonl", 1), ("malformed_json", "a.jsonl", 2), ("malformed_json", "b.jsonl", 1),
    ]  # fmt: skip
    assert counts[1].oldest_at == quarantine.show(1).refused.received_at
    assert [one.items for one in quarantine.counts(source=f"{tmp_path}/b.jsonl")] == [1]
    assert len(quarantine) == 4


def test_a_retry_takes_batches_and_one_transaction_each(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    events = place.events()
    with monkeypatch.context() as patch:
        patch.setattr("domain.decision.read_envelope", refuse_everything)
        events.append(
            [*(as_json(envelope(one)) for one in range(1, 231)), as_json(envelope(7, title="other")), b"{1}"]
        )
    reports: list[RetryReport] = []
    assert events.quarantine.retry(progress=reports.append) == RetryReport(accepted=230, kept=2)
    assert [one.accepted + one.kept for one in reports] == [100, 200, 232]
    assert [item.refused.code for item in events.quarantine.list()] == ["conflict", "malformed_json"]
    assert events.count() == 230


def refuse_everything(_content: Any) -> Any:
    """The validation of older code that knew nothing of such envelopes."""
    raise EnvelopeRefused(RefusalCode.INVALID_ENVELOPE, expected="nothing at all", found="something")


def test_two_items_of_one_batch_that_contradict_each_other_are_decided_in_their_order(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = place.events()
    with monkeypatch.context() as patch:
        patch.setattr("domain.decision.read_envelope", refuse_everything)
        events.append([as_json(envelope(1)), json.dumps(envelope(1)), as_json(envelope(1, title="other"))])
    assert events.quarantine.retry() == RetryReport(accepted=2, kept=1)
    [item] = events.quarantine.list()
    assert (item.number, item.refused.code) == (3, "conflict")
    [stored] = events.stream("appointment-1")
    assert isinstance(stored, StoredEnvelope)


def test_a_number_that_is_not_there_stops_everything_before_it_begins(filled: Place) -> None:
    quarantine = filled.events().quarantine
    for act in (quarantine.retry, quarantine.discard):
        with pytest.raises(QuarantinedItemNotFound):
            act([1, 99])
    assert len(quarantine) == 4


@pytest.fixture
def full(durable_place: Place, tmp_path: Path) -> Place:
    path = tmp_path / "bad.jsonl"
    path.write_bytes(b"".join(b"{%d}\n" % number for number in range(1500)) + as_lines([envelope(1)]))
    durable_place.projector()
    durable_place.events().append_file(path)
    durable_place.events().append([b"7"])
    return durable_place


def test_a_filter_and_a_limit_narrow_the_list(full: Place, ask: Ask) -> None:
    assert len(full.events().quarantine) == 1501
    _, out, _ = ask("quarantine", "list", "--code", "malformed_json", "--limit", "3", "--json")
    assert [one["number"] for one in json.loads(out)["quarantined"]] == [1, 2, 3]
    _, out, _ = ask("quarantine", "list", "--since", "2100-01-01", "--tz", "UTC")
    assert out == "Nothing is quarantined.\n"
    status, out, complaint = ask("quarantine", "list", "--code", "nonsense")
    assert (status, out, complaint.count("\n")) == (2, "", 1)


@pytest.mark.usefixtures("full")
def test_counts_are_printed_for_people_and_programs(ask: Ask) -> None:
    _, out, _ = ask("quarantine", "counts", "--json")
    counts = json.loads(out)["counts"]
    assert [(one["code"], one["items"]) for one in counts] == [("invalid_envelope", 1), ("malformed_json", 1500)]
    assert set(counts[0]) == {"code", "source", "items", "oldest_at"}
    _, out, _ = ask("quarantine", "counts")
    assert "malformed_json" in out
    assert "1,500" in out


def test_a_discard_by_filter_asks_with_the_count(
    full: Place, ask: Ask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for answer, status, left in (("n\n", 1, 1501), ("y\n", 0, 1)):
        (tmp_path / "answer").write_text(answer)
        with (tmp_path / "answer").open() as stdin:
            monkeypatch.setattr("sys.stdin", stdin)
            found, _, said = ask("quarantine", "discard", "--code", "malformed_json")
        assert found == status
        assert said.startswith("Delete 1,500 quarantined items permanently? [y/N] ")
        assert len(full.events().quarantine) == left
    assert ask("quarantine", "discard", "--code", "malformed_json") == (0, "0 discarded\n", "")


def test_numbers_or_a_filter_are_expected_and_not_both(full: Place, ask: Ask) -> None:
    for arguments in (
        ["discard", "--yes"],
        ["discard", "1", "--code", "conflict", "--yes"],
        ["retry", "1", "--source", "-"],
    ):
        status, out, complaint = ask("quarantine", *arguments)
        assert (status, out, complaint.count("\n")) == (2, "", 1)
    assert len(full.events().quarantine) == 1501


@pytest.mark.usefixtures("full")
def test_a_retry_by_filter_leaves_the_others_alone(ask: Ask) -> None:
    assert ask("quarantine", "retry", "--code", "invalid_envelope") == (0, "0 accepted, 1 still quarantined\n", "")
    status, out, _ = ask("quarantine", "retry", "--json")
    assert (status, json.loads(out)) == (0, {"accepted": 0, "kept": 1501})
