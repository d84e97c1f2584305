"""The version of Kubernetes that a cluster gets where nobody says one (EKS API, CreateCluster).

moto 5.2.5 gives one that EKS left years ago.
"""

from __future__ import annotations

from stacks.pins.table import pins


def install() -> None:
    """For the one EKS of this process."""
    from moto.eks import models

    models.DEFAULT_KUBERNETES_VERSION = max(pins().kubernetes, key=_number)


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
