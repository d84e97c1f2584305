"""Preflight of pins: AMI releases, add-ons and charts exist, and each is one exact version."""

from collections.abc import Callable, Mapping
from typing import Any

import pulumi_aws as aws
import pytest

from stacks.checks import charts, pins
from tests.kits.checks import ask, karpenter, node_group, platform

ARN = "arn:aws:iam::222222222222:role/cluster"
DENIED = "!AccessDeniedException"
RELEASE = "1.34.1-20251007"


def pinned_pool(release: str | None = RELEASE) -> Callable[[], None]:
    def program() -> None:
        aws.eks.Cluster("cluster", role_arn=ARN, vpc_config={"subnet_ids": ["a"]}, version="1.34")
        node_group("pool", "g6.xlarge", 1, release=release)

    return program


def parameter(value: str) -> tuple[str, Any]:
    return ("get_parameter", {"Parameter": {"Value": value}})


MISSING = ("get_parameter", "!ParameterNotFound")


@pytest.mark.parametrize(
    ("answers", "status"),
    [
        ([parameter("ami-1"), parameter("ami-2")], "pass"),
        ([MISSING, parameter("ami-2")], "fail"),
        ([MISSING, MISSING], "unknown"),
        ([("get_parameter", DENIED)], "unknown"),
    ],
)
def test_a_pinned_ami_release_must_be_published(answers: list[Any], status: str) -> None:
    [found] = ask(pins.check_amis, platform(pinned_pool(), {"ssm": answers}))
    assert found.status == status


def test_a_pinned_ami_is_looked_up_by_its_own_name() -> None:
    """The names are those of the EKS user guide; a stub would accept any."""
    asked: list[str] = []

    class Parameters:
        def get_parameter(self, Name: str) -> Mapping[str, Any]:
            asked.append(Name)
            return {"Parameter": {"Value": "ami-1"}}

    ask(pins.check_amis, platform(pinned_pool(), clients=lambda service: Parameters()))
    folder = "/aws/service/eks/optimized-ami/1.34/amazon-linux-2023/x86_64/nvidia"
    assert asked == [
        f"{folder}/amazon-eks-node-al2023-x86_64-nvidia-1.34-v20251007/image_id",
        f"{folder}/recommended/image_id",
    ]


def test_an_ami_release_that_is_not_pinned_fails_without_asking_anyone() -> None:
    [found] = ask(pins.check_amis, platform(pinned_pool(release=None)))
    assert found.status == "fail"
    assert "EKS takes the newest" in found.message


def add_on(version: str | None) -> Callable[[], None]:
    def program() -> None:
        aws.eks.Cluster("cluster", role_arn=ARN, vpc_config={"subnet_ids": ["a"]}, version="1.34")
        aws.eks.Addon("cni", cluster_name="c", addon_name="vpc-cni", addon_version=version)

    return program


@pytest.mark.parametrize(
    ("version", "answer", "status"),
    [
        ("v1.20.0-eksbuild.1", "v1.20.0-eksbuild.1", "pass"),
        ("v1.99.0-eksbuild.1", "v1.20.0-eksbuild.1", "fail"),
        ("v1.20.0-eksbuild.1", None, "unknown"),
        (None, "v1.20.0-eksbuild.1", "fail"),
    ],
)
def test_a_pinned_add_on_must_be_offered(
    version: str | None, answer: str | None, status: str
) -> None:
    offered = {"addons": [{"addonName": "vpc-cni", "addonVersions": [{"addonVersion": answer}]}]}
    answers = [("describe_addon_versions", offered if answer else DENIED)]
    [found] = ask(pins.check_add_ons, platform(add_on(version), {"eks": answers}))
    assert found.status == status


def chart(version: str | None, repository: str | None, name: str = "kueue") -> Callable[[], None]:
    def program() -> None:
        from pulumi_kubernetes.helm.v3 import Release

        options: Any = {"repo": repository} if repository else None
        Release("queues", chart=name, version=version, repository_opts=options)

    return program


INDEX = b"entries:\n  kueue:\n  - name: kueue\n    version: 0.14.1\n"


@pytest.mark.parametrize(
    ("version", "status"),
    [("0.14.1", "pass"), ("0.14.2", "fail"), ("~0.14", "fail"), (None, "fail")],
)
def test_a_chart_must_pin_a_version_that_its_repository_has(
    version: str | None, status: str
) -> None:
    asked = platform(
        chart(version, "https://charts.example/"), fetch=lambda url, headers: (200, {}, INDEX)
    )
    [found] = ask(charts.check_charts, asked)
    assert found.status == status


def test_a_chart_cannot_be_looked_up_without_a_network() -> None:
    [found] = ask(charts.check_charts, platform(chart("0.14.1", "https://charts.example")))
    assert found.status == "unknown"
    assert "no network" in found.message


@pytest.mark.parametrize(("last", "status"), [(200, "pass"), (404, "fail"), (500, "unknown")])
def test_a_chart_in_a_registry_is_asked_for_with_the_token_it_wants(last: int, status: str) -> None:
    realm = 'Bearer realm="https://auth.example/token",service="s",scope="repository:k:pull"'

    def fetch(url: str, headers: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
        if url.startswith("https://auth.example"):
            assert "scope=repository:k:pull" in url
            return 200, {}, b'{"token": "t"}'
        if headers.get("Authorization") != "Bearer t":
            return 401, {"WWW-Authenticate": realm}, b""
        return last, {}, b""

    asked = platform(chart("0.14.1", None, "oci://charts.example/k"), fetch=fetch)
    [found] = ask(charts.check_charts, asked)
    assert found.status == status


def test_a_karpenter_class_of_gpu_pools_pins_the_nvidia_image() -> None:
    asked: list[str] = []

    class Parameters:
        def get_parameter(self, Name: str) -> Mapping[str, Any]:
            asked.append(Name)
            return {"Parameter": {"Value": "ami-1"}}

    ask(pins.check_amis, platform(karpenter("on-demand"), clients=lambda service: Parameters()))
    assert "/nvidia/amazon-eks-node-al2023-x86_64-nvidia-" in asked[0]
    assert asked[0].endswith("v20251007/image_id")
