"""What rules are about, in the words by which the controls of frameworks find them."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Flag, auto


class Theme(Flag):
    """One concern, or several: `Theme.AVAILABILITY | Theme.LIMITS`."""

    ENCRYPTION_AT_REST = auto()
    ENCRYPTION_IN_TRANSIT = auto()
    NETWORK_ISOLATION = auto()
    LEAST_PRIVILEGE = auto()
    AVAILABILITY = auto()
    """Spare capacity, protection from deletion, backups."""
    AUDIT_LOGS = auto()
    SAFE_ROLLOUT = auto()
    MODEL_MONITORING = auto()
    APPROVAL = auto()
    """Of models, and the registry where it is recorded."""
    DATA_QUALITY = auto()
    """And where data come from."""
    FAIRNESS = auto()
    """Bias and explanations."""
    SUPPLY_CHAIN = auto()
    INVENTORY = auto()
    """What there is and whose it is."""
    LIMITS = auto()
    """Of cost, instances and time."""
    RETENTION = auto()
    """How long personal data are kept."""

    @property
    def names(self) -> tuple[str, ...]:
        """Its words as files and reports spell them, such as `encryption-at-rest`."""
        return tuple(str(each.name).lower().replace("_", "-") for each in self)

    @classmethod
    def named(cls, names: Iterable[str]) -> Theme:
        """All of these words in one; ValueError for a word that is none."""
        found = cls(0)
        for name in names:
            try:
                found |= cls[name.upper().replace("-", "_")]
            except KeyError:
                known = ", ".join(word for each in cls for word in each.names)
                raise ValueError(f"a theme must be one of {known}, got {name!r}") from None
        return found


PUBLISHED = (
    Theme.ENCRYPTION_AT_REST
    | Theme.ENCRYPTION_IN_TRANSIT
    | Theme.NETWORK_ISOLATION
    | Theme.LEAST_PRIVILEGE
    | Theme.AVAILABILITY
    | Theme.AUDIT_LOGS
)
"""Those of which AWS Security Hub, Prowler, cdk-nag and the AWS Guard rules registry publish which
controls they are about; of the others it is our own reading."""
