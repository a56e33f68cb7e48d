"""Forgetting a person: out of the event store in one transaction, then out of the read models, then proven."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

from domain.arguments import identifier, optional, text
from domain.erasure import Candidates, Erased, candidates, erase, recognised, what_is_stored
from domain.errors import AppointmentsError, RebuildRunning, UsageError
from domain.event_store import EventStore
from domain.identifiers import Generation
from domain.ledger import Ledger
from domain.masking import FORGOTTEN
from domain.person import Person, Side
from domain.receipt import Found, Receipt
from domain.storage import Database, recorder_of
from domain.storage.arrivals import arrival_now
from domain.storage.base import AppendTransaction
from projections.projector import Projector
from projections.stores import erasing_of, generations_of, store_of
from projections.stores.catalogue import GenerationState

_REFERENCE_BYTES_MAX: Final = 200


class Forgetting:
    """The forgotten persons of one installation; `Appointments.forgetting` is the one to use."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._recorder = recorder_of(database)
        self._events = EventStore(database)
        self._erasing = erasing_of(database)

    def receipts(self) -> list[Receipt]:
        """Every receipt, those that were lifted too, by number."""
        self._recorder.check()
        return self._recorder.ledger.receipts()

    def receipt(self, person: Person) -> Receipt | None:
        """The receipt of a person who is forgotten, or None."""
        self._recorder.check()
        digest = self._recorder.ledger.read().digest(person)
        return next((one for one in self.receipts() if one.digest == digest and one.lifted_at is None), None)

    def unscrubbed_count(self) -> int:
        """How many erasures the files may still show."""
        return self._recorder.ledger.unscrubbed_count()

    def known(self, person_id: str) -> list[Person]:
        """The talent and the coach with an id, as far as the read models hold such or one was forgotten."""
        persons = [Person(side, person_id) for side in Side]
        return [one for one in persons if self._erasing.rows(one) or self.receipt(one)]

    def preview(self, person: Person) -> Receipt:
        """What `erase` would do now, as a receipt without a number; changes nothing."""
        self._check(person)
        return self._receipt(person, self._recorder.ledger.read(), self._stored(person), None)

    def erase(self, person: Person, *, reference: str | None = None) -> Receipt:
        """Forgets a person in one transaction of the event store; the receipt is not verified yet.

        Projectors then erase the person from the read models: see `verified`. Who is forgotten already stays so, and
        the receipt is the earlier one.

        Raises:
            PoisonEvent: a stored event that names the person cannot be read; nothing was changed.
            StorageError: the database cannot be used, or the role lacks a right; nothing was changed.
        """
        self._check(person)
        reference = _checked(reference)
        store_of(self._database).catalogue()
        known = self.receipt(person)
        while known is None:
            rows, found = self._erasing.rows(person), candidates(self._recorder, person)
            with self._recorder.appending() as append:
                if not append.ledger.is_forgotten(person):
                    return self._erase(append, person, found, rows, reference)
            known = self.receipt(person)  # somebody else was first
        return known

    def forget(self, person: Person, *, reference: str | None = None, projector: Projector) -> Receipt:
        """Erases a person, from the read models too, and searches every place again: see `Appointments.forget`."""
        receipt = self.erase(person, reference=reference)
        try:
            projector.catch_up()
            return self.verified(person, receipt)
        except AppointmentsError as error:
            error.add_note(f"receipt {receipt.number}: the {person.side} is forgotten; projectors erase the rest")
            raise

    def verified(self, person: Person, receipt: Receipt) -> Receipt:
        """Drops what was retired, and searches every place again; the receipt says what was found, and is kept."""
        with suppress(RebuildRunning):  # then a later scrub does it
            self._drop_retired()
        stored = self._stored(person)
        left = {
            **{name: one.count for name, one in stored.places.items()},
            "calendar_links": self._erasing.calendar_links(person),
            "read_models": self._erasing.rows(person),
            "generations": self._erasing.retired(),
        }
        places = {name: Found(one.count, not left[name]) for name, one in receipt.places.items()}
        receipt = replace(receipt, places=places)
        self._recorder.ledger.update(receipt)
        return receipt

    def erase_again(self, receipts: Sequence[Receipt]) -> list[tuple[Person | None, Receipt]]:
        """Forgets the persons of receipts again, after a backup from before them was restored.

        Finds their ids by the digests; of whom nothing is found, later deliveries are masked all the same. Leaves out
        those whose receipt was lifted, and those who are forgotten.

        Raises:
            UsageError: the receipts were made under the secret of another installation.
        """
        self._recorder.check()
        ledger = self._recorder.ledger.read()
        if any(one.key != ledger.key for one in receipts):
            raise UsageError("these receipts were made by another installation, whose secret this one does not have")
        wanted = {one.digest: one for one in receipts if one.lifted_at is None and not ledger.has(one.digest)}
        persons = {ledger.digest(one): one for one in recognised(self._recorder, ledger.of(wanted))}
        return [
            (person := persons.get(digest), self._erase_again(person, receipt)) for digest, receipt in wanted.items()
        ]

    def _erase_again(self, person: Person | None, receipt: Receipt) -> Receipt:
        if person is not None:
            return self.erase(person, reference=receipt.reference)
        empty = Receipt(
            at=arrival_now(),
            side=receipt.side,
            digest=receipt.digest,
            key=receipt.key,
            reference=receipt.reference,
        )
        with self._recorder.appending() as append:
            return replace(empty, number=append.forget(empty))

    def lift(self, person: Person) -> Receipt | None:
        """Lets a forgotten person be stored again; what was masked stays so. None where they are not forgotten."""
        self._check(person)
        with self._recorder.appending() as append:
            receipt = self.receipt(person)
            if receipt is None:
                return None
            lifted = replace(receipt, lifted_at=arrival_now())
            append.lift(lifted)
            return lifted

    def scrub(self, *, online: bool = False) -> list[str]:
        """Removes what was erased from the files too; returns what is left, and notes the time where nothing is.

        Raises:
            RebuildRunning: a rebuild is under way; nothing was done.
            StorageError: the database cannot be used, or the role does not own the tables.
        """
        self._recorder.check()
        open_receipts = [one for one in self.receipts() if one.scrubbed_at is None]
        kept = self._drop_retired()
        left = [f"the tables of generation {number}, which somebody uses" for number in kept]
        left += self._erasing.scrub_online() if online else self._erasing.scrub()
        if not left:
            now = arrival_now()
            for one in open_receipts:
                self._recorder.ledger.update(replace(one, scrubbed_at=now))
        return left

    def _erase(
        self, append: AppendTransaction, person: Person, found: Candidates, rows: int, reference: str | None
    ) -> Receipt:
        at = arrival_now()
        erased = erase(append, person, found, at=at)
        receipt = self._receipt(person, append.ledger, erased, reference)
        retired = self._erasing.retire(append, person, receipt.digest)
        places = {
            **receipt.places,
            "calendar_links": Found(retired.calendar_links),
            "read_models": Found(rows),
            "generations": Found(retired.generations),
        }
        receipt = replace(receipt, at=at, places=places)
        return replace(receipt, number=append.forget(receipt))

    def _drop_retired(self) -> list[Generation]:
        """Drops the tables of what erasures took out of use; returns those that somebody holds."""
        generations = generations_of(self._database)
        with generations.rebuilding():
            retired = [
                one.number
                for one in store_of(self._database).catalogue().generations
                if one.state is GenerationState.RETIRED
            ]
            return [number for number in retired if not generations.drop(number)]

    def _receipt(self, person: Person, ledger: Ledger, erased: Erased, reference: str | None) -> Receipt:
        return Receipt(
            at=arrival_now(),
            side=person.side,
            digest=ledger.digest(person),
            key=ledger.key,
            reference=reference,
            envelopes=erased.envelopes + erased.mentions,
            streams=len(erased.streams),
            places=erased.places,
        )

    def _stored(self, person: Person) -> Erased:
        return what_is_stored(self._recorder, person)

    def _check(self, person: Person) -> None:
        identifier(f"{person.side}_id", person.id)
        if person.id == FORGOTTEN:
            raise UsageError(f"{FORGOTTEN!r} stands for everybody who was forgotten, and is nobody")
        self._recorder.check()


def _checked(reference: str | None) -> str | None:
    reference = optional(text, "reference", reference)
    if reference is not None and len(reference.encode()) > _REFERENCE_BYTES_MAX:
        raise UsageError(f"expected a reference of at most {_REFERENCE_BYTES_MAX} bytes", argument="reference")
    return reference
