"""What costs money by the hour, and for how long."""

from datetime import date, timedelta

from policies.data import Data, Resource, Unknown
from policies.must import SET, at_most, meets
from policies.rule import Fail, NotApplicable, Result, Scope, every, identities, rule
from policies.tables.instances import NVIDIA

BUDGET = "aws:budgets/budget:Budget"
CLUSTER = "aws:eks/cluster:Cluster"
NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
ENDPOINT = "aws:sagemaker/endpoint:Endpoint"
CONFIGURATION = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"
NOTEBOOK = "aws:sagemaker/notebookInstance:NotebookInstance"
INSTANCE = "aws:ec2/instance:Instance"
TRAINING_JOB = "aws:sagemaker/trainingJob:TrainingJob"
RESERVATIONS = (
    "aws:ec2/capacityReservation:CapacityReservation",
    "aws:ec2/capacityBlockReservation:CapacityBlockReservation",
)
LAUNCH_TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
NODE_CLASS = "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass"
LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
SNAPSHOT = "aws:ebs/snapshot:Snapshot"
GPU_FAMILIES = NVIDIA | {"p2", "p3", "g3"}


@rule(
    "FO-002",
    applies_to=(CLUSTER, ENDPOINT),
    kind="stack",
    severity="medium",
    fix="add a Budget with a filter on the environment and a notification (infra/budget.py does)",
    url="https://docs.aws.amazon.com/cost-management/latest/userguide/budgets-managing-costs.html",
    themes="C",
)
def require_budget(resource: Resource, scope: Scope) -> Result:
    """What costs money by the hour stands beside a budget of this environment that tells somebody.

    A bill tells of a forgotten GPU after a month. The budget may be in another stack of the
    environment.
    """

    def told(budget: Data) -> bool:
        filtered = budget.has("costFilters") or budget.has("filterExpression")
        return filtered and any(
            notice.has("subscriberSnsTopicArns") or notice.has("subscriberEmailAddresses")
            for notice in budget.each("notifications")
        )

    budgets = [budget.outputs for budget in scope.of_type(BUDGET)]
    if scope.config.has_environment_budget or any(told(budget) for budget in budgets):
        return None
    return Fail("must have a Budget with costFilters and a notification that somebody gets")


@rule(
    "FO-005",
    applies_to=(NODE_GROUP, CONFIGURATION, NOTEBOOK, INSTANCE),
    severity="medium",
    fix="let it scale to zero, or give it the tag `expires` with the last day, such as 2026-06-30",
    url="https://docs.aws.amazon.com/whitepapers/latest/tagging-best-practices/tagging-best-practices.html",
    themes="C",
)
def require_expiry_of_gpus(resource: Resource, scope: Scope) -> Result:
    """Outside production, GPUs that are always on have a last day that is near.

    Nobody switches off what nobody remembers. Mandatory rules are advice there, and a review shows
    them.
    """
    if scope.config.production:
        return NotApplicable("production needs no last day")
    families = {kind.removeprefix("ml.").partition(".")[0] for kind in _always_on(resource)}
    if not families & GPU_FAMILIES:
        return NotApplicable("it holds no GPU while nobody asks")
    name = scope.config.expiry_tag
    last = scope.today + timedelta(days=scope.config.lifetime_days_max)
    written = resource.tag(name)
    try:
        day = date.fromisoformat(str(written))
    except ValueError:
        return Fail(f"tag {name!r} must be a day, got {written or 'none'}")
    if scope.today <= day <= last:
        return None
    return Fail(f"tag {name!r} must be from {scope.today} to {last}, got {day}")


def _always_on(resource: Resource) -> list[str]:
    """The instance types that run whether or not there is work."""
    inputs = resource.inputs
    if resource.type == NODE_GROUP:
        idle = int(inputs.get("scalingConfig", "minSize") or 0)
        return [str(each.get()) for each in inputs.each("instanceTypes")] if idle else []
    if resource.type == CONFIGURATION:
        if inputs.has("asyncInferenceConfig"):
            return []
        variants = inputs.each("productionVariants")
        return [str(variant.get("instanceType")) for variant in variants]
    return [str(inputs.get("instanceType"))]


@rule(
    "FO-006",
    applies_to=RESERVATIONS,
    kind="stack",
    severity="high",
    fix="set endDateType limited and endDate, the tag owner, and name the reservation in the\n"
    "launch template or node class of a pool",
    url="https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/capacity-reservations-using.html",
    themes="C",
)
def require_used_reservation(resource: Resource, scope: Scope) -> Result:
    """A capacity reservation ends, has an owner, and is used by something in this stack.

    It is paid in full from the first minute, used or not. A capacity block ends by itself.
    """

    def ends(reservation: Resource) -> Result:
        if reservation.type == RESERVATIONS[1]:
            return None
        return meets(reservation.outputs, {"endDate": SET})

    def owned(reservation: Resource) -> Result:
        return None if reservation.tag("owner") else Fail("tag 'owner' must be set, got none")

    def used(reservation: Resource) -> Result:
        named = any(
            _names(each, reservation) for each in scope.of_type(LAUNCH_TEMPLATE, NODE_CLASS)
        )
        return None if named else Fail("must be named by a launch template or node class")

    return every((ends, owned, used), lambda check: check(resource))


def _names(consumer: Resource, reservation: Resource) -> bool:
    template = consumer.type == LAUNCH_TEMPLATE
    keys = ("capacityReservationSpecification",) if template else ("spec",)
    try:
        if template:
            target = consumer.outputs.get(*keys, "capacityReservationTarget") or {}
            return target.get("capacityReservationId") in identities(reservation)
        terms = consumer.outputs.get(*keys, "capacityReservationSelectorTerms") or ()
        return any(term.get("id") in identities(reservation) for term in terms)
    except Unknown:
        if reservation.urn in consumer.dependencies.get(keys[0], ()):
            return True
        raise


@rule(
    "FO-007",
    applies_to=ENDPOINT,
    kind="stack",
    severity="low",
    mandatory="never",
    fix="serve the models as inference components of one endpoint, or as a multi-model endpoint",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/inference-cost-optimization.html",
    themes="C",
)
def limit_like_endpoints(resource: Resource, scope: Scope) -> Result:
    """No two endpoints serve the same model on instances of the same type.

    Each pays for its own instances, and both idle. Asynchronous and serverless endpoints cannot
    share.
    """
    mine = _serves(resource, scope)
    if not mine:
        return NotApplicable("it shares no instances")
    others = [each for each in scope.of_type(ENDPOINT) if each.urn != resource.urn]
    alike = sorted(each.name for each in others if mine & _serves(each, scope))
    return Fail(f"must share its instances with {', '.join(alike)}") if alike else None


def _serves(endpoint: Resource, scope: Scope) -> set[tuple[str, str]]:
    """The models of an endpoint with the types of instances that they run on."""
    found = scope.named_by(endpoint, CONFIGURATION, "endpointConfigName")
    return {
        (str(variant.get("modelName")), str(variant.get("instanceType")))
        for each in found
        if not each.outputs.has("asyncInferenceConfig")
        for variant in each.outputs.each("productionVariants")
        if variant.has("modelName") and not variant.has("serverlessConfig")
    }


@rule(
    "FO-009",
    applies_to=(LOG_GROUP, TRAINING_JOB, SNAPSHOT),
    severity="low",
    mandatory="never",
    fix="set retentionInDays; make volumeSizeInGb as large as the data; give a snapshot the tag\n"
    "`expires`, or let Data Lifecycle Manager make it",
    url="https://docs.aws.amazon.com/wellarchitected/latest/cost-optimization-pillar/welcome.html",
    themes="C",
)
def limit_kept_storage(resource: Resource, scope: Scope) -> Result:
    """Logs and snapshots end, and volumes of jobs are no larger than the data.

    What nobody deletes is paid for as long as the account exists.
    """
    inputs = resource.inputs
    if resource.type == LOG_GROUP:
        return meets(inputs, {"retentionInDays": SET})
    if resource.type == SNAPSHOT:
        name = scope.config.expiry_tag
        return None if resource.tag(name) else Fail(f"tag {name!r} must be set, got none")
    most = at_most(scope.config.volume_gib_max)
    return meets(inputs, {"resourceConfig.volumeSizeInGb": most})
