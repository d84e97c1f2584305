"""QualityCheck and ClarifyCheck steps: a baseline, and whether what is there drifts from the last.

As the developer guide has them ("Baseline calculation, drift detection and lifecycle with
ClarifyCheck and QualityCheck steps"): a processing job computes the baseline and, unless SkipCheck,
checks against the previous one: the supplied one, or that of the newest approved package of the
group. How the service tells its own containers of a previous baseline and of the model is not
published; here the job's environment says it, by `baseline_*` and `model_name`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.executor.drivers import Call, End, Progress, Services, tagged, wait_for_end
from pipelines.executor.runners import RUNNERS

BASELINE = "/opt/ml/processing/baseline"
_SHOWN = 3


@dataclass(frozen=True)
class Part:
    """A document of a baseline."""

    name: str
    """As properties, members and inputs are named by it."""
    file: str
    """Among the job's results."""
    package: tuple[str, str]
    """Its members of the DriftCheckBaselines of a model package."""


def _statistics_and_constraints(group: str) -> tuple[Part, ...]:
    return tuple(
        Part(name, f"{name.lower()}.json", (group, name)) for name in ("Statistics", "Constraints")
    )


def _analysis(group: str, member: str) -> tuple[Part, ...]:
    """Clarify's constraints are its results (developer guide, "Create a Bias Drift Baseline")."""
    return (Part("Constraints", "analysis.json", (group, member)),)


CHECKS: Mapping[str, Mapping[str, Sequence[Part]]] = {
    "QualityCheck": {
        "DATA_QUALITY": _statistics_and_constraints("ModelDataQuality"),
        "MODEL_QUALITY": _statistics_and_constraints("ModelQuality"),
    },
    "ClarifyCheck": {
        "DATA_BIAS": _analysis("Bias", "PreTrainingConstraints"),
        "MODEL_BIAS": _analysis("Bias", "PostTrainingConstraints"),
        "MODEL_EXPLAINABILITY": _analysis("Explainability", "Constraints"),
    },
}
"""Step type -> CheckType -> the documents of its baseline."""

OF_MODELS = ("MODEL_BIAS", "MODEL_EXPLAINABILITY")
"""Checks that ask a model, which the step names."""


def properties(step_type: str) -> tuple[str, ...]:
    """What later steps can ask for: S3 URIs."""
    names = [part.name for part in next(iter(CHECKS[step_type].values()))]
    return tuple(
        f"{which}{name}"
        for which in ("CalculatedBaseline", "BaselineUsedForDriftCheck")
        for name in names
    )


def check(call: Call, services: Services, progress: Progress) -> End:
    """Run the job, and compare what it found with the baseline before."""
    own, sagemaker, kind = call.own, services.client("sagemaker"), call.step.type
    parts = CHECKS[kind].get(own["CheckType"])
    if parts is None:
        return End("Failed", f"{own['CheckType']} is no check of a {kind} step")
    skip, register = own.get("SkipCheck", False), own.get("RegisterNewBaseline", False)
    previous = _previous(parts, own, sagemaker)
    if len(previous) < len(parts) and not (skip and register):
        return End("Failed", "there is no previous baseline: supply one, or set SkipCheck and "
                   "RegisterNewBaseline")  # fmt: skip
    identity = {"ProcessingJobName": call.context.job_name}
    request = _of_model({**call.arguments, **identity}, own)
    if not skip:
        request = _against(request, previous)
    arn = sagemaker.create_processing_job(**tagged(call, request))["ProcessingJobArn"]
    told = {"CheckType": own["CheckType"], "CheckJobArn": arn, "SkipCheck": skip,
            "RegisterNewBaseline": register}  # fmt: skip
    progress.move(status="Executing", metadata={kind: told})
    end = wait_for_end(RUNNERS[kind], sagemaker, identity, services.halt)
    if end.status != "Succeeded":
        return end
    folder = _output(request)
    calculated = {part.name: f"{folder}/{part.file}" for part in parts}
    answer = {f"CalculatedBaseline{name}": uri for name, uri in calculated.items()}
    used = calculated if register else previous
    answer |= {f"BaselineUsedForDriftCheck{name}": uri for name, uri in used.items()}
    group = {key: own[key] for key in ("ModelPackageGroupName",) if key in own}
    report = f"{folder}/constraint_violations.json"
    found = [] if skip else call.context.read_json(report)["violations"]
    more = {"ViolationReport": report} if found else {}
    progress.move(metadata={kind: {**told, **answer, **group, **more}})
    if found and own.get("FailOnViolation", True):
        return End("Failed", _reason(found, report), answer)
    return End("Succeeded", answer=answer)


def problems(step: Mapping[str, Any], where: str) -> Iterator[str]:
    """What is wrong with the CheckType of a step, and with the model that it asks."""
    kind, known = step.get("CheckType"), CHECKS[step["Type"]]
    if isinstance(kind, str) and kind not in known:
        yield f"{where}.CheckType must be one of {', '.join(known)}, got {kind!r}"
    if kind in OF_MODELS and not step.get("ModelName"):
        yield f"{where}.ModelName is missing: {kind} asks a model"


def _previous(parts: Sequence[Part], own: Mapping[str, Any], sagemaker: Any) -> dict[str, str]:
    """Where the baseline before is: what is supplied, else what the newest approved model has."""
    given = {part.name: own.get(f"SuppliedBaseline{part.name}") for part in parts}
    found = {name: str(uri) for name, uri in given.items() if uri}
    group = own.get("ModelPackageGroupName")
    if len(found) == len(parts) or not group:
        return found
    listed = sagemaker.list_model_packages(
        ModelPackageGroupName=group,
        ModelApprovalStatus="Approved",
        SortBy="CreationTime",
        SortOrder="Descending",
        MaxResults=1,
    )["ModelPackageSummaryList"]
    if not listed:
        return found
    package = sagemaker.describe_model_package(ModelPackageName=listed[0]["ModelPackageArn"])
    for part in parts:
        group, member = part.package
        source = package.get("DriftCheckBaselines", {}).get(group, {}).get(member)
        if source:
            found.setdefault(part.name, source["S3Uri"])
    return found


def _of_model(request: dict[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The request of a job that asks a model, where the step names one."""
    if not own.get("ModelName"):
        return request
    told = {"model_name": own["ModelName"]}
    return {**request, "Environment": {**request.get("Environment", {}), **told}}


def _against(request: dict[str, Any], previous: Mapping[str, str]) -> dict[str, Any]:
    """The request of a job that checks against a baseline."""
    inputs = [
        {
            "InputName": f"baseline_{name.lower()}",
            "S3Input": {
                "S3Uri": uri,
                "LocalPath": f"{BASELINE}/{name.lower()}",
                "S3DataType": "S3Prefix",
                "S3InputMode": "File",
            },
        }
        for name, uri in previous.items()
    ]
    paths = {
        f"baseline_{name.lower()}": f"{BASELINE}/{name.lower()}/{uri.rpartition('/')[2]}"
        for name, uri in previous.items()
    }
    return {
        **request,
        "ProcessingInputs": [*request.get("ProcessingInputs", ()), *inputs],
        "Environment": {**request.get("Environment", {}), **paths},
    }


def _output(request: Mapping[str, Any]) -> str:
    (first, *_) = request["ProcessingOutputConfig"]["Outputs"]
    return str(first["S3Output"]["S3Uri"]).rstrip("/")


_SUBJECTS = ("feature_name", "label", "facet", "facet_value", "metric_name")
"""What a violation is of ("Schema for Violations" and those of the bias and attribution drifts)."""


def _reason(found: list[Any], report: str) -> str:
    shown = [
        f"{' '.join(str(item[key]) for key in _SUBJECTS if key in item)}: {item['description']}"
        for item in found[:_SHOWN]
    ]
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f"{len(found)} violations ({report}): {'; '.join(shown)}{more}"
