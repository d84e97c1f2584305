"""The way back: the newest snapshot that is whole, put into the places of a new cloud."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from stacks.local.keeping import pickling
from stacks.local.keeping.bodies import Bodies, Damaged
from stacks.local.keeping.places import Place, fill, moto_place
from stacks.local.keeping.snapshots import AnotherVersion, Snapshot, Snapshots

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """What a new cloud begins with."""

    cloud_id: str
    """That of the cloud whose data it has, so that the states of its stacks fit."""

    restored: bool
    lost: bool
    """Whether something had changed that no snapshot holds."""

    journal: int
    """Number of the first file of the journal whose writes are missing."""

    notes: tuple[str, ...]
    """What to tell whoever started it."""


def load(snapshots: Snapshots, places: Mapping[str, Place], bodies: Bodies) -> Loaded:
    """Fill the places, before anybody asks the cloud; what cannot be read is said and left."""
    killed, files = snapshots.changed.exists(), snapshots.all()
    notes: list[str] = []
    for path in reversed(files):
        try:
            snapshot = snapshots.read(path)
            members = pickling.load(snapshot.content, places, bodies)
        except AnotherVersion as error:
            return _anew(snapshots, [*notes, f"the data were written by {error}"])
        except Damaged as error:
            notes.append(f"{error}: it is left at {path.with_suffix('.damaged')}")
        except Exception as error:  # whatever is wrong with it, there may be one before
            log.exception("%s cannot be read", path)
            notes.append(f"{path.name} cannot be read ({error!r})")
        else:
            for name, kept in members.items():
                fill(places[name] if name in places else moto_place(name), kept)
            lost = killed or path != files[-1]
            snapshots.changed.unlink(missing_ok=True)
            return Loaded(
                cloud_id=snapshot.cloud_id,
                restored=True,
                lost=lost,
                journal=snapshot.journal,
                notes=(*notes, _told(snapshot.written, lost=lost), *_lacks(snapshot)),
            )
        path.rename(path.with_suffix(".damaged"))
    return _anew(snapshots, notes)


def _lacks(snapshot: Snapshot) -> list[str]:
    return [f"without {name}, which was not kept: {why}" for name, why in snapshot.left_out.items()]


def _anew(snapshots: Snapshots, notes: list[str]) -> Loaded:
    if any(snapshots.folder.iterdir()) and notes:
        aside = snapshots.put_aside()
        notes.append(f"they are put aside at {aside}: the local cloud starts anew")
        snapshots.folder.mkdir(mode=0o700)
    snapshots.changed.unlink(missing_ok=True)
    return Loaded(
        cloud_id=secrets.token_hex(8), restored=False, lost=False, journal=0, notes=tuple(notes)
    )


def _told(written: datetime, *, lost: bool) -> str:
    moment = f"{written.astimezone():%Y-%m-%d %H:%M:%S}"
    if not lost:
        return f"the local cloud has its data of {moment} again"
    return (
        f"the local cloud was killed: it has its data of {moment} again, and what changed after "
        "that is lost; the next update of every stack reads the cloud first"
    )
