"""Experiment tracking: a SageMaker MLflow app or an MLflow tracking server."""

from dataclasses import dataclass
from typing import Literal

import pulumi
import pulumi_aws as aws

from infra.component import Component, ComponentArgs, Role, Statement

Kind = Literal["app", "server"]


@dataclass(frozen=True, kw_only=True)
class TrackingArgs(ComponentArgs):
    """Where artifacts go, who writes them, and what answers."""

    role: Role
    artifact_store_uri: pulumi.Input[str]
    """`s3://bucket/prefix` for everything that runs log."""

    kind: Kind = "app"
    """An app is serverless and costs next to nothing while idle. A tracking server is a machine of
    its own, about 469 USD a month for Small in us-east-1, cannot move to a newer MLflow in place,
    and outlives the domain it was made in: take it for what the app lacks. Default: an app."""

    size: Literal["Small", "Medium", "Large"] = "Small"
    """Of a server: up to 25, 50 or 100 users. Default: Small."""


class Tracking(Component):
    """MLflow by SageMaker; clients reach it by its ARN through the sagemaker-mlflow plugin."""

    app_arn: pulumi.Output[str]
    """ARN of the app or the server: the tracking URI of its clients."""

    def __init__(
        self, name: str, args: TrackingArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        self.app_arn = self._app(args) if args.kind == "app" else self._server(args)
        self.seal()

    def _app(self, args: TrackingArgs) -> pulumi.Output[str]:
        return aws.sagemaker.MlflowApp(
            f"{self.component_name}-app",
            name=self.names.of("tracking"),
            artifact_store_uri=args.artifact_store_uri,
            role_arn=args.role.arn,
            tags=self.tags("tracking"),
            opts=self.child,
        ).arn

    def _server(self, args: TrackingArgs) -> pulumi.Output[str]:
        return aws.sagemaker.MlflowTrackingServer(
            f"{self.component_name}-server",
            tracking_server_name=self.names.of("tracking"),
            artifact_store_uri=args.artifact_store_uri,
            tracking_server_size=args.size,
            role_arn=args.role.arn,
            tags=self.tags("tracking"),
            opts=self.child,
        ).arn


def log_runs(kind: Kind, arn: pulumi.Input[str]) -> list[Statement]:
    """Calling MLflow and, through it, writing runs."""
    return [{"Action": list(ACTIONS[kind]), "Resource": [arn]}]


ACTIONS = {
    "app": ("sagemaker:CallMlflowAppApi", "sagemaker:DescribeMlflowApp"),
    "server": (
        "sagemaker:DescribeMlflowTrackingServer",
        "sagemaker-mlflow:AccessUI",
        "sagemaker-mlflow:CreateExperiment",
        "sagemaker-mlflow:CreateRun",
        "sagemaker-mlflow:GetExperiment",
        "sagemaker-mlflow:GetExperimentByName",
        "sagemaker-mlflow:GetRun",
        "sagemaker-mlflow:LogBatch",
        "sagemaker-mlflow:LogInputs",
        "sagemaker-mlflow:LogMetric",
        "sagemaker-mlflow:LogModel",
        "sagemaker-mlflow:LogParam",
        "sagemaker-mlflow:SearchExperiments",
        "sagemaker-mlflow:SearchRuns",
        "sagemaker-mlflow:SetTag",
        "sagemaker-mlflow:UpdateRun",
    ),
}
"""Developer guide, "Set up IAM permissions for MLflow": an app is called as a whole, a server
operation by operation."""
