"""Pipeline definitions: what must have happened before a model is trained or registered."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from policies.data import Resource
from policies.reading.definition import BRANCHES, Branch, Definition, Step, referenced
from policies.reading.jobs import PIPELINE, definition
from policies.rule import Fail, NotApplicable, Result, Scope, every, rule
from policies.theme import Theme

TRAINING = ("Training", "Tuning", "AutoML")
SUITE_VARIABLE = "GREAT_EXPECTATIONS_SUITE"
"""A Processing step with this environment variable checks its input against that suite."""
RISK = ("risk", "risk_rating", "risk-rating")
"""Names of tags and of model metadata that say how much may go wrong."""


@rule(
    "ML-PL-001",
    applies_to=PIPELINE,
    kind="pipeline",
    severity="high",
    mandatory="everywhere",
    fix="put training behind a Condition on the report of a Processing step with the variable\n"
    f"{SUITE_VARIABLE}, or behind a QualityCheck step",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/build-and-manage-steps-types.html",
    themes=Theme.DATA_QUALITY,
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
    return _is_behind(pipeline, step, _asks_expectations, TRAINING)


def _is_behind(
    pipeline: Definition,
    step: Step,
    asks: Callable[[Definition, Step], bool],
    kinds: tuple[str, ...],
) -> bool:
    """Whether a Condition that asks the right thing decides if a step of these kinds runs."""
    before = [pipeline.steps[name] for name in pipeline.before(step)]
    taken = {branch for runs in (step, *before) for branch in runs.branches}
    conditions = {earlier.name for earlier in before if earlier.type == "Condition"}
    return any(
        _decides(pipeline, branch, taken, kinds)
        for name in conditions
        if asks(pipeline, pipeline.steps[name])
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


def _decides(
    pipeline: Definition, branch: Branch, taken: set[Branch], kinds: tuple[str, ...]
) -> bool:
    """Whether this outcome is the only way to the step.

    Either the step, or one it waits for, lies in it; or the step waits for the whole Condition and
    the other outcome always ends the pipeline.
    """
    other = pipeline.inside(branch.opposite)
    if branch in taken:
        return not any(step.type in kinds for step in other)
    depth = len(pipeline.steps[branch.condition].branches) + 1
    fails = any(step.type == "Fail" and len(step.branches) == depth for step in other)
    return fails and branch.opposite not in taken


@rule(
    "ML-PL-002",
    applies_to=PIPELINE,
    kind="pipeline",
    severity="high",
    fix="put RegisterModel into the IfSteps of a Condition on a metric that a step after training\n"
    "wrote to a property file",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/build-and-manage-steps-types.html",
    themes=Theme.APPROVAL | Theme.MODEL_MONITORING,
)
def require_evaluation_gate(resource: Resource, scope: Scope) -> Result:
    """A model is registered only after a Condition on how good it is let it through.

    What the Condition asks must come from a training step or from a step after one; where the
    pipeline trains nothing, from any step.
    """
    del scope
    pipeline = definition(resource)
    steps = pipeline.of_type("RegisterModel")
    if not steps:
        return NotApplicable("the pipeline registers no model")
    return every(
        steps,
        lambda step: (
            None
            if _is_behind(pipeline, step, _asks_evaluation, ("RegisterModel",))
            else Fail(f"{step.path} ({step.name}) must be behind a Condition on a metric, got none")
        ),
    )


def _asks_evaluation(pipeline: Definition, condition: Step) -> bool:
    asked = referenced(condition.arguments.get("Conditions")) & set(pipeline.steps)
    trained = {step.name for step in pipeline.of_type(*TRAINING)}
    if not trained:
        return bool(asked)
    return any(({name} | pipeline.before(pipeline.steps[name])) & trained for name in asked)


@rule(
    "ML-PL-003",
    applies_to=PIPELINE,
    kind="pipeline",
    severity="critical",
    fix="register with approval_status PendingManualApproval;\napprove with `plinth approve`",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-approve.html",
    themes=Theme.APPROVAL,
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


@rule(
    "ML-PL-004",
    applies_to=PIPELINE,
    kind="pipeline",
    severity="high",
    fix="add ClarifyCheck steps for bias and for explainability before RegisterModel,\n"
    "or correct the risk rating",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/build-and-manage-steps-types.html",
    themes=Theme.FAIRNESS,
)
def require_bias_checks(resource: Resource, scope: Scope) -> Result:
    """A model whose mistakes are dear is checked for bias, and explained, before it is registered.

    The rating stands in a tag of the pipeline, in the metadata of the model or in its card. Checks
    that skip, or that a violation does not stop, check nothing.
    """
    del scope
    pipeline = definition(resource)
    steps = pipeline.of_type("RegisterModel")
    rated = {str(resource.inputs.get("tags", name)).lower() for name in RISK}
    risky = [step for step in steps if "high" in rated | set(_ratings(step))]
    if not risky:
        return NotApplicable("registers no model that is rated as high risk")
    return every(risky, lambda step: _is_explained(pipeline, step))


def _ratings(step: Step) -> Iterator[str]:
    metadata = step.arguments.get("CustomerMetadataProperties") or {}
    yield from (str(metadata.get(name)).lower() for name in RISK)
    content = (step.arguments.get("ModelCard") or {}).get("ModelCardContent")
    card: Any = json.loads(content) if isinstance(content, str) else content or {}
    yield str((card.get("intended_uses") or {}).get("risk_rating")).lower()


def _is_explained(pipeline: Definition, step: Step) -> Result:
    before = [pipeline.steps[name] for name in pipeline.before(step)]
    done = {_clarifies(earlier) for earlier in before if earlier.type == "ClarifyCheck"}
    missing = sorted({"bias", "explainability"} - done)
    if not missing:
        return None
    return Fail(f"{step.path} ({step.name}) must be behind a check of {' and of '.join(missing)}")


def _clarifies(step: Step) -> str:
    """What a ClarifyCheck step checks; nothing where it can be passed by."""
    if step.body.get("SkipCheck", False) is not False:
        return ""
    if step.body.get("FailOnViolation", True) is not True:
        return ""
    kind = str(step.body.get("CheckType") or step.arguments.get("CheckType")).upper()
    return "explainability" if "EXPLAIN" in kind else "bias" if "BIAS" in kind else ""
