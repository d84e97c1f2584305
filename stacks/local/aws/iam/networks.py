"""VPC endpoints on the way of a request from what runs in a VPC.

Source: AWS PrivateLink guide, "Control access to VPC endpoints using endpoint policies". A service
without an endpoint in the VPC is reached over the internet, where no such policy stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from policies.iam.document import Policy, compiled
from stacks.local.aws.iam.resources import Place

NAMES = {
    "sagemaker": "sagemaker.api",
    "sagemaker-runtime": "sagemaker.runtime",
    "sagemaker-featurestore-runtime": "sagemaker.featurestore-runtime",
    "ecr": "ecr.api",
}
"""Service of botocore -> end of the name of its endpoint service. Default: what it signs for."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """How a request from a VPC comes."""

    vpc: str
    endpoint: str | None = None
    policy: Policy | None = None

    def known(self) -> dict[str, Any]:
        """Condition keys; there are none without an endpoint (aws:SourceVpc, global keys)."""
        if self.endpoint is None:
            return {}
        return {"aws:SourceVpc": self.vpc, "aws:SourceVpce": self.endpoint}


def way(vpc: str, signed_for: str, botocore_service: str, place: Place) -> Way:
    """The way from a VPC to a service."""
    from moto.ec2.models import ec2_backends

    backend = ec2_backends[place.account][place.region]
    wanted = NAMES.get(botocore_service, signed_for)
    for endpoint in list(backend.vpc_end_points.values()):
        name = str(endpoint.service_name).partition(f".{place.region}.")[2]
        if endpoint.vpc_id == vpc and name == wanted and _is_used(endpoint):
            return Way(
                vpc=vpc,
                endpoint=str(endpoint.id),
                policy=compiled(endpoint.policy_document, f"policy of {endpoint.id}"),
            )
    return Way(vpc=vpc)


def _is_used(endpoint: Any) -> bool:
    """Whether the endpoint takes the service's usual name: a gateway, or private DNS."""
    return endpoint.vpc_endpoint_type == "Gateway" or bool(endpoint.private_dns_enabled)


def vpc_of(subnets: list[str], place: Place) -> str:
    """The VPC of subnets; empty where there is none of them."""
    from moto.ec2.models import ec2_backends

    backend = ec2_backends[place.account][place.region]
    for zone in list(backend.subnets.values()):
        for subnet in list(zone.values()):
            if subnet.id in subnets:
                return str(subnet.vpc_id)
    return ""
