"""How traffic moves from the old fleet of an endpoint to the new: in steps, watched by alarms."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from stacks.local.aws.account_id import ACCOUNT_ID
from stacks.local.aws.emulator import Emulator
from stacks.local.aws.iam.asked import Check
from stacks.local.aws.sagemaker.errors import invalid
from stacks.local.aws.sagemaker.fleet import Fleet, mend
from stacks.local.aws.sagemaker.servers import ServingFailed
from stacks.local.aws.store import Resource

WATCH_SECONDS = 1.0


@dataclass(kw_only=True, eq=False)
class Deployment:
    """What is live behind an endpoint, or behind an inference component."""

    fleet: Fleet | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)
    green: Fleet | None = None
    """The new fleet while traffic moves to it."""

    green_share: float = 0.0
    """Share of the requests that it gets, 0 to 1."""

    def fleet_for(self, draw: float) -> Fleet | None:
        """The fleet that gets a request; `draw` is a random number below 1."""
        green = self.green
        return green if green is not None and draw < self.green_share else self.fleet


def take_down(emulator: Emulator, item: Resource, status: str) -> None:
    """Stop the processes of what is deleted, then forget it."""
    deployment: Deployment = item.live
    deployment.cancelled.set()
    item.set(**{status: "Deleting"})

    def work() -> None:
        if deployment.fleet:
            deployment.fleet.stop(emulator.host)
        emulator.store.remove(item)

    emulator.background(work, broken=lambda error: emulator.store.remove(item))


def revive(emulator: Emulator, item: Resource, status: str) -> None:
    """Start again the processes that died under what is in service, as SageMaker does."""
    deployment: Deployment = item.live
    fleet = deployment.fleet
    if fleet is None or item.fields[status] != "InService":
        return
    mend(emulator, fleet, lambda: deployment.cancelled.is_set() or deployment.fleet is not fleet)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The steps of an update."""

    shares: Sequence[float]
    """Share of the new fleet at each step; the last one is 1."""

    bake_seconds: float
    """After each step."""

    termination_seconds: float
    """Until the old fleet goes, when nothing can roll back any more."""

    alarms: Sequence[str]


SIZES: Mapping[str, tuple[str, int]] = {
    "CANARY": ("CanarySize", 0),
    "LINEAR": ("LinearStepSize", 10),
    "rolling": ("MaximumBatchSize", 5),
}
"""How traffic moves -> the size of a step, and the least of it in percent of the instances."""

MOST_PERCENT = 50
"""Of a variant's instances in one step (TrafficRoutingConfig and RollingUpdatePolicy, API
reference)."""


def check_sizes(settings: Mapping[str, Any], instances: int) -> None:
    """ValidationException where a step is not there, too small or too large."""
    rolling = settings.get("RollingUpdatePolicy")
    blue_green = settings.get("BlueGreenUpdatePolicy", {})
    if rolling and blue_green:
        raise invalid("DeploymentConfig must have BlueGreenUpdatePolicy or RollingUpdatePolicy")
    policy = rolling or blue_green.get("TrafficRoutingConfiguration", {})
    kind = "rolling" if rolling else policy.get("Type")
    if kind not in SIZES:
        return
    member, least = SIZES[kind]
    if member not in policy:
        raise invalid(f"{member} must be specified when Type is {kind}")
    percent = 100 * _share(policy[member], instances)
    is_one_of_one = policy[member]["Type"] == "INSTANCE_COUNT" and instances == 1
    if not least <= percent <= MOST_PERCENT and not is_one_of_one:
        raise invalid(
            f"{member} must be {least} to {MOST_PERCENT} percent of the variant's instances, got "
            f"{percent:g}"
        )


def plan_of(settings: Mapping[str, Any], instances: int) -> Plan:
    """The steps that a DeploymentConfig asks for; without one, everything moves at once."""
    blue_green = settings.get("BlueGreenUpdatePolicy", {})
    rolling = settings.get("RollingUpdatePolicy", {})
    routing = blue_green.get("TrafficRoutingConfiguration", {})
    kind = routing.get("Type", "ALL_AT_ONCE")
    if rolling:
        shares = _even(_share(rolling["MaximumBatchSize"], instances))
    elif kind == "LINEAR":
        shares = _even(_share(routing["LinearStepSize"], instances))
    elif kind == "CANARY":
        shares = [_share(routing["CanarySize"], instances), 1.0]
    else:
        shares = [1.0]
    entries = settings.get("AutoRollbackConfiguration", {}).get("Alarms", [])
    return Plan(
        shares=shares,
        bake_seconds=(rolling or routing).get("WaitIntervalInSeconds", 0),
        termination_seconds=blue_green.get("TerminationWaitInSeconds", 0),
        alarms=[entry["AlarmName"] for entry in entries],
    )


def shift(emulator: Emulator, deployment: Deployment, green: Fleet, plan: Plan) -> None:
    """Move the traffic step by step; ServingFailed, all of it back, when an alarm goes off."""
    _check_alarms(emulator, green, plan)
    deployment.green = green
    try:
        for share in plan.shares:
            deployment.green_share = share
            _bake(emulator, plan, deployment.cancelled)
    except ServingFailed:
        deployment.green, deployment.green_share = None, 0.0
        raise
    deployment.fleet, deployment.green, deployment.green_share = green, None, 0.0


def _check_alarms(emulator: Emulator, green: Fleet, plan: Plan) -> None:
    """SageMaker reads the alarms as the role of the model (developer guide, "Auto-rollback
    configuration and monitoring"); ServingFailed where it may not."""
    for variant, name in product(green.variants.values(), plan.alarms):
        arn = f"arn:aws:cloudwatch:{emulator.region}:{ACCOUNT_ID}:alarm:{name}"
        check = Check(action="cloudwatch:DescribeAlarms", resource=arn)
        if told := emulator.authorizer.refuses_role(variant.role_arn, "SageMaker", check):
            raise ServingFailed(f"The alarms of AutoRollbackConfiguration cannot be read: {told}")


def _even(step: float) -> list[float]:
    """Equal steps up to 1."""
    count = max(1, round(1 / step + 0.499))
    return [min(1.0, step * (number + 1)) for number in range(count)]


def _share(size: Mapping[str, Any], instances: int) -> float:
    """A CapacitySize as a share of the fleet."""
    whole = 100 if size["Type"] == "CAPACITY_PERCENT" else instances
    return min(1.0, float(size["Value"]) / max(1, whole))


def _bake(emulator: Emulator, plan: Plan, cancelled: threading.Event) -> None:
    """Watch the alarms for the baking time, at least once."""
    deadline = time.monotonic() + plan.bake_seconds
    while True:
        if found := _in_alarm(emulator, plan.alarms):
            raise ServingFailed(f"One or more alarms are in ALARM state: {', '.join(found)}")
        left = deadline - time.monotonic()
        if left <= 0 or cancelled.wait(min(WATCH_SECONDS, left)):
            return


def _in_alarm(emulator: Emulator, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    answer = emulator.cloudwatch.describe_alarms(  # by one filter in moto
        AlarmNames=list(names), AlarmTypes=["MetricAlarm", "CompositeAlarm"]
    )
    found = [*answer["MetricAlarms"], *answer["CompositeAlarms"]]
    return sorted(alarm["AlarmName"] for alarm in found if alarm["StateValue"] == "ALARM")
