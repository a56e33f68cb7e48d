"""The receipt of an erasure: what was done for a person whose id it does not hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Self

from domain.envelope import utc_moment
from domain.person import Side

OUT_OF_SCOPE: Final = ("WAL archives", "replicas", "backups", "the publisher", "exported calendars")
"""Where an erasure does not reach."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was found of a person in one place, and whether a search afterwards found none; None: not yet searched."""

    count: int
    verified: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The record of one erasure in the ledger.

    Attributes:
        number: counts the erasures of an installation; 0 before it is stored.
        digest: of side and id, by the installation's secret.
        key: names that secret; under another one the digest says nothing.
        reference: the requester's, as it was given.
        envelopes: how many stored envelopes were masked.
        streams: of how many appointments they are.
        places: what was found where.
        scrubbed_at: when what was overwritten was also gone from the files; None: not yet.
        lifted_at: when it was decided to store this person again; None: never.
    """

    number: int = 0
    at: datetime
    side: Side
    digest: str
    key: str
    reference: str | None = None
    envelopes: int = 0
    streams: int = 0
    places: Mapping[str, Found] = field(default_factory=dict)
    scrubbed_at: datetime | None = None
    lifted_at: datetime | None = None

    @property
    def verified(self) -> bool:
        """Whether a search of every place found nothing afterwards."""
        return all(one.verified for one in self.places.values())

    def to_json(self) -> dict[str, Any]:
        """The document of `forget --json`."""
        return {
            "number": self.number,
            "at": _plain(self.at),
            "side": str(self.side),
            "reference": self.reference,
            "digest": self.digest,
            "key": self.key,
            "envelopes": self.envelopes,
            "streams": self.streams,
            "places": {
                name: {"count": one.count, "verified": one.verified} for name, one in sorted(self.places.items())
            },
            "verified": self.verified,
            "scrubbed_at": _plain(self.scrubbed_at),
            "lifted_at": _plain(self.lifted_at),
            "out_of_scope": list(OUT_OF_SCOPE),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The receipt of a document.

        Raises:
            ValueError, KeyError, TypeError: it is none.
        """
        places = {name: Found(int(one["count"]), one["verified"]) for name, one in document["places"].items()}
        return cls(
            number=int(document["number"]),
            at=utc_moment(document["at"]),
            side=Side(document["side"]),
            digest=_hexadecimal(document["digest"], 64),
            key=_hexadecimal(document["key"], 16),
            reference=None if document["reference"] is None else str(document["reference"]),
            envelopes=int(document["envelopes"]),
            streams=int(document["streams"]),
            places=places,
            scrubbed_at=_moment(document["scrubbed_at"]),
            lifted_at=_moment(document["lifted_at"]),
        )


def _plain(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _moment(text: str | None) -> datetime | None:
    return None if text is None else utc_moment(text)


def _hexadecimal(text: str, length: int) -> str:
    if len(text) != length or set(text) - set("0123456789abcdef"):
        raise ValueError(f"expected {length} hexadecimal digits")
    return text
