"""How old pins are, and how long Kubernetes is supported at the price that was meant."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from stacks.checks.check import CheckResult, Platform, failed, passed, unknown
from stacks.pins.table import Pins, pins

AGES, SUPPORT = "ages", "support"
CLUSTER = "aws:eks/cluster:Cluster"
HOURS_PER_MONTH = 730


def check_support(platform: Platform, today: date | None = None) -> Iterator[CheckResult]:
    """The version of the cluster has weeks of standard support left, at the standard price."""
    table, day = pins(), today or date.today()
    for cluster in platform.of_type(CLUSTER):
        version = str(cluster.inputs.get("version"))
        policy = cluster.inputs.get("upgradePolicy", "supportType") or "EXTENDED"
        yield _supported(table, version, policy, day)


def _supported(table: Pins, version: str, policy: str, day: date) -> CheckResult:
    """EKS user guide, Kubernetes versions: without an upgrade policy support is extended."""
    subject = f"Kubernetes {version}"
    if table.is_offered(version, day) is False:
        return failed(
            SUPPORT, subject, "must be a version that EKS offers, is none any more", _newer(table)
        )
    if version not in table.kubernetes:
        return unknown(SUPPORT, subject, "stacks/pins/pins.yaml does not say until when it is")
    end = table.kubernetes[version].standard_until
    left = (end - day).days
    if left >= table.warn_days:
        return passed(SUPPORT, subject, f"is in standard support until {end}, {left} days more")
    prices = table.usd_per_cluster_hour
    more = round((prices["EXTENDED"] - prices["STANDARD"]) * HOURS_PER_MONTH)
    then = (
        f"costs ${more} a month more from then on"
        if policy == "EXTENDED"
        else "is upgraded by EKS then, whatever the file says"
    )
    return failed(
        SUPPORT,
        subject,
        f"must have {table.warn_days} days of standard support left, has {left} (until {end}), "
        f"and {then}",
        _newer(table),
    )


def _newer(table: Pins) -> str:
    return f"set plinth:cluster.version to {table.version('kubernetes')} or newer, with its pins"


def check_ages(platform: Platform, today: date | None = None) -> Iterator[CheckResult]:
    """Somebody has looked at every pin of the table within the year."""
    table, day = pins(), today or date.today()
    for name, pin in table.pins.items():
        age = pin.age(day)
        when = f"released {pin.released}" if pin.released else f"last looked at {pin.as_of}"
        if age <= table.max_age_days:
            yield passed(AGES, name, f"{pin.version}, {when}")
        else:
            yield failed(
                AGES,
                name,
                f"must be at most {table.max_age_days} days old, {pin.version} is {age} ({when})",
                f"look at {pin.source}, and change stacks/pins/pins.yaml",
            )
