"""The data of a cloud: taken from the one before it, kept while it runs, left to the next one."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from stacks.local.aws.emr import serverless
from stacks.local.aws.sagemaker.resumption import resume
from stacks.local.aws.signatures import Secret
from stacks.local.daemon import killed_engines, state_files
from stacks.local.daemon.record import Made, last_port
from stacks.local.daemon.rounds import Rounds
from stacks.local.keeping.bodies import Bodies
from stacks.local.keeping.folder import data_folder
from stacks.local.keeping.journal import Journal
from stacks.local.keeping.keeper import Keeper
from stacks.local.keeping.loading import Loaded, load
from stacks.local.keeping.places import Place
from stacks.local.keeping.quiet import Quiet
from stacks.local.keeping.snapshots import Snapshots
from stacks.local.provider.aws.kept_answers import Answers
from stacks.local.provider.backend import Backend, Subject
from stacks.local.provider.ledger import Ledger, type_of
from stacks.local.runtime.keys import Keys

READY_SECONDS = 30.0
"""How long a cloud waits for what served; then it goes on, and that becomes ready later."""

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Data:
    """What of a cloud outlives it, and what keeps it."""

    home: Path
    application: Any
    """SageMaker in front of the recorder in front of moto."""

    snapshots: Snapshots
    quiet: Quiet
    journal: Journal
    ledger: Ledger = field(default_factory=Ledger)
    rounds: Rounds = field(default_factory=Rounds)
    answers: Answers = field(default_factory=Answers)
    sessions: dict[str, Secret] = field(default_factory=dict)
    """Temporary keys that moto does not know."""

    _gone: Sequence[tuple[str, str]] = ()
    """What engines heard to be deleted since the snapshot that was taken."""

    _loaded: Loaded | None = None
    _told: list[str] = field(default_factory=list)
    _keeper: Keeper | None = None
    _thread: threading.Thread | None = None
    _stop: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def of(cls, home: Path, keys: Keys, application: Any) -> Data:
        """Of a cloud that nobody has asked yet."""
        folder = data_folder(home)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        snapshots = Snapshots(folder=folder, keys=keys)
        return cls(
            home=home,
            application=application,
            snapshots=snapshots,
            quiet=Quiet(snapshots.changed),
            journal=Journal(folder=folder, keys=keys),
        )

    @cached_property
    def made(self) -> Made:
        """The file of the home that says what the ledger holds."""
        return Made(home=self.home, ledger=self.ledger)

    def _places(self) -> dict[str, Place]:
        """What is kept beside moto."""
        return {
            "store": self.application.emulator.store,
            "owners": self.application.emulator.authorizer.owners,
            "recorded": self.application.fallback.store,
            "answers": self.answers,
            "ledger": self.ledger,
            "sessions": self.sessions,
            "streams": self.rounds.streams,
            "states": self.rounds.states,
            "alarms": self.rounds.alarms,
            "due": self.rounds.due,
            "scaled": self.rounds.scaled,
        }

    @property
    def cloud_id(self) -> str:
        return self._taken.cloud_id

    @property
    def restored(self) -> bool:
        return self._taken.restored

    @property
    def notes(self) -> list[str]:
        """What became of the data of the cloud before, and of its address."""
        return [*self._taken.notes, *self._told]

    def load(self) -> None:
        """Take the data of the cloud before; call it before anybody asks this one."""
        self._loaded = load(self.snapshots, self._places(), self._bodies())
        before, url = last_port(self.home), self.application.emulator.host.endpoint_url
        if self.restored and before and not url.endswith(f":{before}"):
            self._told.append(f"port {before} is not free: it answers at {url} from now on")
        with _calling_no_function():
            repeated = self.journal.repeat(self._taken.journal)
        if repeated:
            self._told.append(f"{repeated} later writes of records and items are there as well")
        self._gone = self.journal.gone(self._taken.journal)
        self.journal.rotate()
        for note in self.notes:
            log.info("%s", note)
        if self._taken.lost:
            self._read_first()

    def resume(self) -> Callable[[], None]:
        """Start again what served, and end what ran; the endpoint must answer.

        Waits for what was started, when it is called.
        """
        serverless.end_what_ran(self.application.fallback.store)
        started = resume(self.application.emulator) if self.restored else []
        deadline = time.monotonic() + READY_SECONDS

        def wait() -> None:
            for one in started:
                one.wait(max(0, deadline - time.monotonic()))

        return wait

    def deleted(self, urn: str, id: str) -> None:
        """Put down that a resource is gone from cloud and ledger, before its engine hears of it."""
        self.journal.deleted(urn, id)
        self.made.deleted(urn)

    def delete_again(self, backend: Backend) -> None:
        """Take away what an engine heard to be deleted: no state holds it, so no engine would.

        Of AWS: the control plane of the cluster forgets nothing that it acknowledged.
        """
        held, known = state_files.held(self.home), self.ledger.ids()
        left = [
            (urn, id)
            for urn, id in self._gone
            if id in known.get(urn, ()) and (urn, id) not in held and type_of(urn)[:4] == "aws:"
        ]
        for urn, id in left:
            entry = self.ledger.entry(urn, id)
            subject = Subject(urn=urn, token=type_of(urn), name=urn.rpartition("::")[2])
            try:
                backend.delete(subject, id, entry.inputs)
            except Exception as error:  # noqa: BLE001 the cloud must come up; the next engine tells
                log.warning("%s %s is there again, and stays: %s", subject, id, error)
            else:
                self.ledger.forget(urn, id)
                self.journal.deleted(urn, id)
        if left:
            self._told.append(f"{len(left)} later deletions are done again")

    def begin(self) -> None:
        """Keep what changes from now on."""
        emulator, recorded = self.application.emulator, self.application.fallback.store
        self._keeper = Keeper(
            snapshots=self.snapshots,
            quiet=self.quiet,
            cloud_id=self.cloud_id,
            places=self._places(),
            bodies=self._bodies(),
            journal=self.journal,
            locks=(emulator.store.lock, recorded.lock, self.ledger.guard),
            stamp=self._stamp,
        )
        self._thread = threading.Thread(target=self._keeper.run, args=(self._stop,), daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Write down what has changed since; call it while everything still runs."""
        self._stop.set()
        if self._keeper is not None and self._thread is not None:
            self._thread.join()  # what it is writing is older, and must not be the newest
            self._keeper.finish()

    @property
    def _taken(self) -> Loaded:
        assert self._loaded is not None  # after `load`
        return self._loaded

    def _bodies(self) -> Bodies:
        return Bodies(self.snapshots.bodies_folder)

    def _stamp(self) -> object:
        emulator = self.application.emulator
        return (
            emulator.store.stamp(), emulator.logs.sent(), emulator.spark_ends.total(),
            self.ledger.changes, self.rounds.stamp(),
        )  # fmt: skip

    def _read_first(self) -> None:
        """The states may hold what this cloud lacks, and lack what it holds.

        So the engine reads everything before the next update, and what no state holds is adopted
        when it is created again.
        """
        for stack in state_files.stacks(self.home):
            killed_engines.cut_off(self.home, stack)
        self.ledger.compare(state_files.held(self.home))


@contextmanager
def _calling_no_function() -> Iterator[None]:
    """moto calls the functions that read a table's stream while an item is written: they heard of
    what is written again, and nothing answers them yet."""
    from moto.dynamodb.models import dynamodb_backends

    tables = [
        table
        for regions in [*dynamodb_backends.values()]
        for backend in [*regions.values()]
        for table in [*backend.tables.values()]
    ]
    held = [table.lambda_event_source_mappings for table in tables]
    for table in tables:
        table.lambda_event_source_mappings = {}
    try:
        yield
    finally:
        for table, mappings in zip(tables, held, strict=True):
            table.lambda_event_source_mappings = mappings
