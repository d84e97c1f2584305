"""VPC endpoints: AWS services without a way through the internet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.component import Component, ComponentArgs, plain_json

GATEWAYS = ("dynamodb", "s3")
"""Services with gateway endpoints, which cost nothing (VPC user guide, gateway endpoints)."""

KUBERNETES_BUCKETS = {
    "ap-east-2": "prod-registry-k8s-io-ap-east-1",
    "cn-north-1": "prod-registry-k8s-io-ap-east-1",
    "cn-northwest-1": "prod-registry-k8s-io-ap-east-1",
    "eu-west-2": "767373bbdcb8270361b96548387bf2a9ad0d48758c35-eu-west-2",
}
"""Regions whose bucket of registry.k8s.io is not called after them."""


@dataclass(frozen=True, kw_only=True)
class VpcEndpointsArgs(ComponentArgs):
    """Which services are reached from where."""

    vpc_id: pulumi.Input[str]
    subnet_ids: pulumi.Input[Sequence[str]]
    """Where interface endpoints stand, one in each zone."""

    route_table_ids: Sequence[pulumi.Input[str]]
    """Where gateway endpoints are routed."""

    cidr_blocks: Mapping[str, str]
    """Ranges that may use the interface endpoints, by what they are for."""

    interface_endpoints: Sequence[str]
    """Service suffixes (`sagemaker.api`, `ecr.dkr`, ...), each billed per zone and hour."""


class VpcEndpoints(Component):
    """Gateways for S3 and DynamoDB, interface endpoints for the rest.

    Their policies let this account's principals through and no others: credentials of another
    account, brought in by whatever runs in the VPC, carry nothing out of it.
    """

    s3_endpoint_id: pulumi.Output[str]

    def __init__(
        self, name: str, args: VpcEndpointsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        gateways = {service: self._gateway(service, args) for service in GATEWAYS}
        self.s3_endpoint_id = gateways["s3"].id
        group = self._security_group(args)
        for service in args.interface_endpoints:
            role = service.replace(".", "-")
            aws.ec2.VpcEndpoint(
                f"{name}-{role}",
                vpc_id=args.vpc_id,
                service_name=f"com.amazonaws.{self.names.region}.{service}",
                vpc_endpoint_type="Interface",
                subnet_ids=args.subnet_ids,
                security_group_ids=[group],
                private_dns_enabled=True,
                policy=plain_json(self._policy(service)),
                tags=self.tags(service),
                opts=self.child,
            )
        self.seal()

    def _gateway(self, service: str, args: VpcEndpointsArgs) -> aws.ec2.VpcEndpoint:
        return aws.ec2.VpcEndpoint(
            f"{self.component_name}-{service}",
            vpc_id=args.vpc_id,
            service_name=f"com.amazonaws.{self.names.region}.{service}",
            vpc_endpoint_type="Gateway",
            route_table_ids=list(args.route_table_ids),
            policy=plain_json(self._policy(service)),
            tags=self.tags(service),
            opts=self.child,
        )

    def _security_group(self, args: VpcEndpointsArgs) -> pulumi.Output[str]:
        group = aws.ec2.SecurityGroup(
            f"{self.component_name}-endpoints",
            name=self.names.of("endpoints"),
            description="Interface endpoints",
            vpc_id=args.vpc_id,
            tags=self.tags("endpoints"),
            opts=self.child,
        )
        for role, block in args.cidr_blocks.items():
            aws.vpc.SecurityGroupIngressRule(
                f"{self.component_name}-https-{role}",
                security_group_id=group.id,
                cidr_ipv4=block,
                ip_protocol="tcp",
                from_port=443,
                to_port=443,
                description=f"HTTPS from inside the VPC ({role})",
                tags=self.tags(f"endpoints-https-{role}"),
                opts=self.child,
            )
        return group.id

    def _policy(self, service: str) -> dict[str, object]:
        statements: list[dict[str, object]] = [
            {
                "Sid": "ThisAccount",
                "Effect": "Allow",
                "Principal": "*",
                "Action": "*",
                "Resource": "*",
                "Condition": {"StringEquals": {"aws:PrincipalAccount": self.names.account_id}},
            }
        ]
        if service == "s3":
            statements.append(
                {
                    "Sid": "ImageLayers",
                    "Effect": "Allow",
                    "Principal": "*",
                    "Action": "s3:GetObject",
                    "Resource": [
                        self.names.bucket_arn(f"{one}/*")
                        for one in layer_buckets(self.names.region)
                    ],
                }
            )
        return {"Version": "2012-10-17", "Statement": statements}


def layer_buckets(region: str) -> list[str]:
    """Buckets of others from which nodes of a region fetch the layers of images.

    ECR hands out links that it signed itself (ECR user guide, interface VPC endpoints, minimum S3
    bucket permissions). The registry of Kubernetes sends clients in AWS to a bucket of their
    region, to be read anonymously (kubernetes/registry.k8s.io, archeio, `buckets.go`).
    """
    kubernetes = KUBERNETES_BUCKETS.get(region, f"prod-registry-k8s-io-{region}")
    return [f"prod-{region}-starport-layer-bucket", kubernetes]
