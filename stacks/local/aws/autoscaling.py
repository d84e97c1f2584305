"""Application Auto Scaling of SageMaker: alarms move instances of variants, and components.

A policy of type TargetTrackingScaling makes its two alarms, as AWS does; one of type StepScaling
belongs to whatever alarm names it as an action. While an alarm is in ALARM its policy is asked once
in each of the alarm's periods. Source: Application Auto Scaling user guide, "Target tracking
scaling policies", "Step scaling policies"; API reference, PutScalingPolicy.
"""

import logging
import math
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from stacks.local.aws.cloudwatch_alarms import Watch, period_of, points_of
from stacks.local.aws.emulator import Emulator, moto_backend
from stacks.local.aws.recorded.application_autoscaling import ACTIVITY, POLICY, TARGET
from stacks.local.aws.recorded.recorder import After, Store, Thing
from stacks.local.aws.schedule_expressions import Due, Timed, is_due

VARIANT = "sagemaker:variant:DesiredInstanceCount"
COMPONENT = "sagemaker:inference-component:DesiredCopyCount"
NAMESPACE = "AWS/SageMaker"
COOLDOWN_SECONDS = 300
PERIOD_SECONDS, HIGH_PERIODS, LOW_PERIODS = 60, 3, 15
LOW_SHARE = 0.9
"""Of the target: below it capacity is taken away."""

MOST_ACTIVITIES = 500

PREDEFINED: Mapping[str, tuple[str, str]] = {
    "SageMakerVariantInvocationsPerInstance": ("InvocationsPerInstance", "Sum"),
    "SageMakerInferenceComponentInvocationsPerCopy": ("InvocationsPerCopy", "Sum"),
    "SageMakerVariantProvisionedConcurrencyUtilization": (
        "ServerlessProvisionedConcurrencyUtilization",
        "Maximum",
    ),
    "SageMakerVariantConcurrentRequestsPerModelHighResolution": (
        "ConcurrentRequestsPerModel",
        "Maximum",
    ),
    "SageMakerInferenceComponentConcurrentRequestsPerCopyHighResolution": (
        "ConcurrentRequestsPerCopy",
        "Maximum",
    ),
}
"""PredefinedMetricType -> metric and statistic. Of these the first two are published here."""

log = logging.getLogger(__name__)


@dataclass
class Scaled:
    """What the rounds before have done."""

    asked: dict[tuple[str, str], int] = field(default_factory=dict)
    """Policy and alarm -> the period in which it was asked last."""
    out: dict[tuple[str, ...], float] = field(default_factory=dict)
    """Target -> when it got more."""
    taken: dict[tuple[str, ...], float] = field(default_factory=dict)
    """Target -> when it got less."""


# -- alarms of target tracking


def after(emulator: Emulator) -> Mapping[tuple[str, str], After]:
    """What PutScalingPolicy and the deletions do beside keeping a record."""

    def made(store: Store, request: Mapping[str, Any]) -> Mapping[str, Any]:
        key = tuple(str(request[name]) for name in POLICY.key)
        policy = store.of(POLICY)[key].members
        if policy.get("PolicyType", "StepScaling") != "TargetTrackingScaling":
            return {}
        policy["Alarms"] = list(_make_alarms(emulator, policy))
        return {"Alarms": policy["Alarms"]}

    def deleted(store: Store, request: Mapping[str, Any]) -> None:
        _forget(emulator, tuple(str(request[name]) for name in POLICY.key))

    def deregistered(store: Store, request: Mapping[str, Any]) -> None:
        """Its policies go along (API reference, DeregisterScalableTarget)."""
        target = tuple(str(request[name]) for name in TARGET.key)
        for key in [key for key in store.of(POLICY) if key[: len(target)] == target]:
            del store.of(POLICY)[key]
            _forget(emulator, key)

    service = POLICY.service
    return {
        (service, "PutScalingPolicy"): made,
        (service, "DeleteScalingPolicy"): deleted,
        (service, "DeregisterScalableTarget"): deregistered,
    }


def _alarm_names(key: tuple[str, ...]) -> tuple[str, str]:
    """Of the alarms of a policy: too much, too little."""
    resource = key[list(POLICY.key).index("ResourceId")]
    made = uuid.uuid5(uuid.NAMESPACE_URL, "/".join(key))
    return f"TargetTracking-{resource}-AlarmHigh-{made}", (
        f"TargetTracking-{resource}-AlarmLow-{made}"
    )


def _make_alarms(emulator: Emulator, policy: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    config = policy["TargetTrackingScalingPolicyConfiguration"]
    target = float(config["TargetValue"])
    high, low = _alarm_names(tuple(str(policy[name]) for name in POLICY.key))
    wanted = [(high, "GreaterThanThreshold", target, HIGH_PERIODS)]
    if not config.get("DisableScaleIn"):
        wanted.append((low, "LessThanThreshold", target * LOW_SHARE, LOW_PERIODS))
    _forget(emulator, tuple(str(policy[name]) for name in POLICY.key))
    backend = moto_backend("cloudwatch", emulator)
    for name, operator, threshold, periods in wanted:
        alarm = backend.put_metric_alarm(
            name=name,
            comparison_operator=operator,
            threshold=threshold,
            evaluation_periods=periods,
            period=PERIOD_SECONDS,
            description=f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy "
            f"{policy['PolicyARN']}.",
            alarm_actions=[policy["PolicyARN"]],
            **_metric(policy, config),
        )
        yield {"AlarmName": name, "AlarmARN": alarm.alarm_arn}


def _metric(policy: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """Namespace, metric, dimensions and statistic that a policy follows."""
    own = config.get("CustomizedMetricSpecification")
    if own is not None:
        return {
            "namespace": own.get("Namespace", ""),
            "metric_name": own.get("MetricName", ""),
            "dimensions": [
                {"Name": one["Name"], "Value": one["Value"]} for one in own.get("Dimensions", ())
            ],
            "statistic": own.get("Statistic", "Average"),
        }
    kind = config["PredefinedMetricSpecification"]["PredefinedMetricType"]
    metric, statistic = PREDEFINED.get(kind, (kind, "Average"))
    parts = str(policy["ResourceId"]).split("/")
    names = (
        {"EndpointName": parts[1], "VariantName": parts[3]}
        if parts[0] == "endpoint"
        else {"InferenceComponentName": parts[1]}
    )
    return {
        "namespace": NAMESPACE,
        "metric_name": metric,
        "dimensions": [{"Name": name, "Value": value} for name, value in names.items()],
        "statistic": statistic,
    }


def _forget(emulator: Emulator, key: tuple[str, ...]) -> None:
    alarms = moto_backend("cloudwatch", emulator).alarms
    for name in _alarm_names(key):
        alarms.pop(name, None)


# -- rounds


def scale(emulator: Emulator, store: Store, watched: Watch, seen: Scaled) -> None:
    """One round: ask the policies of alarms that are in ALARM, and change capacities."""
    now = datetime.now(UTC).timestamp()
    alarms = list(moto_backend("cloudwatch", emulator).alarms.values())
    for key, policy in list(store.of(POLICY).items()):
        target = store.of(TARGET).get(key[: len(TARGET.key)])
        if target is None:
            continue
        arn = policy.members["PolicyARN"]
        for alarm in alarms:
            period = int(now // period_of(alarm))
            is_due = seen.asked.get((arn, alarm.alarm_arn)) != period
            if alarm.state_value == "ALARM" and arn in (alarm.alarm_actions or ()) and is_due:
                points = points_of(alarm, watched, now) or []
                values = [value for value in points if value is not None]
                if _move(emulator, store, (target, policy), (alarm, values), seen):
                    seen.asked[arn, alarm.alarm_arn] = period


def _move(
    emulator: Emulator,
    store: Store,
    of: tuple[Thing, Thing],
    alarm: tuple[Any, list[float]],
    seen: Scaled,
) -> bool:
    """Do what a policy says of an alarm; whether it could be asked."""
    target, policy = of
    capacity = _capacity(emulator, target.members)
    if capacity is None or not alarm[0].actions_enabled:
        return False
    wanted = desired(policy.members, alarm[0], alarm[1], capacity)
    least, most = target.members.get("MinCapacity", 0), target.members.get("MaxCapacity", capacity)
    wanted = min(max(wanted, least), most)
    if wanted == capacity or _waits(target, policy.members, seen, more=wanted > capacity):
        return True
    now = datetime.now(UTC)
    told = _set(emulator, target.members, wanted)
    (seen.out if wanted > capacity else seen.taken)[_registered(target)] = now.timestamp()
    name = policy.members["PolicyName"]
    cause = f"monitor alarm {alarm[0].name} in state ALARM triggered policy {name}"
    _note(store, target.members, (wanted, told), cause)
    return True


def act(emulator: Emulator, store: Store, due: Due) -> None:
    """One round of scheduled actions: bounds change, and with them a capacity beyond them.

    Source: Application Auto Scaling user guide, "Scheduled scaling": below the new minimum it
    scales out, above the new maximum in.
    """
    now = datetime.now(UTC).timestamp()
    for action in list(moto_backend("applicationautoscaling", emulator).scheduled_actions):
        asked = action.scalable_target_action or {}
        version = f"{action.creation_time} {action.start_time} {action.end_time} {asked}"
        timed = Timed(
            key=(action.arn, version),
            expression=action.schedule,
            zone=action.timezone or "UTC",
            start=float(action.start_time or 0),
            end=float(action.end_time or math.inf),
        )
        key = (action.service_namespace, action.resource_id, action.scalable_dimension)
        target = store.of(TARGET).get(key)
        if not is_due(due, timed, now) or target is None:
            continue
        if not target.members.get("SuspendedState", {}).get("ScheduledScalingSuspended"):
            _bound(emulator, store, target.members, asked, action.scheduled_action_name)


def _bound(
    emulator: Emulator,
    store: Store,
    target: dict[str, Any],
    asked: Mapping[str, int],
    action: str,
) -> None:
    target.update({name: asked[name] for name in ("MinCapacity", "MaxCapacity") if name in asked})
    capacity = _capacity(emulator, target)
    if capacity is None:
        return
    wanted = min(max(capacity, target["MinCapacity"]), target["MaxCapacity"])
    if wanted != capacity:
        bounds = f"min capacity {target['MinCapacity']}, max capacity {target['MaxCapacity']}"
        cause = f"scheduled action name {action} was triggered: {bounds}"
        _note(store, target, (wanted, _set(emulator, target, wanted)), cause)


def _waits(target: Thing, policy: Mapping[str, Any], seen: Scaled, *, more: bool) -> bool:
    """Whether a cool-down or a suspension holds a change back."""
    suspended = target.members.get("SuspendedState", {})
    if suspended.get(f"DynamicScaling{'Out' if more else 'In'}Suspended"):
        return True
    tracking = policy.get("TargetTrackingScalingPolicyConfiguration")
    steps = policy.get("StepScalingPolicyConfiguration", {})
    name = "ScaleOutCooldown" if more else "ScaleInCooldown"
    seconds = (
        tracking.get(name, COOLDOWN_SECONDS)
        if tracking is not None
        else steps.get("Cooldown", COOLDOWN_SECONDS)
    )
    last = [seen.out.get(_registered(target), 0.0)]
    if not more:
        last.append(seen.taken.get(_registered(target), 0.0))
    return bool(datetime.now(UTC).timestamp() - max(last) < seconds)


def _registered(target: Thing) -> tuple[str, ...]:
    """A target since it was registered: one that is registered anew has no cool-down."""
    return *target.key, str(target.members["CreationTime"])


def desired(policy: Mapping[str, Any], alarm: Any, values: list[float], capacity: int) -> int:
    """The capacity that a policy asks for by the values of its alarm; no bounds are applied."""
    above = alarm.comparison_operator.startswith("GreaterThan")
    tracking = policy.get("TargetTrackingScalingPolicyConfiguration")
    if tracking is not None:
        needed = math.ceil(capacity * max(values, default=0.0) / float(tracking["TargetValue"]))
        return max(needed, capacity + 1) if above else min(needed, capacity)
    config = policy.get("StepScalingPolicyConfiguration", {})
    value = (max if above else min)(values, default=float(alarm.threshold))
    step = _step(config.get("StepAdjustments", ()), value - float(alarm.threshold))
    return capacity if step is None else _adjusted(config, int(step), capacity)


def _step(steps: Any, beyond: float) -> float | None:
    """ScalingAdjustment of the step in which a breach lies; bounds are relative to the threshold.

    An upper bound is exclusive and a lower one inclusive, the other way round below the threshold.
    """
    for step in steps:
        low = float(step.get("MetricIntervalLowerBound", -math.inf))
        high = float(step.get("MetricIntervalUpperBound", math.inf))
        if low <= beyond < high if beyond >= 0 else low < beyond <= high:
            return float(step["ScalingAdjustment"])
    return None


def _adjusted(config: Mapping[str, Any], adjustment: int, capacity: int) -> int:
    kind = config.get("AdjustmentType", "ChangeInCapacity")
    if kind == "ExactCapacity":
        return adjustment
    if kind == "ChangeInCapacity":
        return capacity + adjustment
    exact = capacity * adjustment / 100
    change = int(exact) or (1 if exact > 0 else -1 if exact < 0 else 0)
    least = int(config.get("MinAdjustmentMagnitude", 0))
    if 0 < abs(change) < least:
        change = least if change > 0 else -least
    return capacity + change


# -- what is scaled


def _capacity(emulator: Emulator, target: Mapping[str, Any]) -> int | None:
    """What a target has now; None where it is not there, changes just now, or is none of ours."""
    parts = str(target["ResourceId"]).split("/")
    if target["ScalableDimension"] == VARIANT:
        item = emulator.store.find("endpoint", parts[1])
        if item is None or item.fields["EndpointStatus"] != "InService":
            return None
        variant = item.live.fleet.variants.get(parts[3])
        return None if variant is None else int(variant.instances)
    if target["ScalableDimension"] == COMPONENT:
        item = emulator.store.find("inference component", parts[1])
        if item is None or item.fields["InferenceComponentStatus"] != "InService":
            return None
        return int(item.fields["RuntimeConfig"]["DesiredCopyCount"])
    return None


def _set(emulator: Emulator, target: Mapping[str, Any], wanted: int) -> str:
    """Ask SageMaker for a capacity; why it did not take it, if so."""
    parts = str(target["ResourceId"]).split("/")
    try:
        if target["ScalableDimension"] == VARIANT:
            change = {"VariantName": parts[3], "DesiredInstanceCount": wanted}
            emulator.sagemaker.update_endpoint_weights_and_capacities(
                EndpointName=parts[1], DesiredWeightsAndCapacities=[change]
            )
        else:
            emulator.sagemaker.update_inference_component_runtime_config(
                InferenceComponentName=parts[1], DesiredRuntimeConfig={"CopyCount": wanted}
            )
    except ClientError as error:
        log.warning("%s could not be scaled: %s", target["ResourceId"], error)
        return str(error)
    return ""


def _note(store: Store, target: Mapping[str, Any], ended: tuple[int, str], cause: str) -> None:
    """Keep an activity for DescribeScalingActivities, the newest first."""
    wanted, wrong = ended
    what = "copy count" if target["ScalableDimension"] == COMPONENT else "instance count"
    now, identity = datetime.now(UTC), str(uuid.uuid4())
    members = {
        **{name: target[name] for name in TARGET.key},
        "ActivityId": identity,
        "Description": f"Setting desired {what} to {wanted}.",
        "Cause": cause,
        "StartTime": now,
        "EndTime": now,
        "StatusCode": "Failed" if wrong else "Successful",
        "StatusMessage": wrong
        or f"Successfully set desired {what} to {wanted}. Change successfully fulfilled by "
        "sagemaker.",
    }
    with store.lock:
        kept = dict(list(store.of(ACTIVITY).items())[: MOST_ACTIVITIES - 1])
        store.of(ACTIVITY).clear()
        store.of(ACTIVITY).update({(identity,): Thing(ACTIVITY, (identity,), members), **kept})
