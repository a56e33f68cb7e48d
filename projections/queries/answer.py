"""What every answer has in common: its stamp, its JSON document, and that one can loop over it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from domain.identifiers import Generation, Position
from projections.queries.documents import document_of
from projections.stores.base import Stamp

Element_co = TypeVar("Element_co", covariant=True)


@dataclass(frozen=True, kw_only=True)
class Answer(ABC):
    """A frozen answer of the read models.

    Without slots, so that an `Appointment`, which has them, can be an answer as well.

    Attributes:
        stamp: the state of the read models that the answer was taken from.
    """

    stamp: Stamp

    @property
    def position(self) -> Position:
        """The envelopes up to this position are in the answer, later ones are not."""
        return self.stamp.position

    @property
    def lag(self) -> int:
        """How many positions the event store was ahead of that."""
        return self.stamp.lag

    @property
    def generation(self) -> Generation:
        """The generation of the read models that answered."""
        return self.stamp.generation

    @abstractmethod
    def _document(self) -> Mapping[str, Any]:
        """The members of the JSON document, with times and enumerations as Python has them."""

    def to_json(self) -> dict[str, Any]:
        """The document that the command of the same name prints with `--json`, ready for `json.dumps`."""
        return document_of(self._document())


class Listed(Sequence[Element_co]):
    """An answer that is also the sequence of what was asked for: one can loop over it, index it and take its `len`.

    A subclass says in `_elements` which of its fields holds them.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def _elements(self) -> tuple[Element_co, ...]: ...

    def __len__(self) -> int:
        return len(self._elements)

    @overload
    def __getitem__(self, index: int) -> Element_co: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Element_co, ...]: ...
    def __getitem__(self, index: int | slice) -> Element_co | tuple[Element_co, ...]:
        return self._elements[index]


def counted(number: int, one: str, *, many: str | None = None) -> str:
    """A number with its noun in the singular or the plural: "1 conflict", "1,000 coaches"."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
