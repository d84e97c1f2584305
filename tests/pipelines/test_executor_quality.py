"""Steps that check quality or bias: which baseline is used, what the job is asked, violations."""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from pipelines.executor.model import Outcome, StepState
from pipelines.executor.plan import validate
from tests.kits.executor import FakeS3, FakeSageMaker, Json, definition, processing
from tests.pipelines import test_executor

SUPPLIED = {
    "SuppliedBaselineStatistics": "s3://b/old/statistics.json",
    "SuppliedBaselineConstraints": "s3://b/old/constraints.json",
}
REPORT = "s3://b/Q/constraint_violations.json"
VIOLATION = {
    "feature_name": "delay",
    "constraint_check_type": "baseline_drift_check",
    "description": "drift",
}


def quality(**members: Any) -> Json:
    step = {**processing("Q"), "Type": "QualityCheck", "CheckType": "DATA_QUALITY"}
    return {**step, **members}


def clarify(kind: str = "DATA_BIAS", **members: Any) -> Json:
    return {**processing("Q"), "Type": "ClarifyCheck", "CheckType": kind, **members}


@dataclass
class Registry(FakeSageMaker):
    """A group whose newest approved package has baselines, or has no package."""

    baselines: Json | None = None
    asked: list[Json] = field(default_factory=list)

    def list_model_packages(self, **request: Any) -> Json:
        self.asked.append(request)
        return {"ModelPackageSummaryList": [{"ModelPackageArn": "p"}] if self.baselines else []}

    def describe_model_package(self, ModelPackageName: str) -> Json:
        return {"DriftCheckBaselines": self.baselines}


def execute(
    *steps: Json, sagemaker: FakeSageMaker | None = None, found: list[Json] | None = None
) -> tuple[Outcome, dict[str, StepState], FakeSageMaker]:
    s3 = FakeS3({REPORT: json.dumps({"violations": found or []})})
    done = test_executor.execute(steps, sagemaker, s3=s3)
    return done.outcome, {state.name: state for state in done.states}, done.sagemaker


def test_a_check_hands_the_baseline_to_its_job_and_answers_where_all_is() -> None:
    uri = {"Get": "Steps.Q.CalculatedBaselineStatistics"}
    used = {"Get": "Steps.Q.BaselineUsedForDriftCheckConstraints"}
    later = processing("A", Arguments={"Environment": {"New": uri, "Used": used}})
    outcome, states, fake = execute(quality(**SUPPLIED), later)
    assert outcome.status == "Succeeded"
    request = fake.requests["Q"]
    places = {
        entry["InputName"]: entry["S3Input"]["S3Uri"] for entry in request["ProcessingInputs"]
    }
    assert places == {
        "baseline_statistics": "s3://b/old/statistics.json",
        "baseline_constraints": "s3://b/old/constraints.json",
    }
    folder = "/opt/ml/processing/baseline"
    assert request["Environment"] == {
        "baseline_statistics": f"{folder}/statistics/statistics.json",
        "baseline_constraints": f"{folder}/constraints/constraints.json",
    }
    assert fake.requests["A"]["Environment"] == {
        "New": "s3://b/Q/statistics.json",
        "Used": "s3://b/old/constraints.json",
    }
    shown = states["Q"].metadata["QualityCheck"]
    assert shown["CheckJobArn"].startswith("arn:processing-job/") and "ViolationReport" not in shown


@pytest.mark.parametrize("members", [{}, SUPPLIED])
def test_a_new_baseline_that_is_registered_is_the_one_that_is_used(members: Json) -> None:
    members = {"SkipCheck": True, "RegisterNewBaseline": True, **members}
    outcome, states, fake = execute(quality(**members))
    assert outcome.status == "Succeeded"
    assert "ProcessingInputs" not in fake.requests["Q"] and "Environment" not in fake.requests["Q"]
    shown = states["Q"].metadata["QualityCheck"]
    assert shown["BaselineUsedForDriftCheckStatistics"] == "s3://b/Q/statistics.json"


def test_the_baseline_of_the_newest_approved_package_is_used() -> None:
    parts = {part: {"S3Uri": f"s3://b/model/{part}.json"} for part in ("Statistics", "Constraints")}
    fake = Registry(baselines={"ModelDataQuality": parts})
    outcome, states, _ = execute(quality(ModelPackageGroupName="g"), sagemaker=fake)
    assert outcome.status == "Succeeded"
    assert fake.asked[0]["ModelApprovalStatus"] == "Approved"
    shown = states["Q"].metadata["QualityCheck"]
    assert shown["BaselineUsedForDriftCheckConstraints"] == "s3://b/model/Constraints.json"
    assert shown["ModelPackageGroupName"] == "g"


@pytest.mark.parametrize("members", [{}, {"ModelPackageGroupName": "g"}, {"SkipCheck": True}])
def test_a_check_without_a_baseline_fails_before_its_job(members: Json) -> None:
    fake = Registry()
    outcome, states, _ = execute(quality(**members), sagemaker=fake)
    assert outcome.status == "Failed"
    assert "no previous baseline" in states["Q"].failure_reason
    assert fake.created() == []


def test_violations_fail_the_step_unless_it_says_otherwise() -> None:
    outcome, states, _ = execute(quality(**SUPPLIED), found=[VIOLATION])
    assert outcome.status == "Failed"
    assert states["Q"].failure_reason == f"1 violations ({REPORT}): delay: drift"
    assert states["Q"].metadata["QualityCheck"]["ViolationReport"] == REPORT
    lenient, states, _ = execute(quality(**SUPPLIED, FailOnViolation=False), found=[VIOLATION])
    assert lenient.status == "Succeeded"
    assert states["Q"].metadata["QualityCheck"]["ViolationReport"] == REPORT


PACKAGED = {
    "ModelQuality": {
        "Statistics": {"S3Uri": "s3://b/model/Statistics.json"},
        "Constraints": {"S3Uri": "s3://b/model/Constraints.json"},
    },
    "Bias": {
        "PreTrainingConstraints": {"S3Uri": "s3://b/model/pre.json"},
        "PostTrainingConstraints": {"S3Uri": "s3://b/model/post.json"},
    },
    "Explainability": {"Constraints": {"S3Uri": "s3://b/model/shap.json"}},
}
CHECKS = {
    "MODEL_QUALITY": (quality(CheckType="MODEL_QUALITY"), "Constraints.json", "constraints.json"),
    "DATA_BIAS": (clarify(), "pre.json", "analysis.json"),
    "MODEL_BIAS": (clarify("MODEL_BIAS", ModelName="none"), "post.json", "analysis.json"),
    "MODEL_EXPLAINABILITY": (
        clarify("MODEL_EXPLAINABILITY", ModelName={"Get": "Parameters.Commit"}),
        "shap.json",
        "analysis.json",
    ),
}


@pytest.mark.parametrize("kind", CHECKS)
def test_each_check_has_its_own_baseline_in_a_package(kind: str) -> None:
    step, before, now = CHECKS[kind]
    used = {"Get": "Steps.Q.BaselineUsedForDriftCheckConstraints"}
    found = {"Get": "Steps.Q.CalculatedBaselineConstraints"}
    later = processing("A", Arguments={"Environment": {"Used": used, "New": found}})
    fake, s3 = Registry(baselines=PACKAGED), FakeS3({REPORT: json.dumps({"violations": []})})
    done = test_executor.execute([{**step, "ModelPackageGroupName": "g"}, later], fake, s3=s3)
    assert done.outcome.status == "Succeeded", done.outcome.failure_reason
    assert fake.requests["A"]["Environment"] == {
        "Used": f"s3://b/model/{before}",
        "New": f"s3://b/Q/{now}",
    }
    told = fake.requests["Q"]["Environment"]
    assert told["baseline_constraints"] == f"/opt/ml/processing/baseline/constraints/{before}"
    assert told.get("model_name") == ("none" if "ModelName" in step else None)
    assert done.state("Q").metadata[step["Type"]]["CheckType"] == kind


PROBLEMS: dict[str, tuple[Json, str]] = {
    "no type": (quality(CheckType=None), "Steps[0].CheckType is missing"),
    "another type": (quality(CheckType="BIAS"), "CheckType must be one of DATA_QUALITY, MODEL_"),
    "a check of another step": (clarify(CheckType="DATA_QUALITY"), "one of DATA_BIAS, MODEL_BIAS"),
    "no model": (clarify("MODEL_BIAS"), "Steps[0].ModelName is missing: MODEL_BIAS asks a model"),
    "statistics of bias": (
        clarify(SuppliedBaselineStatistics="s3://b/s"),
        "SuppliedBaselineStatistics is not emulated for a ClarifyCheck step",
    ),
    "a flag as text": (quality(SkipCheck="yes"), "SkipCheck must be true or false, got 'yes'"),
    "a job": (quality(Arguments={}), "Steps[0].Arguments.AppSpecification is missing"),
}


@pytest.mark.parametrize("case", PROBLEMS)
def test_a_wrong_check_is_refused_with_its_path(case: str) -> None:
    step, expected = PROBLEMS[case]
    found = validate(definition(step))
    assert [problem for problem in found if expected in problem], found
