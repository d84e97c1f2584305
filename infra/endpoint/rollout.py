"""How an update of an endpoint reaches callers, and what calls it back.

Limits: SageMaker API reference, BlueGreenUpdatePolicy, TrafficRoutingConfig, RollingUpdatePolicy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pulumi
import pulumi_aws as aws

Routing = Literal["ALL_AT_ONCE", "CANARY", "LINEAR", "ROLLING"]

PERCENT = {"CANARY": (1, 50), "LINEAR": (10, 50), "ROLLING": (5, 50)}
"""Smallest and largest step of each routing, in percent of the fleet."""

ROLLBACK_ALARMS_MAX = 10
"""Alarms that an update may be watched by (AutoRollbackConfig)."""


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """An update in steps: how large they are and how long each is watched."""

    traffic_routing: Routing = "CANARY"
    """`ALL_AT_ONCE`, `CANARY` and `LINEAR` start a whole new fleet beside the old one; `ROLLING`
    replaces the fleet in batches, for instance types that are hard to get twice. Default: canary.
    """

    step_percent: int = 10
    """Share of the fleet in the first (canary), each (linear) or one batch (rolling) step.
    Default: 10."""

    wait_interval_seconds: int = 600
    """Baking time after a step, in which an alarm rolls the update back (0 to 3600). Default: ten
    minutes."""

    termination_wait_seconds: int | None = None
    """How long the old fleet stays after all traffic has moved (0 to 3600). Default: as long as
    the baking time."""

    def __post_init__(self) -> None:
        least, most = PERCENT.get(self.traffic_routing, (1, 100))
        if not least <= self.step_percent <= most:
            raise ValueError(
                f"step_percent of {self.traffic_routing} must be {least} to {most}, "
                f"got {self.step_percent}"
            )
        for seconds in (self.wait_interval_seconds, self.termination_seconds):
            if not 0 <= seconds <= 3600:
                raise ValueError(f"waiting times must be 0 to 3600 seconds, got {seconds}")

    @property
    def termination_seconds(self) -> int:
        """How long the old fleet stays."""
        given = self.termination_wait_seconds
        return self.wait_interval_seconds if given is None else given


def deployment_config(
    rollout: Rollout, alarm_names: Sequence[pulumi.Input[str]]
) -> aws.sagemaker.EndpointDeploymentConfigArgs:
    """The rollout in the provider's words; any of the alarms rolls it back."""
    if not 1 <= len(alarm_names) <= ROLLBACK_ALARMS_MAX:
        raise ValueError(
            f"an update must be watched by 1 to {ROLLBACK_ALARMS_MAX} alarms, "
            f"got {len(alarm_names)}"
        )
    rollback = "EndpointDeploymentConfigAutoRollbackConfiguration"  # the provider's long prefix
    alarm = getattr(aws.sagemaker, f"{rollback}AlarmArgs")
    is_rolling = rollout.traffic_routing == "ROLLING"
    return aws.sagemaker.EndpointDeploymentConfigArgs(
        blue_green_update_policy=None if is_rolling else _blue_green(rollout),
        rolling_update_policy=_rolling(rollout) if is_rolling else None,
        auto_rollback_configuration=getattr(aws.sagemaker, f"{rollback}Args")(
            alarms=[alarm(alarm_name=name) for name in alarm_names]
        ),
    )


def _blue_green(
    rollout: Rollout,
) -> aws.sagemaker.EndpointDeploymentConfigBlueGreenUpdatePolicyArgs:
    prefix = "EndpointDeploymentConfigBlueGreenUpdatePolicy"
    routing = f"{prefix}TrafficRoutingConfiguration"
    size = {"type": "CAPACITY_PERCENT", "value": rollout.step_percent}
    canary = getattr(aws.sagemaker, f"{routing}CanarySizeArgs")
    linear = getattr(aws.sagemaker, f"{routing}LinearStepSizeArgs")
    return aws.sagemaker.EndpointDeploymentConfigBlueGreenUpdatePolicyArgs(
        traffic_routing_configuration=getattr(aws.sagemaker, f"{routing}Args")(
            type=rollout.traffic_routing,
            wait_interval_in_seconds=rollout.wait_interval_seconds,
            canary_size=canary(**size) if rollout.traffic_routing == "CANARY" else None,
            linear_step_size=linear(**size) if rollout.traffic_routing == "LINEAR" else None,
        ),
        termination_wait_in_seconds=rollout.termination_seconds,
    )


def _rolling(rollout: Rollout) -> aws.sagemaker.EndpointDeploymentConfigRollingUpdatePolicyArgs:
    batch = aws.sagemaker.EndpointDeploymentConfigRollingUpdatePolicyMaximumBatchSizeArgs
    return aws.sagemaker.EndpointDeploymentConfigRollingUpdatePolicyArgs(
        maximum_batch_size=batch(type="CAPACITY_PERCENT", value=rollout.step_percent),
        wait_interval_in_seconds=rollout.wait_interval_seconds,
    )
