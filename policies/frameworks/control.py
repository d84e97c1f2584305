"""A framework such as NIST SP 800-53, and one of its controls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Decided = Literal["automated", "partial", "none"]
"""Rules decide what of it is configuration; a part of that; nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Control:
    """One control, criterion, article or recommendation."""

    id: str
    asks: str
    """What it wants, in our words."""
    decided: Decided
    leaves: str
    """What no rule decides of it, and whose it is. Empty where rules decide all."""
    judgement: bool
    """The mapping is our own reading: no public tool publishes it."""
    rules: tuple[str, ...]
    """Those that judge a state of a stack; their findings are its results."""
    deltas: tuple[str, ...]
    """Those that a review asks about a change."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Framework:
    """One framework in one version."""

    id: str
    title: str
    version: str
    source: str
    scope: str
    """Which of its controls are listed."""
    controls: tuple[Control, ...]

    @property
    def judgement(self) -> bool:
        """Whether all of the mapping is our own reading."""
        return all(control.judgement for control in self.covered)

    @property
    def starred(self) -> str:
        """Its id, with a star where all of the mapping is our own reading."""
        return f"{self.id}*" if self.judgement else self.id

    @property
    def covered(self) -> list[Control]:
        """Those with a rule."""
        return [control for control in self.controls if control.decided != "none"]

    @property
    def uncovered(self) -> list[Control]:
        """Those without."""
        return [control for control in self.controls if control.decided == "none"]
