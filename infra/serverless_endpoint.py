"""A serverless endpoint: nothing runs, and nothing is paid, until somebody asks."""

from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.component import Component, ComponentArgs, Role
from infra.invocations import invocation_alarms
from infra.naming import content_hash

VARIANT = "champion"
MEMORY_MIB = (1024, 2048, 3072, 4096, 5120, 6144)
"""Sizes that SageMaker offers (ProductionVariantServerlessConfig)."""


@dataclass(frozen=True, kw_only=True)
class ServerlessEndpointArgs(ComponentArgs):
    """What is served and how much of it at once."""

    model: str
    """What the model is for; names the endpoint."""

    model_package_arn: str
    role: Role
    alarm_key_arn: pulumi.Input[str]

    memory_mib: int = 2048
    """Of each worker; processors grow with it. Default: 2 GiB."""

    max_concurrency: int = 5
    """Requests at once (1 to 200); more are refused with 429. Default: 5."""

    provisioned_concurrency: int | None = None
    """Workers kept warm, paid by the hour. Default: none, the first caller waits for a start."""

    latency_p99_ms: int = 2000
    """Time of the slowest percent of answers above which the alarm fires. Default: 2 s."""

    def __post_init__(self) -> None:
        if self.memory_mib not in MEMORY_MIB:
            sizes = ", ".join(map(str, MEMORY_MIB))
            raise ValueError(f"memory_mib must be one of {sizes}, got {self.memory_mib}")
        if not 1 <= (self.provisioned_concurrency or 1) <= self.max_concurrency <= 200:
            raise ValueError(
                "1 <= provisioned_concurrency <= max_concurrency <= 200 must hold, got "
                f"{self.provisioned_concurrency}, {self.max_concurrency}"
            )


class ServerlessEndpoint(Component):
    """Model, configuration and endpoint without instances.

    Serverless inference has no network isolation, VPC, data capture, volume key, several variants
    or deployment guardrails (developer guide, "Serverless Inference: feature exclusions"), so the
    component does not offer them.
    """

    endpoint_name: pulumi.Output[str]
    endpoint_config_name: pulumi.Output[str]

    def __init__(
        self, name: str, args: ServerlessEndpointArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        self._name = endpoint_name = self.names.of(args.model)
        model = aws.sagemaker.Model(
            f"{name}-model",
            name=f"{endpoint_name}-{content_hash({'package': args.model_package_arn})}",
            execution_role_arn=args.role.arn,
            primary_container={"model_package_name": args.model_package_arn},
            tags=self.tags("model"),
            opts=self.child,
        )
        serverless: dict[str, Any] = {
            "memory_size_in_mb": args.memory_mib,
            "max_concurrency": args.max_concurrency,
            "provisioned_concurrency": args.provisioned_concurrency,
        }
        content = {"package": args.model_package_arn, **serverless}
        variant: Any = {
            "variant_name": VARIANT,
            "model_name": model.name,
            "initial_variant_weight": 1,
            "serverless_config": serverless,
        }
        config = aws.sagemaker.EndpointConfiguration(
            f"{name}-configuration",
            name=f"{endpoint_name}-{content_hash(content)}",
            production_variants=[variant],
            tags=self.tags("configuration"),
            opts=self.child,
        )
        endpoint = aws.sagemaker.Endpoint(
            f"{name}-endpoint",
            name=endpoint_name,
            endpoint_config_name=config.name,
            tags=self.tags("endpoint"),
            opts=self.child,
        )
        invocation_alarms(
            self,
            self._name,
            dimensions={"EndpointName": self._name, "VariantName": VARIANT},
            latency_p99_ms=args.latency_p99_ms,
            kms_key_arn=args.alarm_key_arn,
        )
        self.endpoint_name = endpoint.name
        self.endpoint_config_name = config.name
        self.seal()
