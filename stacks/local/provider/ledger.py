"""Which resource was created for which URN, so that a create whose answer was lost is adopted.

The engine stores an id only after the answer to Create reached it. When the engine is killed in
between, the next one asks for the same resource again. The ledger lives as long as the cloud it
talks about and tells the two cases apart: an entry is *known* once an engine has shown that its
state holds the id. Only an entry that nobody knows is a lost answer; a known one is the old half
of a replacement and must be left alone.
"""

import threading
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from stacks.local.provider.backend import Properties


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One resource that this cloud was asked to create."""

    urn: str
    id: str
    inputs: Properties
    known: bool = False


Deleted = Callable[[str, str], None]
"""Told of the URN and id of what is gone, before the engine is."""


def no_note(urn: str, id: str) -> None:
    """A cloud that nobody kills."""


def type_of(urn: str) -> str:
    """The resource's own type: the last of the chain in `urn:pulumi:stack::project::a$b::name`."""
    return urn.split("::")[2].rpartition("$")[2]


class Ledger:
    """Entries by type and id: an id is held by one URN at a time."""

    def __init__(self) -> None:
        self.guard = threading.Lock()
        """Held while entries change."""

        self._entries: dict[tuple[str, str], Entry] = {}
        self._working: dict[str, threading.Lock] = {}
        self.changes = 0
        """Counts up with what is held: whoever writes it down sees whether there is more."""

        self._replacing: set[str] = set()
        """URNs of which a resource was deleted and no other one named by an engine since."""

    @contextmanager
    def turn(self, urn: str) -> Iterator[None]:
        """Wait for whatever an engine, perhaps a dead one, started on this URN."""
        with self.guard:
            lock = self._working.setdefault(urn, threading.Lock())
        with lock:
            yield

    def ids(self) -> dict[str, list[str]]:
        """What exists now: ids by URN."""
        found: dict[str, list[str]] = {}
        with self.guard:
            for entry in self._entries.values():
                found.setdefault(entry.urn, []).append(entry.id)
        return found

    def entry(self, urn: str, id: str) -> Entry:
        """One of those that exist; KeyError where it is none."""
        with self.guard:
            return self._entries[type_of(urn), id]

    def created(self, urn: str, id: str, inputs: Properties) -> None:
        """Note a resource whose id no engine has stored yet."""
        with self.guard:
            self.changes += 1
            self._entries[type_of(urn), id] = Entry(urn=urn, id=id, inputs=inputs)

    def updated(self, urn: str, id: str, inputs: Properties) -> None:
        """Note new inputs and leave open whether an engine knows it."""
        with self.guard:
            entry = self._entries.get((type_of(urn), id))
            known = entry.known if entry else True
            self.changes += 1
            self._entries[type_of(urn), id] = Entry(urn=urn, id=id, inputs=inputs, known=known)

    def seen(self, urn: str, id: str, inputs: Properties) -> None:
        """An engine's state holds this id under this URN (perhaps renamed, imported or older)."""
        with self.guard:
            entry = self._entries.get((type_of(urn), id))
            held = entry.inputs if entry else inputs
            self._replacing.discard(urn)
            seen = Entry(urn=urn, id=id, inputs=held, known=True)
            self.changes += seen != entry
            self._entries[type_of(urn), id] = seen

    def checked(self, urn: str, old: Properties) -> None:
        """An engine's state holds a resource with these inputs under this URN.

        Only an entry with the same inputs can be it: another is the new half of a replacement.
        After a deletion even that one need not be it, because the state keeps the old half of a
        replacement that deletes first; then the engine has to name the id.
        """
        with self.guard:
            for key, entry in self._entries.items():
                if entry.urn == urn and entry.inputs == old and urn not in self._replacing:
                    self.changes += not entry.known
                    self._entries[key] = replace(entry, known=True)

    def compare(self, held: Container[tuple[str, str]]) -> None:
        """Engines hold these URNs and ids, and no others: what they lack is a lost answer.

        For a cloud that has older data than its engines have seen.
        """
        with self.guard:
            for key, entry in self._entries.items():
                self._entries[key] = replace(entry, known=(entry.urn, entry.id) in held)

    def lost(self, urn: str) -> Entry | None:
        """The newest resource of this URN that no engine knows about."""
        with self.guard:
            unknown = [e for e in self._entries.values() if e.urn == urn and not e.known]
        return unknown[-1] if unknown else None

    def forget(self, urn: str, id: str) -> None:
        """The resource is gone."""
        with self.guard:
            self.changes += 1
            self._entries.pop((type_of(urn), id), None)
            self._replacing.add(urn)
