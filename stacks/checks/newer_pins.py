"""Newer versions than the table's, asked of an account and of charts' repositories.

A newer version has to be a compatible one: of the same major version, and of a chart below 1.0 of
the same minor one (semver.org, 4). What lies beyond is named, for it needs somebody who reads what
changed. Nobody is asked about Kubernetes' own version either: a cluster goes up by one minor at a
time (EKS user guide, updating a cluster), so only the days on which support ends are written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from stacks.checks.charts import RELEASE, chart_versions
from stacks.checks.check import Platform, Unanswered, Unknowable, attempt
from stacks.checks.pins import public_parameter
from stacks.pins.table import FILE, Pins, Support
from stacks.settings.load import yaml_reader
from stacks.settings.pin import replaced

AMIS = {
    "ami/al2023": "/aws/service/eks/optimized-ami/{k8s}/amazon-linux-2023/x86_64/standard/"
    "recommended/release_version",
    "ami/bottlerocket": "/aws/service/bottlerocket/aws-k8s-{k8s}/x86_64/latest/image_version",
}
"""Pin -> the public parameter with its newest version (EKS user guide, Retrieve AMI IDs)."""

COMMIT = re.compile(r"-(?=\d*[a-f])[0-9a-f]{8}$")

STABLE = re.compile(r"v?\d+\.\d+\.\d+")
"""A version of a chart that is no release candidate (semver.org, 9)."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """What came of asking about one pin."""

    name: str
    version: str
    """Of the table."""

    newest: str | None = None
    """The newest compatible version, which may be the table's. Default: nobody could be asked."""

    note: str = ""
    """Why nobody could be asked, or what lies beyond. Default: nothing."""


def looks(platform: Platform, table: Pins) -> Iterator[Look]:
    """Ask about every pin, in the table's order."""
    k8s = table.version("kubernetes")
    releases = {
        str(one.inputs.get("chart")).rpartition("/")[2]: one
        for one in platform.everything
        if one.type == RELEASE
    }
    for name, pin in table.pins.items():
        kind, _, what = name.partition("/")
        ask: Callable[[], Sequence[str]]
        if name in AMIS:
            ask = partial(_image, platform, AMIS[name].format(k8s=k8s))
        elif kind == "addon":
            ask = partial(_add_on, platform, what, k8s)
        elif kind == "chart" and what in releases:
            ask = partial(chart_versions, platform, releases[what])
        elif kind == "chart":
            ask = partial(_nobody, "no cluster of these settings takes it")
        else:
            ask = partial(_nobody, f"not asked about, look at {pin.source}")
        found = attempt(ask)
        if isinstance(found, Unanswered):
            yield Look(name=name, version=pin.version, note=found.reason)
        else:
            yield _chosen(name, pin.version, found, zero_is_unstable=kind == "chart")


def _nobody(reason: str) -> Sequence[str]:
    raise Unknowable(reason)


def _image(platform: Platform, parameter: str) -> Sequence[str]:
    found = public_parameter(platform, parameter)
    if found is None:
        raise Unknowable(f"there is no parameter {parameter} here")
    return [found]


def _add_on(platform: Platform, name: str, k8s: str) -> Sequence[str]:
    """The version that EKS installs by default, which is not always the newest one."""
    answer = platform.clients("eks").describe_addon_versions(addonName=name, kubernetesVersion=k8s)
    return [
        version["addonVersion"]
        for one in answer["addons"]
        for version in one["addonVersions"]
        if any(c.get("defaultVersion") for c in version.get("compatibilities", []))
    ]


def _chosen(name: str, pinned: str, found: Sequence[str], *, zero_is_unstable: bool) -> Look:
    """The newest of what was found that may take the pin's place; never an older one."""
    stable = [one for one in found if not zero_is_unstable or STABLE.fullmatch(one)]
    newer = sorted({one for one in stable if _number(one) > _number(pinned)}, key=_number)
    numbers = _number(pinned)
    same = 2 if zero_is_unstable and numbers[0] == 0 else 1
    compatible = [one for one in newer if _number(one)[:same] == numbers[:same]]
    note = "" if newer == compatible else f"{newer[-1]} is no compatible one: read what changed"
    newest = compatible[-1] if compatible else pinned
    return Look(name=name, version=pinned, newest=newest, note=note)


def _number(version: str) -> tuple[int, ...]:
    """Without the commit at the end of Bottlerocket's versions."""
    return tuple(map(int, re.findall(r"\d+", COMMIT.sub("", version))))


def calendar(platform: Platform) -> Mapping[str, Support]:
    """Until when EKS supports each version of Kubernetes (EKS API, DescribeClusterVersions)."""
    pages = platform.clients("eks").get_paginator("describe_cluster_versions").paginate()
    return {
        one["clusterVersion"]: Support(
            standard_until=one["endOfStandardSupportDate"].date(),
            extended_until=one["endOfExtendedSupportDate"].date(),
        )
        for page in pages
        for one in page["clusterVersions"]
    }


def write(
    found: Sequence[Look], supports: Mapping[str, Support], today: date, file: Path = FILE
) -> None:
    """Put what was found, and the day on which somebody looked, into the table's file."""
    yaml = yaml_reader()
    document = yaml.load(file.read_text())
    for look in found:
        if look.newest is not None:
            _enter(document["pins"][look.name], look, today)
    if supports:
        document["kubernetes"]["as_of"] = today
    for version, support in supports.items():
        days = {"standard_until": support.standard_until, "extended_until": support.extended_until}
        rows = document["kubernetes"]["calendar"]
        if version in rows:
            rows[version].update(days)
        else:
            rows[version] = days
    with replaced(file) as stream:
        yaml.dump(document, stream)


def _enter(row: Any, look: Look, today: date) -> None:
    row["as_of"] = today
    if look.newest != look.version:
        row["version"] = look.newest
        row["released"] = _released(str(look.newest))
        for was, now in zip(look.version.split("-"), str(look.newest).split("-"), strict=False):
            row["source"] = str(row["source"]).replace(was, now)


def _released(version: str) -> date | None:
    """The day that an AMI release ends with."""
    day = re.search(r"-(\d{8})$", version)
    return date.fromisoformat(day[1]) if day else None
