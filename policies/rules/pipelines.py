"""Pipeline definitions: what must have happened before a model is trained or registered."""

from policies.data import Resource
from policies.definition import BRANCHES, Branch, Definition, Step, parse, referenced
from policies.rule import Fail, NotApplicable, Result, Scope, every, rule

PIPELINE = "aws:sagemaker/pipeline:Pipeline"
TRAINING = ("Training", "Tuning", "AutoML")
SUITE_VARIABLE = "GREAT_EXPECTATIONS_SUITE"
"""A Processing step with this environment variable checks its input against that suite."""


def definition(resource: Resource) -> Definition:
    """The pipeline's definition; raises ValueError where there is none to read."""
    text = resource.inputs.get("pipelineDefinition")
    if not isinstance(text, str):
        raise ValueError(f"pipelineDefinition must be JSON text, got {type(text).__name__}")
    return parse(text)


@rule(
    "ML-PL-001",
    applies_to=PIPELINE,
    kind="pipeline",
    severity="high",
    mandatory="everywhere",
    fix="put training behind a Condition on the report of a Processing step with the variable\n"
    f"{SUITE_VARIABLE}, or behind a QualityCheck step",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/build-and-manage-steps-types.html",
    themes="D",
)
def require_data_quality_gate(resource: Resource, scope: Scope) -> Result:
    """Every training step runs only after a data-quality gate let it through.

    The gate is a QualityCheck that fails on violation, or a Great Expectations step whose result
    decides a Condition: training lies in one outcome of it, and the other outcome trains nothing.
    """
    del scope
    pipeline = definition(resource)
    steps = pipeline.of_type(*TRAINING)
    if not steps:
        return NotApplicable("the pipeline trains nothing")
    return every(
        steps,
        lambda step: (
            None
            if _is_gated(pipeline, step)
            else Fail(f"{step.path} ({step.name}) must be behind a data-quality gate, got none")
        ),
    )


def _is_gated(pipeline: Definition, step: Step) -> bool:
    before = [pipeline.steps[name] for name in pipeline.before(step)]
    if any(_checks_quality(earlier) for earlier in before):
        return True
    taken = {branch for runs in (step, *before) for branch in runs.branches}
    conditions = {earlier.name for earlier in before if earlier.type == "Condition"}
    return any(
        _decides(pipeline, branch, taken)
        for name in conditions
        if _asks_expectations(pipeline, pipeline.steps[name])
        for branch in (Branch(name, outcome) for outcome in BRANCHES)
    )


def _checks_quality(step: Step) -> bool:
    """Whether a step stops the pipeline by itself when data is bad.

    A reference instead of a constant could switch the check off, so it does not count.
    """
    if step.type != "QualityCheck":
        return False
    return (
        step.body.get("SkipCheck", False) is False
        and step.body.get("FailOnViolation", True) is True
    )


def _asks_expectations(pipeline: Definition, condition: Step) -> bool:
    asked = referenced(condition.arguments.get("Conditions"))
    return any(
        step.name in asked and SUITE_VARIABLE in (step.arguments.get("Environment") or {})
        for step in pipeline.of_type("Processing")
    )


def _decides(pipeline: Definition, branch: Branch, taken: set[Branch]) -> bool:
    """Whether this outcome is the only way to the step.

    Either the step, or one it waits for, lies in it; or the step waits for the whole Condition and
    the other outcome always ends the pipeline.
    """
    other = pipeline.inside(branch.opposite)
    if branch in taken:
        return not any(step.type in TRAINING for step in other)
    depth = len(pipeline.steps[branch.condition].branches) + 1
    fails = any(step.type == "Fail" and len(step.branches) == depth for step in other)
    return fails and branch.opposite not in taken


@rule(
    "ML-PL-003",
    applies_to=PIPELINE,
    kind="pipeline",
    severity="critical",
    fix="register with approval_status PendingManualApproval;\napprove with `plinth approve`",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-approve.html",
    themes="A",
)
def forbid_self_approval(resource: Resource, scope: Scope) -> Result:
    """A pipeline registers models as pending: only a person approves them.

    A reference is no constant: whoever starts the pipeline could make it Approved.
    """
    del scope
    steps = definition(resource).of_type("RegisterModel")
    if not steps:
        return NotApplicable("the pipeline registers no model")
    return every(steps, _is_pending)


def _is_pending(step: Step) -> Result:
    status = step.arguments.get("ModelApprovalStatus")
    if status == "PendingManualApproval":
        return None
    where = f"{step.path}.Arguments.ModelApprovalStatus"
    return Fail(f"{where} must be 'PendingManualApproval', got {status!r}")
