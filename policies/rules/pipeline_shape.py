"""Pipelines: a definition that holds together, and the resource around it."""

import re
from collections.abc import Iterator
from typing import Any

from policies.data import Data, Resource, Unknown
from policies.reading.definition import Definition, Step, cycles, duplicates
from policies.reading.documents import condition_keys, statements, strings
from policies.reading.jobs import PIPELINE, definition
from policies.rule import Fail, NotApplicable, Result, Scope, every, rule
from policies.theme import Theme

ROLE = "aws:iam/role:Role"
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
MODEL = "aws:sagemaker/model:Model"

EXECUTION = frozenset(
    (
        "CurrentDateTime", "PipelineArn", "PipelineExecutionArn", "PipelineExecutionId",
        "PipelineName", "ProcessingJobName", "StartDateTime", "TrainingJobName",
    )
)  # fmt: skip
"""What a run knows of itself ("SageMaker Pipelines", execution variables)."""

DECISIVE = ("InstanceType", "ImageUri", "TrainingImage", "ModelApprovalStatus", "RoleArn")
"""Keys whose value nobody who starts a run may make up: a parameter there needs EnumValues."""

STAGES = frozenset(("dev", "local", "prod", "production", "sandbox", "staging", "test"))
_ACCOUNT = re.compile(r"arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:(\d{12}):|s3://[a-z0-9.-]*?(\d{12})\b")


@rule(
    "ML-PL-007",
    applies_to=PIPELINE,
    kind="pipeline",
    severity="high",
    fix="name steps, property files and parameters that exist; give every parameter a default;\n"
    "EnumValues where it chooses an instance, an image, a role or a status",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/build-and-manage-parameters.html",
    themes=Theme.APPROVAL,
)
def require_sound_definition(resource: Resource, scope: Scope) -> Result:
    """A definition holds together and speaks of its own environment only.

    Every reference leads somewhere, no steps wait for each other, every parameter is used and has a
    default, and no account or bucket of another environment stands in it. The SDK checks the shape
    alone; SageMaker finds the rest when a run is under way.
    """
    pipeline = definition(resource)
    problems = [
        *_structure(pipeline),
        *_dangling(pipeline),
        *_parameters(pipeline),
        *_strangers(pipeline, resource, scope),
    ]
    return Fail("; ".join(problems)) if problems else None


def _structure(pipeline: Definition) -> Iterator[str]:
    for where in duplicates(pipeline):
        yield f"{where} must have a name of its own"
    for circle in cycles(pipeline):
        paths = ", ".join(pipeline.steps[name].path for name in circle)
        yield f"{' -> '.join([*circle, circle[0]])} must not wait for each other ({paths})"
    for step in pipeline.steps.values():
        for index, entry in enumerate(step.body.get("DependsOn") or ()):
            name = entry if isinstance(entry, str) else entry["Step"]
            if name not in pipeline.steps:
                yield f"{step.path}.DependsOn[{index}] must be a step, got {name!r}"


def _dangling(pipeline: Definition) -> Iterator[str]:
    for path, target in pipeline.references:
        kind, _, rest = target.partition(".")
        name = re.split(r"[.\[]", rest, maxsplit=1)[0]
        if kind == "Steps":
            yield from _result_of(pipeline, path, target, name)
        elif kind == "Parameters" and name not in pipeline.parameters:
            yield f"{path} must name a parameter, got {target!r}"
        elif kind == "Execution" and name not in EXECUTION:
            yield f"{path} must name what a run knows of itself, got {target!r}"


def _result_of(pipeline: Definition, path: str, target: str, name: str) -> Iterator[str]:
    step = pipeline.steps.get(name)
    if step is None:
        yield f"{path} must name a step, got {target!r}"
        return
    found = re.fullmatch(r"Steps\.[A-Za-z0-9_-]+\.PropertyFiles\.(.+)", target)
    if found and found[1] not in _property_files(step):
        yield f"{path} must name a property file of {name}, got {found[1]!r}"


def _property_files(step: Step) -> set[str]:
    return {str(entry.get("PropertyFileName")) for entry in step.body.get("PropertyFiles") or ()}


def _parameters(pipeline: Definition) -> Iterator[str]:
    targets = pipeline.references
    used = {target.partition(".")[2] for _, target in targets if target.startswith("Parameters.")}
    decisive = {
        target.partition(".")[2]
        for path, target in targets
        if target.startswith("Parameters.") and path.rpartition(".")[2] in DECISIVE
    }
    for index, (name, parameter) in enumerate(pipeline.parameters.items()):
        where = f"Parameters[{index}] ({name})"
        if name not in used:
            yield f"{where} must be used, or go"
        if "DefaultValue" not in parameter:
            yield f"{where} must have a DefaultValue"
        if name in decisive and not parameter.get("EnumValues"):
            yield f"{where} must have EnumValues: it chooses what runs"


def _strangers(pipeline: Definition, resource: Resource, scope: Scope) -> Iterator[str]:
    accounts = {account for text in pipeline.texts for account in _accounts(text)}
    home = _own_account(resource)
    allowed = {home, *scope.config.trusted_accounts}
    others = sorted(accounts - allowed)
    if home and others:
        yield f"must name account {home} only, got {', '.join(others)}"
    elif not home and len(others) > 1:
        yield f"must name one account, got {', '.join(others)}"
    project, stage = (_tag(resource, name) for name in ("project", "environment"))
    for other in sorted(STAGES - {stage}) if project and stage else ():
        prefix = f"s3://{project}-{other}-"
        found = sorted({text for text in pipeline.texts if text.startswith(prefix)})
        if found:
            yield f"must name buckets of {stage} only, got {found[0]}"


def _own_account(resource: Resource) -> str:
    """The account of the pipeline's role; empty where it is not known yet."""
    try:
        found = _accounts(str(resource.inputs.get("roleArn")))
    except Unknown:
        return ""
    return next(iter(found), "")


def _tag(resource: Resource, name: str) -> str:
    try:
        return str(resource.tag(name) or "")
    except Unknown:
        return ""


def _accounts(text: str) -> set[str]:
    return {one or two for one, two in _ACCOUNT.findall(text)}


@rule(
    "ML-PL-008",
    applies_to=PIPELINE,
    severity="low",
    fix="set parallelism_configuration.max_parallel_execution_steps;\n"
    "the limit of the environment is parallel_steps_max",
    url="https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ParallelismConfiguration.html",
    themes=Theme.LIMITS,
)
def limit_parallel_steps(resource: Resource, scope: Scope) -> Result:
    """A pipeline says how many steps it runs at once, so that one run cannot take every quota."""
    most = scope.config.parallel_steps_max
    steps = resource.inputs.get("parallelismConfiguration", "maxParallelExecutionSteps")
    if steps is not None and 1 <= float(steps) <= most:
        return None
    where = "parallelismConfiguration.maxParallelExecutionSteps"
    return Fail(f"{where} must be between 1 and {most}, got {steps or 'none'}")


@rule(
    "ML-PL-009",
    applies_to=PIPELINE,
    kind="stack",
    severity="high",
    fix="give the pipeline a role of its own that names its actions,\n"
    "and pass only job roles, with a condition on iam:PassedToService",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/build-and-manage-access.html",
    themes=Theme.LEAST_PRIVILEGE,
)
def require_own_pipeline_role(resource: Resource, scope: Scope) -> Result:
    """A pipeline's role serves no model, may not do everything, and passes only named roles.

    Whoever may start the pipeline acts with this role: what it may pass on, they may use.
    """
    roles = scope.named_by(resource, ROLE, "roleArn")
    if not roles:
        return NotApplicable("the role is not of this stack")
    (role, *_) = roles
    granted = [
        Data(policy.outputs.value.get("policy"), f"{policy.name}.policy")
        for policy in scope.pointing_at(role, ROLE_POLICY, "role")
    ]
    allowed = [each for document in granted for each in statements(document)]
    return every(
        [lambda: _serves_none(role, scope), *(_narrow(statement) for statement in allowed)],
        lambda check: check(),
    )


def _serves_none(role: Resource, scope: Scope) -> Result:
    serving = scope.pointing_at(role, MODEL, "executionRoleArn")
    if not serving:
        return None
    return Fail(f"must not share its role with model {serving[0].name}")


def _narrow(statement: Data) -> Any:
    def check() -> Result:
        if statement.get("Effect") != "Allow":
            return None
        actions = [action.lower() for action in strings(statement, "Action")]
        if wide := [action for action in actions if action == "*" or action.endswith(":*")]:
            return Fail(f"{statement.path} must name its actions, got {', '.join(wide)}")
        if "iam:passrole" not in actions:
            return None
        if any(target.endswith(("*", ":role/*")) for target in strings(statement, "Resource")):
            return Fail(f"{statement.path} must pass named roles only")
        if "iam:passedtoservice" in condition_keys(statement):
            return None
        return Fail(f"{statement.path} must have a condition on iam:PassedToService")

    return check


@rule(
    "ML-PL-010",
    applies_to=PIPELINE,
    kind="pipeline",
    severity="low",
    fix="set CacheConfig.ExpireAfter, such as p7d;\n"
    "leave CacheConfig out on a step that fetches data itself",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/pipelines-caching.html",
    themes=Theme.DATA_QUALITY,
)
def limit_step_caching(resource: Resource, scope: Scope) -> Result:
    """Cached results expire, and a step that fetches data by itself is never cached.

    SageMaker compares arguments, not what lies behind them: a step without inputs would find the
    first day's data for ever.
    """
    del scope
    steps = definition(resource).steps.values()
    cached = [step for step in steps if (step.body.get("CacheConfig") or {}).get("Enabled")]
    if not cached:
        return NotApplicable("caches no step")
    return every(cached, _cached_safely)


def _cached_safely(step: Step) -> Result:
    if not step.body["CacheConfig"].get("ExpireAfter"):
        return Fail(f"{step.path}.CacheConfig.ExpireAfter must be set, got none")
    inputs = step.arguments.get("ProcessingInputs") or ()
    data = [entry for entry in inputs if entry.get("InputName") != "code"]
    if step.type == "Processing" and not data:
        return Fail(f"{step.path}.CacheConfig must be absent: {step.name} fetches data by itself")
    return None


@rule(
    "ML-PL-011",
    applies_to=PIPELINE,
    severity="low",
    fix="give the definition inline, or set version_id in pipeline_definition_s3_location",
    url="https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_PipelineDefinitionS3Location.html",
    themes=Theme.APPROVAL,
)
def require_fixed_definition(resource: Resource, scope: Scope) -> Result:
    """The definition that was reviewed is what runs: it is inline, or one version of an object."""
    del scope
    if not resource.inputs.has("pipelineDefinitionS3Location"):
        return None
    if resource.inputs.has("pipelineDefinitionS3Location", "versionId"):
        return None
    return Fail("pipelineDefinitionS3Location.versionId must be set, got none")
