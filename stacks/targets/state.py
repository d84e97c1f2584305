"""What a target knows of the state of a stack."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class State:
    """A stack's state, and its whole copies."""

    damage: str | None
    copies: tuple[float, ...]
    """When each was written, in seconds since 1970, the newest first."""
