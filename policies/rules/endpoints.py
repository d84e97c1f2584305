"""Endpoints and what stands around them in the stack: alarms, rollout, scaling, monitoring."""

from policies.data import Data, Resource, Unknown
from policies.reading.endpoints import (
    ALARM,
    ENDPOINT,
    SCALING,
    TARGET,
    acts,
    components_of,
    configuration_of,
    has_gpu,
    hosts_components,
    instance_types,
    matching,
    metrics,
    name_of,
    scaling,
)
from policies.rule import Fail, NotApplicable, Result, Scope, every, rule
from policies.theme import Theme

SCHEDULE = "aws:sagemaker/monitoringSchedule:MonitoringSchedule"
JOB_DEFINITION = "aws:sagemaker/dataQualityJobDefinition:DataQualityJobDefinition"
EVENTBRIDGE_SCHEDULE = "aws:scheduler/schedule:Schedule"
STARTS_A_JOB = "aws-sdk:sagemaker:createProcessingJob"
"""Universal target of EventBridge Scheduler that starts a processing job."""

_ELSEWHERE = "its endpoint configuration is not in this stack"


@rule(
    "ML-EP-003",
    applies_to=ENDPOINT,
    kind="stack",
    severity="high",
    fix="add appautoscaling.Target with min_capacity < max_capacity and a Policy for a variant,\n"
    "or managed_instance_scaling for inference components",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling.html",
    themes=Theme.AVAILABILITY | Theme.LIMITS,
)
def require_endpoint_autoscaling(resource: Resource, scope: Scope) -> Result:
    """Production endpoints with GPUs or several instances grow and shrink with what is asked.

    A target without a policy, or whose bounds are equal, never moves.
    """
    if not scope.config.production:
        return NotApplicable("outside production the size may stay as it is")
    configuration = configuration_of(resource, scope)
    if configuration is None:
        return NotApplicable(_ELSEWHERE)
    variants = configuration.each("productionVariants")
    several = any((variant.get("initialInstanceCount") or 1) > 1 for variant in variants)
    if not several and not has_gpu(configuration):
        return NotApplicable("the endpoint has neither GPUs nor several instances")
    if hosts_components(configuration):
        return every(variants, _manages_instances)
    return _is_scaled(resource, scope)


def _is_scaled(endpoint: Resource, scope: Scope) -> Result:
    targets = scaling(endpoint, scope, TARGET)
    if not targets:
        return Fail("a variant must have a scalable target, got none")
    if not scaling(endpoint, scope, SCALING):
        return Fail("the scalable target must have a policy, got none")
    return every(targets, lambda target: _bounds(target.outputs, "minCapacity", "maxCapacity"))


def _manages_instances(variant: Data) -> Result:
    managed = Data(variant.get("managedInstanceScaling") or {}, f"{variant.path}.managed")
    if managed.get("status") != "ENABLED":
        return Fail(f"{variant.path}.managedInstanceScaling must be ENABLED")
    return _bounds(managed, "minInstanceCount", "maxInstanceCount")


def _bounds(holder: Data, low: str, high: str) -> Result:
    least, most = holder.get(low) or 0, holder.get(high) or 0
    return None if least < most else Fail(f"{low} must be below {high}, got {least}, {most}")


@rule(
    "ML-EP-004",
    applies_to=ENDPOINT,
    kind="stack",
    severity="high",
    mandatory="never",
    fix="serve asynchronously from 0 instances, or inference components from min_instance_count 0\n"
    "with a step policy and its alarm, or tag the endpoint with its last day (expiry_tag)",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-zero-instances.html",
    themes=Theme.LIMITS,
)
def require_scale_to_zero(resource: Resource, scope: Scope) -> Result:
    """Outside production, endpoints with GPUs cost nothing while nobody asks.

    Instances of a variant that names its model never reach zero, whatever the minimum says: only
    those of asynchronous endpoints and of inference components do, and the latter wake up only by a
    step policy that an alarm calls. An `expiry_tag` says when the endpoint goes instead.
    """
    if scope.config.production:
        return NotApplicable("production answers at once")
    configuration = configuration_of(resource, scope)
    if configuration is None:
        return NotApplicable(_ELSEWHERE)
    if not has_gpu(configuration):
        return NotApplicable("the endpoint has no GPUs")
    if resource.tag(scope.config.expiry_tag):
        return None
    if configuration.has("asyncInferenceConfig"):
        return _queue_sleeps(resource, scope)
    return _components_sleep(configuration, scope)


def _queue_sleeps(endpoint: Resource, scope: Scope) -> Result:
    targets = scaling(endpoint, scope, TARGET)
    if any(target.outputs.get("minCapacity") == 0 for target in targets):
        return None
    return Fail("a scalable target must have minCapacity 0")


def _components_sleep(configuration: Data, scope: Scope) -> Result:
    if not hosts_components(configuration):
        return Fail("a variant that names its model cannot reach zero instances")
    for variant in configuration.each("productionVariants"):
        if variant.get("managedInstanceScaling", "minInstanceCount") != 0:
            return Fail(f"{variant.path}.managedInstanceScaling.minInstanceCount must be 0")
    steps = [
        policy
        for policy in scope.of_type(SCALING)
        if policy.outputs.get("policyType") == "StepScaling"
        and str(policy.outputs.get("scalableDimension")).endswith(":DesiredCopyCount")
    ]
    if any(_calls(alarm, policy) for alarm in scope.of_type(ALARM) for policy in steps):
        return None
    return Fail("what sleeps must be woken by an alarm that calls a step policy, got none")


def _calls(alarm: Resource, policy: Resource) -> bool:
    if policy.urn in alarm.dependencies.get("alarmActions", ()):
        return True
    actions = alarm.outputs.get("alarmActions") or []
    return policy.outputs.get("arn") in actions


@rule(
    "ML-EP-005",
    applies_to=TARGET,
    severity="medium",
    fix="lower max_capacity or raise endpoint_capacity_max; leave suspended_state out",
    url="https://docs.aws.amazon.com/autoscaling/application/userguide/"
    "application-auto-scaling-suspend-resume-scaling.html",
    themes=Theme.LIMITS,
)
def limit_endpoint_capacity(resource: Resource, scope: Scope) -> Result:
    """Autoscaling of endpoints ends at a size that was agreed, and is not suspended."""
    inputs = resource.inputs
    if inputs.get("serviceNamespace") != "sagemaker":
        return NotApplicable("scales something else than an endpoint")
    most = scope.config.endpoint_capacity_max
    if (wanted := inputs.get("maxCapacity")) > most:
        return Fail(f"maxCapacity must be at most {most}, got {wanted}")
    state = inputs.get("suspendedState") or {}
    if suspended := sorted(key for key, value in state.items() if value):
        return Fail(f"suspendedState must suspend nothing, got {', '.join(suspended)}")
    return None


@rule(
    "ML-EP-007",
    applies_to=ENDPOINT,
    kind="stack",
    severity="medium",
    fix="add a sagemaker.MonitoringSchedule on the endpoint, or a scheduler.Schedule that starts\n"
    "a processing job on what it captured (infra/drift.py does)",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor.html",
    themes=Theme.MODEL_MONITORING,
)
def require_endpoint_monitoring(resource: Resource, scope: Scope) -> Result:
    """What a production endpoint captures is compared with the training data on a schedule.

    Model Monitor looks at real-time endpoints with one model: not at asynchronous ones, and not at
    inference components.
    """
    if not scope.config.production:
        return NotApplicable("outside production nobody relies on the answers")
    configuration = configuration_of(resource, scope)
    if configuration is None:
        return NotApplicable(_ELSEWHERE)
    if not configuration.get("dataCaptureConfig", "enableCapture"):
        return NotApplicable("the endpoint captures nothing")
    if configuration.has("asyncInferenceConfig") or hosts_components(configuration):
        return NotApplicable("Model Monitor does not look at this kind of endpoint")
    name = name_of(resource)
    schedules = scope.of_type(SCHEDULE, EVENTBRIDGE_SCHEDULE)
    if matching(schedules, lambda schedule: _monitors(schedule, name, scope)):
        return None
    return Fail(f"a schedule must monitor {name}, got none")


def _monitors(schedule: Resource, endpoint: str, scope: Scope) -> bool:
    if schedule.type == EVENTBRIDGE_SCHEDULE:
        if not str(schedule.outputs.get("target", "arn")).endswith(STARTS_A_JOB):
            return False
        return f'"{endpoint}"' in str(schedule.outputs.get("target", "input"))
    config = Data(schedule.outputs.get("monitoringScheduleConfig"), "monitoringScheduleConfig")
    inline = Data(config.get("monitoringJobDefinition") or {}, config.path)
    inputs = inline.get("monitoringInputs", "endpointInput", "endpointName")
    if inputs == endpoint:
        return True
    wanted = config.get("monitoringJobDefinitionName")
    return wanted is not None and any(
        definition.outputs.get("name") == wanted
        and definition.outputs.get("dataQualityJobInput", "endpointInput", "endpointName")
        == endpoint
        for definition in scope.of_type(JOB_DEFINITION)
    )


@rule(
    "ML-EP-008",
    applies_to=ENDPOINT,
    kind="stack",
    severity="high",
    fix="set deployment_config.auto_rollback_configuration.alarms to metric alarms\n"
    "of this stack whose EndpointName dimension is this endpoint",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails.html",
    themes=Theme.SAFE_ROLLOUT,
)
def require_rollback_alarm(resource: Resource, scope: Scope) -> Result:
    """An endpoint update is rolled back by alarms that exist and watch this very endpoint.

    An alarm name that is misspelt, or an alarm on another endpoint, guards nothing.
    Serverless endpoints and Inf1 instances are outside SageMaker's deployment guardrails, and
    inference components have their own.
    """
    if reason := _outside_guardrails(resource, scope):
        return NotApplicable(reason)
    alarms = _rollback_alarms(resource, scope)
    if isinstance(alarms, Fail):
        return alarms
    return every(alarms, lambda alarm: _watches(alarm, resource))


def _outside_guardrails(endpoint: Resource, scope: Scope) -> str:
    """Why this endpoint has no deployment guardrails, as far as its configuration tells."""
    configuration = configuration_of(endpoint, scope)
    if configuration is None:
        return ""
    types = instance_types(configuration)
    if not types:
        return "serverless endpoints have no deployment guardrails"
    if hosts_components(configuration):
        return "inference components roll out one by one, with alarms of their own"
    if any(str(instance_type.value).startswith("ml.inf1.") for instance_type in types):
        return "Inf1 instances have no deployment guardrails"
    return ""


def _rollback_alarms(endpoint: Resource, scope: Scope) -> list[Resource] | Fail:
    """The alarms of the stack that the endpoint names."""
    entries = endpoint.outputs.each("deploymentConfig", "autoRollbackConfiguration", "alarms")
    if not entries:
        return Fail("autoRollbackConfiguration must name at least one alarm, got none")
    metric_alarms = scope.of_type(ALARM)
    try:
        names = {str(entry.get("alarmName")) for entry in entries}
        by_name = {str(alarm.outputs.get("name")): alarm for alarm in metric_alarms}
    except Unknown:
        urns = endpoint.dependencies.get("deploymentConfig", ())
        if found := [alarm for alarm in metric_alarms if alarm.urn in urns]:
            return found
        raise
    if missing := sorted(names - set(by_name)):
        return Fail(f"alarms must exist in this stack, {', '.join(missing)} do not")
    return [by_name[name] for name in sorted(names)]


def _watches(alarm: Resource, endpoint: Resource) -> Result:
    name = name_of(endpoint)
    watched = {metric.get("dimensions", "EndpointName") for metric in metrics(alarm)} - {None}
    if name in watched:
        return None
    return Fail(
        f"alarm {alarm.name} must watch {name}, got {', '.join(sorted(watched)) or 'nothing'}"
    )


@rule(
    "ML-EP-009",
    applies_to=ENDPOINT,
    kind="stack",
    severity="medium",
    fix="route CANARY or LINEAR with termination_wait_in_seconds of at least one wait interval,\n"
    "or set rolling_update_policy",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-blue-green.html",
    themes=Theme.SAFE_ROLLOUT,
)
def require_gradual_rollout(resource: Resource, scope: Scope) -> Result:
    """A production update reaches a part of the callers first, and the old fleet stays meanwhile.

    Once the old fleet is gone, an alarm has nothing left to roll back to.
    """
    if not scope.config.production:
        return NotApplicable("outside production an update may reach everybody at once")
    if reason := _outside_guardrails(resource, scope):
        return NotApplicable(reason)
    if resource.outputs.has("deploymentConfig", "rollingUpdatePolicy"):
        return None
    policy = ("deploymentConfig", "blueGreenUpdatePolicy")
    routing = (*policy, "trafficRoutingConfiguration")
    kind = resource.outputs.get(*routing, "type")
    if kind not in ("CANARY", "LINEAR"):
        return Fail(f"traffic must be routed CANARY, LINEAR or rolling, got {kind}")
    bake = resource.outputs.get(*routing, "waitIntervalInSeconds") or 0
    stays = resource.outputs.get(*policy, "terminationWaitInSeconds") or 0
    if stays >= bake:
        return None
    return Fail(f"terminationWaitInSeconds must be at least the interval of {bake}, got {stays}")


@rule(
    "ML-EP-010",
    applies_to=ENDPOINT,
    kind="stack",
    severity="medium",
    fix="add metric alarms with alarm_actions on the missing metrics of the endpoint",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html",
    themes=Theme.SAFE_ROLLOUT | Theme.MODEL_MONITORING,
)
def require_endpoint_alarms(resource: Resource, scope: Scope) -> Result:
    """Somebody is told of a production endpoint's errors, slow answers and full GPU memory.

    Metrics of inference components carry the component's name instead of the endpoint's, and their
    GPU memory is what each of them reserved.
    """
    if not scope.config.production:
        return NotApplicable("outside production nobody is woken up")
    configuration = configuration_of(resource, scope)
    if configuration is None:
        return NotApplicable(_ELSEWHERE)
    wanted = ["Invocation5XXErrors", "ModelLatency"]
    dimension, subjects = "EndpointName", {name_of(resource)}
    if hosts_components(configuration):
        dimension, subjects = "InferenceComponentName", components_of(resource, scope)
    elif has_gpu(configuration):
        wanted.append("GPUMemoryUtilization")

    def is_watched(name: str) -> Result:
        def watches(alarm: Resource) -> bool:
            return acts(alarm) and any(
                metric.get("metricName") == name and metric.get("dimensions", dimension) in subjects
                for metric in metrics(alarm)
            )

        if matching(scope.of_type(ALARM), watches):
            return None
        return Fail(f"an alarm with actions must watch {name}, got none")

    return every(wanted, is_watched)
