"""QualityCheck steps: a baseline of a data set, and whether it drifts from the one before.

As the developer guide has them ("Baseline calculation, drift detection and lifecycle with
ClarifyCheck and QualityCheck steps"): a processing job computes statistics and constraints and,
unless SkipCheck, checks the data against the previous baseline: the supplied one, or that of the
newest approved package of the group. Model quality is analyzed by nothing here and refused.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pipelines.executor.drivers import Call, End, Progress, Services, wait_for_end
from pipelines.executor.runners import RUNNERS

DATA, MODEL = "DATA_QUALITY", "MODEL_QUALITY"
BASELINE = "/opt/ml/processing/baseline"
PROPERTIES = (
    "CalculatedBaselineConstraints",
    "CalculatedBaselineStatistics",
    "BaselineUsedForDriftCheckConstraints",
    "BaselineUsedForDriftCheckStatistics",
)
"""What later steps can ask for: S3 URIs."""

_PARTS = ("Statistics", "Constraints")
_SHOWN = 3


def check(call: Call, services: Services, progress: Progress) -> End:
    """Run the job, and compare what it found with the baseline before."""
    own, sagemaker = call.own, services.client("sagemaker")
    skip, register = own.get("SkipCheck", False), own.get("RegisterNewBaseline", False)
    previous = _previous(own, sagemaker)
    if len(previous) < len(_PARTS) and not (skip and register):
        return End("Failed", "there is no previous baseline: supply one, or set SkipCheck and "
                   "RegisterNewBaseline")  # fmt: skip
    identity = {"ProcessingJobName": call.context.job_name}
    request = {**call.arguments, **identity}
    if not skip:
        request = _against(request, previous)
    arn = sagemaker.create_processing_job(**request)["ProcessingJobArn"]
    told = {"CheckType": own["CheckType"], "CheckJobArn": arn, "SkipCheck": skip,
            "RegisterNewBaseline": register}  # fmt: skip
    progress.move(status="Executing", metadata={"QualityCheck": told})
    end = wait_for_end(RUNNERS["QualityCheck"], sagemaker, identity, services.halt)
    if end.status != "Succeeded":
        return end
    folder = _output(request)
    calculated = {part: f"{folder}/{part.lower()}.json" for part in _PARTS}
    answer = {f"CalculatedBaseline{part}": uri for part, uri in calculated.items()}
    used = calculated if register else previous
    answer |= {f"BaselineUsedForDriftCheck{part}": uri for part, uri in used.items()}
    group = {key: own[key] for key in ("ModelPackageGroupName",) if key in own}
    report = f"{folder}/constraint_violations.json"
    found = [] if skip else call.context.read_json(report)["violations"]
    more = {"ViolationReport": report} if found else {}
    progress.move(metadata={"QualityCheck": {**told, **answer, **group, **more}})
    if found and own.get("FailOnViolation", True):
        return End("Failed", _reason(found, report), answer)
    return End("Succeeded", answer=answer)


def problems(step: Mapping[str, Any], where: str) -> Iterator[str]:
    """What is wrong with the CheckType of a step."""
    kind = step.get("CheckType")
    if kind is not None and kind not in (DATA, MODEL):
        yield f"{where}.CheckType must be one of {DATA}, {MODEL}, got {kind!r}"


def _previous(own: Mapping[str, Any], sagemaker: Any) -> dict[str, str]:
    """Where the baseline before is: what is supplied, else what the newest approved model has."""
    given = {part: own.get(f"SuppliedBaseline{part}") for part in _PARTS}
    found = {part: str(uri) for part, uri in given.items() if uri}
    group = own.get("ModelPackageGroupName")
    if len(found) == len(_PARTS) or not group:
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
    baselines = package.get("DriftCheckBaselines", {}).get("ModelDataQuality", {})
    return {part: baselines[part]["S3Uri"] for part in _PARTS if part in baselines} | found


def _against(request: dict[str, Any], previous: Mapping[str, str]) -> dict[str, Any]:
    """The request of a job that checks against a baseline."""
    inputs = [
        {
            "InputName": f"baseline_{part.lower()}",
            "S3Input": {
                "S3Uri": uri,
                "LocalPath": f"{BASELINE}/{part.lower()}",
                "S3DataType": "S3Prefix",
                "S3InputMode": "File",
            },
        }
        for part, uri in previous.items()
    ]
    paths = {
        f"baseline_{part.lower()}": f"{BASELINE}/{part.lower()}/{uri.rpartition('/')[2]}"
        for part, uri in previous.items()
    }
    return {
        **request,
        "ProcessingInputs": [*request.get("ProcessingInputs", ()), *inputs],
        "Environment": {**request.get("Environment", {}), **paths},
    }


def _output(request: Mapping[str, Any]) -> str:
    (first, *_) = request["ProcessingOutputConfig"]["Outputs"]
    return str(first["S3Output"]["S3Uri"]).rstrip("/")


def _reason(found: list[Any], report: str) -> str:
    shown = [f"{item['feature_name']}: {item['description']}" for item in found[:_SHOWN]]
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f"{len(found)} violations ({report}): {'; '.join(shown)}{more}"
