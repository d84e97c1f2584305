"""One step of the engine, checked: what it means, and which states it is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from policies.review.model import Operation
from policies.review.shape import Malformed, listed, mapping, text_of
from policies.review.states import state_of, type_of

MEANING: Mapping[str, Operation | None] = {
    "same": "same",
    "create": "create",
    "update": "update",
    "delete": "delete",
    "replace": "replace",
    "create-replacement": "replace",
    "delete-replaced": "replace",
    "discard-replaced": None,
    "read": "same",
    "read-replacement": "same",
    "read-discard": None,
    "discard": None,
    "refresh": "same",
    "diff": None,
    "import": "create",
    "import-replacement": "replace",
    "remove-pending-replace": "delete",
}
"""Engine step -> what it means for the resource; None: nothing that a person would see."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One engine step, checked."""

    operation: Operation | None
    urn: str
    old: Mapping[str, Any] | None
    new: Mapping[str, Any] | None
    reasons: tuple[str, ...]
    detailed: Mapping[str, Mapping[str, Any]]
    name: str = ""
    """As the engine calls it. Default: nobody asks."""

    @property
    def skipped(self) -> bool:
        """A creation that `--target` or `--exclude` leaves out: it stays what it is, nothing."""
        old = self.old or {}
        return self.operation == "same" and (
            self.new is None
            if self.old is None
            else old.get("custom") is True and not old.get("id")
        )

    @property
    def is_pending(self) -> bool:
        """The deletion of an old one that an earlier, interrupted update left over."""
        return self.operation == "delete" and (self.old or {}).get("delete") is True

    @property
    def drifts(self) -> bool:
        """A refresh that found something else than the state says."""
        if self.name != "refresh" or self.old is None:
            return False
        return self.new is None or self.old.get("outputs") != self.new.get("outputs")

    @classmethod
    def of_digest(cls, step: Mapping[str, Any], where: str) -> Step:
        name, urn = text_of(step.get("op"), f"{where}.op"), text_of(step.get("urn"), f"{where}.urn")
        if name not in MEANING:
            raise Malformed(f"{where}.op must be one of {', '.join(MEANING)}, got {name!r}")
        if urn.count("::") < 3:
            raise Malformed(f"{where}.urn must be a URN, got {urn!r}")
        reasons = listed(step.get("replaceReasons") or [], f"{where}.replaceReasons")
        detailed = mapping(step.get("detailedDiff") or {}, f"{where}.detailedDiff")
        operation = MEANING[name]
        old = state_of(step.get("oldState"), f"{where}.oldState")
        new = state_of(step.get("newState"), f"{where}.newState")
        if new is not None and new.get("urn") not in (None, urn):
            raise Malformed(f"{where}.newState.urn must be {urn!r}, got {new.get('urn')!r}")
        kind = str((new or {}).get("type") or type_of(urn)).rpartition("$")[2]
        if new is not None and kind != type_of(urn):
            raise Malformed(f"{where}.newState.type must be that of its URN, got {new['type']!r}")
        if name == "create" and old is not None:
            raise Malformed(f"{where} must have no oldState for create, got one")
        if operation in ("delete", "update", "replace") and old is None and new is None:
            raise Malformed(f"{where} must have an oldState or a newState for {name}, got neither")
        return cls(
            name=name,
            operation=operation,
            urn=urn,
            old=old,
            new=new,
            reasons=tuple(
                text_of(key, f"{where}.replaceReasons[{i}]") for i, key in enumerate(reasons)
            ),
            detailed={
                path: mapping(item, f"{where}.detailedDiff[{path!r}]")
                for path, item in detailed.items()
            },
        )
