"""What exists in the emulator, in memory; `keeping/` writes it down."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from stacks.local.aws.sagemaker.shapes import now


@dataclass(kw_only=True, eq=False)
class Resource:
    """One resource: the members its Describe shows, and the live thing behind it."""

    kind: str
    name: str
    arn: str
    fields: dict[str, Any]
    live: Any = None
    """Processes, threads or records behind the resource. Default: it is only recorded."""

    becomes: dict[str, Any] | None = None
    """Members that it has from `becomes_at` on; none: it is gone then. Default: it stays."""

    becomes_at: datetime | None = None
    created: datetime = field(default_factory=now)
    modified: datetime = field(default_factory=now)

    def set(self, **fields: Any) -> None:
        """Change members; None removes one."""
        for name, value in fields.items():
            if value is None:
                self.fields.pop(name, None)
            else:
                self.fields[name] = value
        self.modified = now()


class Store:
    """Every item by kind and name, and the tags by ARN. Hold `lock` to read and then write."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._items: dict[str, dict[str, Resource]] = {}
        self.tags: dict[str, dict[str, str]] = {}

    def add(self, item: Resource) -> None:
        with self.lock:
            self._items.setdefault(item.kind, {})[item.name] = item

    def find(self, kind: str, name: str) -> Resource | None:
        with self.lock:
            return self._items.get(kind, {}).get(name)

    def all(self, kind: str) -> list[Resource]:
        """Items of a kind in order of creation."""
        with self.lock:
            return list(self._items.get(kind, {}).values())

    def remove(self, item: Resource) -> None:
        with self.lock:
            self._items.get(item.kind, {}).pop(item.name, None)
            self.tags.pop(item.arn, None)

    def stamp(self) -> object:
        """Another one when something was added, changed or removed."""
        with self.lock:
            kinds = [(len(items), _latest(items)) for items in self._items.values()]
            return kinds, len(self.tags)

    def everything(self) -> Iterator[Resource]:
        with self.lock:
            return iter([item for items in self._items.values() for item in items.values()])

    def by_arn(self, arn: str) -> Resource | None:
        return next((item for item in self.everything() if item.arn == arn), None)


def _latest(items: dict[str, Resource]) -> datetime | None:
    return max((item.modified for item in items.values()), default=None)
