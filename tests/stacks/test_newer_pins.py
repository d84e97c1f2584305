"""`plinth pins ENV --update`: who is asked, what is taken, and what the table is afterwards."""

import dataclasses
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from stacks.checks import newer_pins
from stacks.checks.check import Platform, Unknowable
from stacks.cli import main
from stacks.pins.table import FILE, pins, read
from tests.kits.checks import platform

DAY = date(2027, 1, 15)
KUEUE = "oci://registry.k8s.io/kueue/charts/kueue"
RAY = "https://ray.example/charts"
INDEX = b"""
entries:
  kuberay-operator:
  - {name: kuberay-operator, version: 2.0.0}
  - {name: kuberay-operator, version: 1.7.0-rc.1}
  - {name: kuberay-operator, version: 1.6.2}
  - {name: kuberay-operator, version: 1.6.10}
  other:
  - {name: other, version: 1.99.0}
"""


class Account:
    """Offers newer images, one newer add-on, and the calendar of one more Kubernetes."""

    def get_parameter(self, Name: str) -> Mapping[str, Any]:
        newest = {"amazon-linux-2023": "1.35.6-20270102", "bottlerocket": "1.58.0-aaaabbbb"}
        return {"Parameter": {"Value": next(v for k, v in newest.items() if k in Name)}}

    def describe_addon_versions(self, addonName: str, kubernetesVersion: str) -> Mapping[str, Any]:
        assert kubernetesVersion == "1.35"
        offered = [("v1.99.0-eksbuild.1", False)]
        if addonName == "vpc-cni":
            offered.append(("v1.23.0-eksbuild.1", True))
        if addonName == "coredns":
            offered.append(("v1.2.0-eksbuild.9", True))
        versions = [
            {"addonVersion": version, "compatibilities": [{"defaultVersion": default}]}
            for version, default in offered
        ]
        return {"addons": [{"addonName": addonName, "addonVersions": versions}]}

    def get_paginator(self, operation: str) -> Any:
        assert operation == "describe_cluster_versions"
        return self

    def paginate(self) -> list[Mapping[str, Any]]:
        end, extended = datetime(2027, 8, 2, tzinfo=UTC), datetime(2028, 8, 2, tzinfo=UTC)
        days = {"endOfStandardSupportDate": end, "endOfExtendedSupportDate": extended}
        return [{"clusterVersions": [{"clusterVersion": v, **days} for v in ("1.35", "1.36")]}]


def fetch(url: str, headers: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
    if url == f"{RAY}/index.yaml":
        return 200, {}, INDEX
    if "last=" in url:
        return 200, {}, json.dumps({"tags": ["0.16.7", "0.17.0"]}).encode()
    if url.startswith("https://registry.k8s.io/v2/kueue/charts/kueue/tags/list"):
        following = {"Link": '</v2/kueue/charts/kueue/tags/list?last=0.16.4>; rel="next"'}
        return 200, following, json.dumps({"tags": ["0.9.1", "0.16.4"]}).encode()
    raise Unknowable("no network")


def charts() -> None:
    from pulumi_kubernetes.helm.v3 import Release

    repository: Any = {"repo": RAY}
    Release("queues", chart=KUEUE, version="0.16.4")
    Release("ray", chart="kuberay-operator", version="1.5.1", repository_opts=repository)


@pytest.fixture
def asked() -> Platform:
    return platform(charts, clients=lambda service: Account(), fetch=fetch)


@pytest.fixture
def found(asked: Platform) -> dict[str, newer_pins.Look]:
    return {look.name: look for look in newer_pins.looks(asked, pins())}


@pytest.mark.parametrize(
    ("name", "newest"),
    [
        ("ami/al2023", "1.35.6-20270102"),
        ("ami/bottlerocket", "1.58.0-c5c37032"),  # as new: only its commit differs
        ("addon/vpc-cni", "v1.23.0-eksbuild.1"),
        ("addon/coredns", pins().version("addon/coredns")),  # what is offered is older
        ("addon/kube-proxy", pins().version("addon/kube-proxy")),  # no default
        ("chart/kuberay-operator", "1.6.10"),  # by number, no candidate, no other major version
        ("chart/kueue", "0.16.7"),  # from the second page, of the same minor version
        ("chart/karpenter", None),
        ("kubernetes", None),
        ("engine/pulumi", None),
    ],
)
def test_the_newest_compatible_version_is_found(
    found: dict[str, newer_pins.Look], name: str, newest: str | None
) -> None:
    assert found[name].newest == newest


def test_what_is_left_alone_says_why(found: dict[str, newer_pins.Look]) -> None:
    assert "0.17.0 is no compatible one" in found["chart/kueue"].note
    assert "2.0.0 is no compatible one" in found["chart/kuberay-operator"].note
    assert found["chart/karpenter"].note == "no cluster of these settings takes it"
    assert found["engine/pulumi"].note.startswith("not asked about, look at https://")
    assert list(found) == list(pins().pins)


def test_checking_and_updating_are_two_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["pins", "dev", "--check", "--update"])
    assert ended.value.code == 2
    assert "type one of them" in capsys.readouterr().err


def test_a_repository_that_does_not_answer_leaves_its_pin(asked: Platform) -> None:
    down = dataclasses.replace(asked, fetch=lambda url, headers: (503, {}, b""))
    kueue = next(look for look in newer_pins.looks(down, pins()) if look.name == "chart/kueue")
    assert kueue.newest is None
    assert kueue.note == "registry.k8s.io answered with status 503"


def test_the_table_takes_what_was_found_and_keeps_the_rest(tmp_path: Path, asked: Platform) -> None:
    file = tmp_path / "pins.yaml"
    file.write_text(FILE.read_text())
    before = pins()
    newer_pins.write(list(newer_pins.looks(asked, before)), newer_pins.calendar(asked), DAY, file)
    after = read(file)
    changed = {name for name, pin in after.pins.items() if pin.version != before.version(name)}
    assert changed == {"ami/al2023", "addon/vpc-cni", "chart/kuberay-operator", "chart/kueue"}
    looked = {name for name, pin in after.pins.items() if pin.as_of == DAY}
    assert looked - changed >= {"ami/bottlerocket", "addon/coredns"}
    assert not looked & {"chart/karpenter", "kubernetes", "engine/pulumi"}
    assert after.pins["ami/al2023"].released == date(2027, 1, 2)
    assert after.pins["ami/al2023"].source.endswith("/v20270102")
    assert after.pins["chart/kueue"].source.endswith("/v0.16.7")
    assert after.kubernetes["1.36"].standard_until == date(2027, 8, 2)
    assert after.kubernetes["1.34"] == before.kubernetes["1.34"]
    comments = [line for line in FILE.read_text().splitlines() if "#" in line]
    assert comments
    assert [line for line in file.read_text().splitlines() if "#" in line] == comments
