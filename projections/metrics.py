"""The state of an installation as metrics in Prometheus' text format; `status --prometheus` and `/metrics` print it.

A label is a number, a version or one of a few fixed words; never an id of anybody or anything.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from importlib.metadata import version
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from domain.appointment import current_fold_version
from domain.envelope import RefusalCode
from domain.event_store import EventStore
from domain.storage.base import Outcomes, QuarantineCount
from projections.appointments import Appointments
from projections.status import InstallationStatus
from projections.stores.catalogue import Catalogue, GenerationState

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


def metrics_text(appointments: Appointments) -> bytes:
    """The metrics of an installation as they are now.

    Raises:
        StorageError: the database cannot be used.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(InstallationCollector(appointments))
    return generate_latest(registry)


class InstallationCollector(Collector):
    """Asks what `status` asks, each time it is collected."""

    def __init__(self, appointments: Appointments) -> None:
        self._appointments = appointments

    def describe(self) -> list[Metric]:
        """Nothing, so that registering it asks nothing."""
        return []

    @override
    def collect(self) -> Iterator[Metric]:
        status = self._appointments.status()
        catalogue = self._appointments.catalogue()
        counts = self._appointments.events.quarantine.counts()
        yield _gauge(
            "build_info",
            "The version of this code and of its fold.",
            (("version", "fold_version"), [((version("appointments"), f"{current_fold_version()}"), 1)]),
        )
        yield from _store_metrics(status, self._appointments.events.outcomes())
        yield from _projector_metrics(status)
        yield from _generation_metrics(status, catalogue, self._appointments.events)
        yield from _rebuild_metrics(status)
        yield from _quarantine_metrics(counts)


def _store_metrics(status: InstallationStatus, outcomes: Outcomes) -> Iterator[Metric]:
    yield _one("stored_envelopes", "Envelopes in the event store.", status.events)
    counter = CounterMetricFamily(
        "appointments_envelopes", "Items that were read, by what became of them.", labels=("outcome",)
    )
    for outcome, items in outcomes._asdict().items():
        counter.add_metric((outcome.removesuffix("s"),), items)
    yield counter
    yield _one("head_position", "The highest position of the event store.", status.position + status.lag)
    yield _one(
        "schedule_appointments",
        "Appointments in the serving generation; not a number for a role that may not read them.",
        math.nan if status.appointments is None else status.appointments,
    )
    yield _one("lag_events", "Positions that are not projected yet, of the serving generation.", status.lag)
    yield _one(
        "lag_seconds",
        "How long ago the first envelope that is not projected arrived; 0 when there is none.",
        status.oldest_unprojected_seconds or 0,
    )


def _projector_metrics(status: InstallationStatus) -> Iterator[Metric]:
    yield _gauge(
        "blocked",
        "Whether something stops the projector of the serving generation, by what it is.",
        (("reason",), [(("poison_event",), int(status.blocked_at is not None))]),
    )
    yield _one(
        "last_commit_timestamp_seconds",
        "When a projector last committed a batch to the serving generation; 0 when nobody did.",
        0 if status.projected_at is None else status.projected_at.timestamp(),
    )
    yield _one("set_aside_events", "Events that were set aside, so that the fold passes over them.", status.set_aside)
    yield _one(
        "follower_seen_timestamp_seconds",
        "When a follower last gave a sign of life; 0 when none did for a day.",
        max((one.seen_at.timestamp() for one in status.followers), default=0),
    )


def _generation_metrics(status: InstallationStatus, catalogue: Catalogue, events: EventStore) -> Iterator[Metric]:
    there = [one for one in catalogue.generations if one.state is not GenerationState.DROPPED]
    labels = ("generation", "fold_version", "state")
    named = [((f"{one.number}", f"{one.fold_version}", one.state.value), one) for one in there]
    head = status.position + status.lag
    yield _gauge(
        "generation_position",
        "The position that a generation of the read models has reached.",
        (labels, [(values, one.position) for values, one in named]),
    )
    yield _gauge(
        "generation_lag_events",
        "Positions that are not projected yet, by generation.",
        (labels, [(values, max(0, head - one.position)) for values, one in named]),
    )
    yield _gauge(
        "generation_lag_seconds",
        "How long ago the first envelope that is not projected arrived, by generation; 0 when there is none.",
        (labels, [(values, events.seconds_since_arrival_after(one.position) or 0) for values, one in named]),
    )
    yield _one("serving_generation", "The generation that answers queries.", catalogue.serving)


def _rebuild_metrics(status: InstallationStatus) -> Iterator[Metric]:
    rebuild, verified = status.rebuild, status.last_verification
    yield _one("rebuild_unfinished", "Whether a rebuild runs or was interrupted.", int(rebuild is not None))
    yield _one(
        "rebuild_partitions",
        "The parts into which an unfinished rebuild divides history; 0 when there is none.",
        0 if rebuild is None else rebuild.partitions,
    )
    yield _one(
        "rebuild_partitions_loaded",
        "How many of them are loaded.",
        0 if rebuild is None else rebuild.partitions_loaded,
    )
    yield _one(
        "rebuild_seen_timestamp_seconds",
        "When the unfinished rebuild last gave a sign of life; 0 when there is none.",
        0 if rebuild is None else rebuild.seen_at.timestamp(),
    )
    yield _one(
        "verification_timestamp_seconds",
        "When all of a generation was last compared with history; 0 when it never was.",
        0 if verified is None else verified.verified_at.timestamp(),
    )
    yield _one(
        "verification_differences",
        "The differences that this found; not a number when there was no verification.",
        math.nan if verified is None else verified.differences,
    )


def _quarantine_metrics(counts: list[QuarantineCount]) -> Iterator[Metric]:
    by_code: dict[RefusalCode, list[QuarantineCount]] = {code: [] for code in RefusalCode}
    for one in counts:
        by_code[one.code].append(one)
    yield _gauge(
        "quarantined_items",
        "Items in the quarantine, by the reason they were refused for.",
        (("code",), [((code.value,), sum(one.items for one in found)) for code, found in by_code.items()]),
    )
    yield _gauge(
        "quarantine_oldest_timestamp_seconds",
        "When the oldest item of the quarantine was received, by reason.",
        (
            ("code",),
            [
                ((code.value,), min(one.oldest_at for one in found).timestamp())
                for code, found in by_code.items()
                if found
            ],
        ),
    )


def _one(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"appointments_{name}", help_text, value=value)


def _gauge(name: str, help_text: str, samples: tuple[tuple[str, ...], list[tuple[tuple[str, ...], float]]]) -> Metric:
    labels, values = samples
    metric = GaugeMetricFamily(f"appointments_{name}", help_text, labels=labels)
    for label_values, value in values:
        metric.add_metric(label_values, value)
    return metric
