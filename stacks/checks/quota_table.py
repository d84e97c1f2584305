"""The service quotas that a platform runs into first, by their codes.

Codes never change; AWS's default values do, and an account's own values count: the defaults here
are what a new account has (AWS General Reference, endpoints and quotas of each service), and serve
only the environment `local`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Quota:
    """A quota of Service Quotas."""

    service: str
    code: str
    name: str
    default: float


def _vcpus(on_demand: Quota, spot: Quota) -> dict[str, Quota]:
    return {"ON_DEMAND": on_demand, "SPOT": spot}


_LETTERS = "(A, C, D, H, I, M, R, T, Z)"
STANDARD = _vcpus(
    Quota("ec2", "L-1216C47A", f"Running On-Demand Standard {_LETTERS} instances", 5),
    Quota("ec2", "L-34B43A08", f"All Standard {_LETTERS} Spot Instance Requests", 5),
)
G_AND_VT = _vcpus(
    Quota("ec2", "L-DB2E81BA", "Running On-Demand G and VT instances", 0),
    Quota("ec2", "L-3819A6DF", "All G and VT Spot Instance Requests", 0),
)
_P_ON_DEMAND = Quota("ec2", "L-417A185B", "Running On-Demand P instances", 0)
P = _vcpus(_P_ON_DEMAND, Quota("ec2", "L-7212CCBC", "All P4, P3 and P2 Spot Instance Requests", 0))
P5 = _vcpus(_P_ON_DEMAND, Quota("ec2", "L-C4BD4855", "All P5 Spot Instance Requests", 0))
INF = _vcpus(
    Quota("ec2", "L-1945791B", "Running On-Demand Inf instances", 0),
    Quota("ec2", "L-B5D1601B", "All Inf Spot Instance Requests", 0),
)
TRN = _vcpus(
    Quota("ec2", "L-2C3B7624", "Running On-Demand Trn instances", 0),
    Quota("ec2", "L-6B0D517C", "All Trn Spot Instance Requests", 0),
)
VCPU_QUOTAS = (STANDARD, G_AND_VT, P, P5, INF, TRN)

_FAMILIES = {"g": G_AND_VT, "gr": G_AND_VT, "vt": G_AND_VT, "p": P, "inf": INF, "trn": TRN}
"""Letters before the generation -> quotas; every other family is standard."""

_OWN_QUOTAS = ("dl", "f", "hpc", "mac", "u", "x")
"""Families with quotas of their own that this table does not hold."""


def vcpu_quota(instance_type: str, capacity_type: str) -> Quota | None:
    """The quota that instances of this type count against; None where the table has none."""
    found = re.match(r"([a-z]+)(\d*)", instance_type)
    assert found, instance_type
    letters, generation = found.groups()
    if letters in _OWN_QUOTAS:
        return None
    quotas = _FAMILIES.get(letters, STANDARD)
    return (P5 if (letters, generation) == ("p", "5") else quotas)[capacity_type]


def vcpus(instance_type: str) -> int | None:
    """Virtual CPUs of an EC2 type, which AWS's size names follow: 4 for each `xlarge`.

    None for sizes whose names do not say it, such as `metal`.
    """
    family, _, size = instance_type.partition(".")
    found = re.fullmatch(r"(\d*)xlarge", size)
    if found:
        return 4 * int(found[1] or 1)
    return 2 if size == "large" or family in ("t3", "t3a", "t4g") else None


VPCS = Quota("vpc", "L-F678F1CE", "VPCs per Region", 5)
INTERFACE_ENDPOINTS = Quota("vpc", "L-29B6F2EB", "Interface VPC endpoints per VPC", 50)
GATEWAY_ENDPOINTS = Quota("vpc", "L-1B52E74A", "Gateway VPC endpoints per Region", 20)
NAT_GATEWAYS = Quota("vpc", "L-FE5A380F", "NAT gateways per Availability Zone", 5)
SUBNETS = Quota("vpc", "L-407747CB", "Subnets per VPC", 200)
INTERNET_GATEWAYS = Quota("vpc", "L-A4707A72", "Internet gateways per Region", 5)
ELASTIC_IPS = Quota("ec2", "L-0263D0A3", "EC2-VPC Elastic IPs", 5)
EKS_CLUSTERS = Quota("eks", "L-1194D53C", "Clusters", 100)
NODE_GROUPS = Quota("eks", "L-6D54EA21", "Managed node groups per cluster", 30)

COUNTED = (
    VPCS, INTERFACE_ENDPOINTS, GATEWAY_ENDPOINTS, NAT_GATEWAYS, SUBNETS, INTERNET_GATEWAYS,
    ELASTIC_IPS, EKS_CLUSTERS, NODE_GROUPS,
)  # fmt: skip

SAGEMAKER_USES = {
    "endpoint": "for endpoint usage",
    "training": "for training job usage",
    "spot training": "for spot training job usage",
    "processing": "for processing job usage",
    "transform": "for transform job usage",
}
"""SageMaker has one quota per instance type and use; they are looked up by name."""
