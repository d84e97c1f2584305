"""What of a cloud is kept: the backends of moto that are in use, and what `Kept` names of ours.

A place is there in every cloud, made anew at its start; its members come from the snapshot.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

MOTO = re.compile(
    r"(?P<module>moto(\.\w+)+\.models):(?P<name>\w+_backends)/(?P<account>\d{12})/(?P<region>[\w-]+)"
)
"""Name of a backend: the module and the name of its service's backends, account and region."""

NOT_KEPT = ("moto.moto_api", "moto.instance_metadata")
"""Packages of moto that stand for nothing of AWS."""

OTHER_PARTITIONS = "aws-"
"""How the names of the partitions begin that the local account is not in."""

DROPPED: Mapping[str, tuple[str, ...]] = {
    "moto.cloudwatch.models:cloudwatch_backends": ("metric_data", "paged_metric_data"),
    "moto.config.models:config_backends": ("config_schema",),  # botocore's model
    "moto.iam.models:iam_backends": ("aws_managed_policies",),
    "alarms": ("data", "read"),
    "answers": ("calls",),
    "ledger": ("_working",),
    "streams": ("busy", "depths"),
}
"""Members that begin anew: data of metrics grow with every request, and every cloud has AWS's own
policies."""

Place = Any


def moto_places() -> dict[str, Place]:
    """Every backend of moto that somebody has used, by its name."""
    from moto.core.base_backend import BackendDict

    found = {}
    for backends in list(BackendDict._instances):
        module = importlib.import_module(backends.backend.__module__)
        names = [name for name, value in vars(module).items() if value is backends]
        if not names or module.__name__.startswith(NOT_KEPT):
            continue
        for account, regions in list(backends.items()):
            for region, backend in list(regions.items()):
                if region.startswith(OTHER_PARTITIONS):
                    continue
                found[f"{module.__name__}:{names[0]}/{account}/{region}"] = backend
    return found


def moto_place(name: str) -> Place:
    """The backend of that name, made where nobody has used it yet; ValueError for another name."""
    from moto.core.base_backend import BackendDict

    match = MOTO.fullmatch(name)
    if match is None:
        raise ValueError(f"{name} is no backend of moto")
    backends = vars(importlib.import_module(match["module"])).get(match["name"])
    if not isinstance(backends, BackendDict):
        raise ValueError(f"{name} is no backend of moto")
    return backends[match["account"]][match["region"]]


def objects() -> Iterator[Any]:
    """Every object of S3 that moto holds, with its versions and the parts of unfinished uploads."""
    from moto.s3.models import FakeKey, s3_backends

    for partitions in list(s3_backends.values()):
        for backend in list(partitions.values()):
            for bucket in list(backend.buckets.values()):
                for versions in list(dict.values(bucket.keys)):
                    yield from (one for one in list(versions) if isinstance(one, FakeKey))
                for upload in list(bucket.multiparts.values()):
                    yield from list(upload.parts.values())


def members(name: str, place: Place) -> dict[Any, Any]:
    """What is kept of a place."""
    held = place if isinstance(place, dict) else vars(place)
    dropped = DROPPED.get(name.partition("/")[0], ())
    return {key: value for key, value in list(held.items()) if key not in dropped}


def fill(place: Place, kept: Mapping[Any, Any]) -> None:
    """Give a place of this cloud what was kept of it."""
    held: dict[Any, Any] = place if isinstance(place, dict) else place.__dict__
    held.update(kept)
