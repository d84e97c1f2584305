"""One role per purpose; what each may do comes from the components that grant it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.component import Component, ComponentArgs, Role, plain_json


@dataclass(frozen=True, kw_only=True)
class RoleSpec:
    """Who assumes a role."""

    service: str
    """Service principal, such as `sagemaker.amazonaws.com`."""

    managed_policies: Sequence[str] = ()
    """Names of AWS managed policies that a service demands. Default: none."""


@dataclass(frozen=True, kw_only=True)
class AccessArgs(ComponentArgs):
    """The roles by purpose."""

    roles: Mapping[str, RoleSpec]

    permissions_boundary_arn: str | None = None
    """Boundary of every role. Default: none."""


class Access(Component):
    """IAM roles that start with nothing and trust one service each."""

    def __init__(
        self, name: str, args: AccessArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        self._roles: dict[str, Role] = {}
        for purpose, spec in args.roles.items():
            role = aws.iam.Role(
                f"{name}-{purpose}",
                name=self.names.of(purpose),
                assume_role_policy=plain_json(self._trust(spec.service)),
                permissions_boundary=args.permissions_boundary_arn,
                tags=self.tags(purpose),
                opts=self.child,
            )
            for policy in spec.managed_policies:
                aws.iam.RolePolicyAttachment(
                    f"{name}-{purpose}-{policy}",
                    role=role.name,
                    policy_arn=f"arn:aws:iam::aws:policy/{policy}",
                    opts=self.child,
                )
            self._roles[purpose] = Role(purpose, role.name, role.arn)
        self.role_arns = pulumi.Output.all(**{p: r.arn for p, r in self._roles.items()})
        self.seal()

    def role(self, purpose: str) -> Role:
        """The role with this purpose; KeyError names one that does not exist."""
        return self._roles[purpose]

    def grant_pass(self, role: Role, passed: Sequence[Role], service: str) -> None:
        """Let a role hand these roles, and no others, to a service."""
        self.grant(
            role,
            "pass",
            [
                {
                    "Action": ["iam:PassRole"],
                    "Resource": [other.arn for other in passed],
                    "Condition": {"StringEquals": {"iam:PassedToService": service}},
                }
            ],
        )

    def grant_observe(self, role: Role) -> None:
        """Let a job or an endpoint write its log and its metrics."""
        log_groups = self.names.arn("logs", "log-group:/aws/sagemaker/*")
        self.grant(
            role,
            "observe",
            [
                {
                    "Action": [
                        "logs:CreateLogGroup",
                        "logs:CreateLogStream",
                        "logs:DescribeLogStreams",
                        "logs:PutLogEvents",
                    ],
                    "Resource": [log_groups],
                },
                {
                    # PutMetricData has no resource-level permissions; the namespace bounds it
                    # (CloudWatch, service authorization reference)
                    "Action": ["cloudwatch:PutMetricData"],
                    "Resource": ["*"],
                    "Condition": {
                        "StringLike": {
                            "cloudwatch:namespace": ["AWS/SageMaker*", "/aws/sagemaker/*"]
                        }
                    },
                },
            ],
        )

    def _trust(self, service: str) -> dict[str, object]:
        statement: dict[str, object] = {
            "Effect": "Allow",
            "Principal": {"Service": service},
            "Action": "sts:AssumeRole",
        }
        if service != "ec2.amazonaws.com":  # EC2 sends no source account when it assumes a role
            statement["Condition"] = {"StringEquals": {"aws:SourceAccount": self.names.account_id}}
        return {"Version": "2012-10-17", "Statement": [statement]}
