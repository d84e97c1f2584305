"""Regions: their partition, their zones, and what AWS offers in them."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from infra.errors import UserError
from infra.naming import PARTITIONS, partition_of
from stacks.checks import (
    cost,
    endpoint_services,
    image_layers,
)
from stacks.paths import ROOT
from stacks.settings.load import load, load_environment
from stacks.sizing.prices.estimate import estimate
from stacks.sizing.prices.table import price_table
from stacks.stack_name import StackName
from tests.kits.checks import Script
from tests.kits.faults import asked, edited, told
from tests.kits.stacks import changed, synth

# -- F11, zones, partitions ------------------------------------------------------------------------


def zones_and_services(*, policy: bool = True, zones: int = 2, missing: str = "") -> Script:
    """EC2's answers: dev's two zones, and what it offers of each of dev's endpoints."""
    known = [
        {"ZoneId": f"use1-az{n}", "ZoneName": f"us-east-1{letter}"}
        for n, letter in enumerate("abcd", start=1)
    ]
    services = {
        str(one.inputs.get("serviceName"))
        for one in synth("dev.foundation")
        if one.type == image_layers.ENDPOINT
        and not str(one.inputs.get("serviceName")).endswith(f".{missing}")
    }
    details = [
        {
            "ServiceName": name,
            "AvailabilityZones": ["us-east-1a", "us-east-1b"][:zones],
            "VpcEndpointPolicySupported": policy,
        }
        for name in sorted(services)
    ]
    return {
        "ec2": [
            ("describe_availability_zones", {"AvailabilityZones": known}),
            ("describe_vpc_endpoint_services", {"ServiceDetails": details}),
        ]
    }


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (zones_and_services(), ""),
        (zones_and_services(missing="eks-auth"), "eks-auth: must be offered in this region"),
        (zones_and_services(zones=1), "ec2: must be offered in every zone of the network, is not"),
        (zones_and_services(policy=False), "must take an endpoint policy, does not"),
    ],
    ids=["offered", "no service", "one zone", "no policies"],
)
def test_endpoints_are_of_services_that_aws_offers_there(script: Script, message: str) -> None:
    found = told(asked(endpoint_services.check, script=script))
    assert (message in "\n".join(found)) if message else found == []


def test_zones_are_of_the_region(tmp_path: Path) -> None:
    folder = edited(tmp_path, "dev.yaml", "region: us-east-1", "region: ap-southeast-2")
    with pytest.raises(
        UserError, match=r"must be of ap-southeast-2 \(apse2-az1, \.\.\.\), got use1"
    ):
        load_environment("dev", folder)


def test_partitions_are_those_that_botocore_knows() -> None:
    session = botocore.session.get_session()
    suffixes = {
        one["partition"]: one["dnsSuffix"] for one in session.get_data("endpoints")["partitions"]
    }
    seen = set()
    for partition in session.get_available_partitions():
        for region in session.get_available_regions("ec2", partition):
            assert partition_of(region) == (partition, suffixes[partition])
            seen.add(partition)
    assert {"aws", "aws-cn", "aws-us-gov"} <= seen
    assert len(PARTITIONS) >= len(seen) - 1


def test_a_foundation_of_another_partition_names_no_other() -> None:
    settings: Any = load(StackName.parse("dev.foundation"))
    account = settings.environment.account.model_copy(update={"region": "us-gov-west-1"})
    there = {"account": account, "availability_zone_ids": ["usgw1-az1", "usgw1-az2"]}
    found = synth("dev.foundation", changed(settings, environment=there))
    text = json.dumps([one.inputs.value for one in found], default=str)
    assert {one for one in re.findall(r"arn:aws:[a-z0-9-]+", text)} <= {MOCKED}
    assert "us-east-1" not in text


@pytest.mark.parametrize("room", ["infra", "stacks/composition", "stacks/settings"])
def test_no_code_names_a_partition_or_a_region(room: str) -> None:
    """But for the table of partitions; what a docstring tells is no code."""
    said = {}
    for path in sorted((ROOT / room).rglob("*.py")):
        tree = ast.parse(path.read_text())
        told_of = {
            id(node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        }
        texts = [
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in told_of
        ]
        wrong = [text for text in texts if re.search(r"arn:aws:|us-east-1", text)]
        if wrong:
            said[str(path.relative_to(ROOT))] = wrong
    assert said == ({"infra/naming.py": ["us-east-1"]} if room == "infra" else {})


MOCKED = "arn:aws:mock"
"""Of stand-ins in a synth."""


# -- F20, F22: what costs more than one thinks ---------------------------------------------------


@pytest.mark.parametrize(("env", "usd", "services"), [("dev", 175, 12), ("prod", 482, 22)])
def test_preflight_says_what_interface_endpoints_cost(env: str, usd: int, services: int) -> None:
    found = asked(cost.check, f"{env}.foundation")
    [doors] = [one for one in found if one.subject == "interface endpoints"]
    assert doors.message.startswith(f"${usd} of it a month, for {services} services")


@pytest.mark.parametrize(("policy", "high"), [("STANDARD", 73), ("EXTENDED", 438)])
def test_a_cluster_that_is_kept_after_its_support_is_priced_so(policy: str, high: int) -> None:
    settings: Any = load(StackName.parse("dev.cluster"))
    chosen = settings.cluster.model_copy(update={"upgrade_policy": policy})
    found = [one for one in synth("dev.cluster", changed(settings, cluster=chosen))
             if one.type == "aws:eks/cluster:Cluster"]  # fmt: skip
    made = estimate(found, price_table("us-east-1"))
    assert (made.expected_usd, made.high_usd) == pytest.approx((73, high))
