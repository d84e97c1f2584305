"""Experiment tracking: the serverless SageMaker MLflow app."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.component import Component, ComponentArgs, Role


@dataclass(frozen=True, kw_only=True)
class TrackingArgs(ComponentArgs):
    """Where artifacts go and who writes them."""

    role: Role
    artifact_store_uri: pulumi.Input[str]
    """`s3://bucket/prefix` for everything that runs log."""


class Tracking(Component):
    """A SageMaker MLflow app; clients reach it by its ARN through the sagemaker-mlflow plugin."""

    app_arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: TrackingArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        app = aws.sagemaker.MlflowApp(
            f"{name}-app",
            name=self.names.of("tracking"),
            artifact_store_uri=args.artifact_store_uri,
            role_arn=args.role.arn,
            tags=self.tags("tracking"),
            opts=self.child,
        )
        self.app_arn = app.arn
        self.seal()

    def grant_log(self, role: Role) -> None:
        """Let a role call the app and, through it, write runs."""
        self.grant(
            role,
            "log",
            [
                {
                    "Action": [
                        "sagemaker:CallMlflowAppApi",
                        "sagemaker:DescribeMlflowApp",
                    ],
                    "Resource": [self.app_arn],
                }
            ],
        )
