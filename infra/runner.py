"""A build in the VPC that deploys what can only be reached from there: the cluster."""

import json
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.component import Component, ComponentArgs, Role

SOURCE = "runner/source.zip"
"""Where the checkout lies in the bucket of artifacts: what `git archive` makes of a commit."""


@dataclass(frozen=True, kw_only=True)
class RunnerArgs(ComponentArgs):
    """Who deploys, and from where."""

    role: Role
    """That of the deployer, which trusts CodeBuild: whoever may start a build may act as it."""

    bucket_name: pulumi.Input[str]
    """Holds `SOURCE`."""

    kms_key_arn: pulumi.Input[str]
    """Of what the project puts out."""

    log_key_arn: pulumi.Input[str]
    vpc_id: pulumi.Input[str]
    subnet_ids: pulumi.Input[list[str]]
    security_group_id: pulumi.Input[str]
    """Of everything that talks to the cluster's API."""

    image: str
    compute_type: str = "BUILD_GENERAL1_SMALL"
    timeout_minutes: int = 120


class Runner(Component):
    """A CodeBuild project, private in the VPC, that deploys one stack: the variable `STACK`."""

    project_name: pulumi.Output[str]

    def __init__(
        self, name: str, args: RunnerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        project, group = self.names.of(name), f"/aws/codebuild/{self.names.of(name)}"
        logs = aws.cloudwatch.LogGroup(
            f"{name}-logs",
            name=group,
            retention_in_days=90,
            kms_key_id=args.log_key_arn,
            tags=self.tags("logs"),
            opts=self.child,
        )
        made = aws.codebuild.Project(
            name,
            name=project,
            description="Deploys a stack from inside the VPC",
            service_role=args.role.arn,
            encryption_key=args.kms_key_arn,
            build_timeout=args.timeout_minutes,
            artifacts={"type": "NO_ARTIFACTS"},
            environment={
                "type": "LINUX_CONTAINER",
                "compute_type": args.compute_type,
                "image": args.image,
                "environment_variables": [{"name": "STACK", "value": f"{self.names.env}.cluster"}],
            },
            source={
                "type": "S3",
                "location": pulumi.Output.concat(args.bucket_name, "/", SOURCE),
                "buildspec": json.dumps(buildspec()),
            },
            logs_config={"cloudwatch_logs": {"status": "ENABLED", "group_name": logs.name}},
            vpc_config={
                "vpc_id": args.vpc_id,
                "subnets": args.subnet_ids,
                "security_group_ids": [args.security_group_id],
            },
            tags=self.tags(name),
            opts=self.child,
        )
        self.project_name = made.name
        self.seal()


def buildspec() -> dict[str, object]:
    """What a build does: install what the checkout names, and deploy (buildspec reference 0.2)."""
    return {
        "version": "0.2",
        "env": {"shell": "bash"},
        "phases": {
            "install": {
                "runtime-versions": {"python": "3.12"},
                "commands": [
                    "make install",
                    # by its checksum, and of the version that the checkout pins
                    ".ci/pulumi > /tmp/pulumi",
                ],
            },
            "build": {
                "commands": [
                    'export PATH="$(cat /tmp/pulumi):$PATH"',
                    '.venv/bin/plinth up "$STACK"',
                ]
            },
        },
    }
