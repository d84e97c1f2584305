"""Executions that are retried, select their steps or are updated, and versions of a pipeline."""

import json
from typing import Any

import pytest

from tests.kits.executions import create, ended, execute, misfit, shell, start, steps_of
from tests.kits.executor import definition, fail
from tests.kits.local_cloud import BUCKET, Cloud, refusal
from tests.kits.path import wait_until

GATE = f"s3://{BUCKET}/gate/"


def gated(name: str, *needs: str) -> Any:
    """A step that succeeds once there is a file called open in the gate."""
    place = {"S3Uri": GATE, "LocalPath": "/opt/ml/processing/gate", "S3DataType": "S3Prefix"}
    inputs = [{"InputName": "gate", "S3Input": {**place, "S3InputMode": "File"}}]
    step = shell(name, "test -f /opt/ml/processing/gate/open", DependsOn=list(needs))
    step["Arguments"]["ProcessingInputs"] = inputs
    return step


@pytest.fixture
def closed(cloud: Cloud) -> Any:
    """The gate, closed; call it to open it."""
    s3 = cloud.client("s3")
    s3.put_object(Bucket=BUCKET, Key="gate/here", Body=b"")
    s3.delete_object(Bucket=BUCKET, Key="gate/open")
    return lambda: s3.put_object(Bucket=BUCKET, Key="gate/open", Body=b"")


def test_a_retry_goes_on_where_the_execution_failed(sm: Any, closed: Any) -> None:
    create(sm, "retried", shell("A", "true"), gated("B", "A"), shell("C", "true", DependsOn=["B"]))
    failed = execute(sm, "retried")
    arn = failed["PipelineExecutionArn"]
    before = steps_of(sm, arn)
    assert failed["PipelineExecutionStatus"] == "Failed"
    assert before.keys() == {"A", "B"}
    closed()
    token = {"ClientRequestToken": "r" * 32}
    for _ in range(2):  # the same request again changes nothing
        again = sm.retry_pipeline_execution(PipelineExecutionArn=arn, **token)
        assert again["PipelineExecutionArn"] == arn
    done = ended(sm, arn)
    assert done["PipelineExecutionStatus"] == "Succeeded" and "FailureReason" not in done
    after = steps_of(sm, arn)
    assert after.keys() == {"A", "B", "C"}
    assert after["A"] == before["A"], "it did not run again"
    assert after["B"]["Metadata"] != before["B"]["Metadata"], "its job is another"
    code, text, _ = refusal(sm.retry_pipeline_execution, PipelineExecutionArn=arn)
    assert code == "ConflictException" and "is Succeeded" in text


def test_what_ended_with_a_fail_step_is_not_retried(sm: Any) -> None:
    create(sm, "for-good", shell("A", "true"), fail("Bad") | {"DependsOn": ["A"]})
    failed = execute(sm, "for-good")
    assert failed["FailureReason"] == "Step failure: One or multiple steps failed."
    arn = failed["PipelineExecutionArn"]
    assert steps_of(sm, arn)["Bad"]["FailureReason"] == "too bad"
    code, text, _ = refusal(sm.retry_pipeline_execution, PipelineExecutionArn=arn)
    assert code == "ConflictException" and "Fail step" in text


def test_a_selective_execution_builds_on_another_one(sm: Any, closed: Any) -> None:
    job = {"Get": "Steps.A.ProcessingJobArn"}
    create(sm, "selected", shell("A", "true"), shell("B", "true", job), gated("C", "B"))
    source = execute(sm, "selected")
    assert source["PipelineExecutionStatus"] == "Failed"
    config = {
        "SourcePipelineExecutionArn": source["PipelineExecutionArn"],
        "SelectedSteps": [{"StepName": "B"}],
    }
    done = execute(sm, "selected", SelectiveExecutionConfig=config)
    assert done["PipelineExecutionStatus"] == "Succeeded"
    assert done["SelectiveExecutionConfig"] == config
    steps = steps_of(sm, done["PipelineExecutionArn"])
    assert steps.keys() == {"A", "B"}
    reused = {"SourcePipelineExecutionArn": source["PipelineExecutionArn"]}
    assert steps["A"]["SelectiveExecutionResult"] == reused
    of_source = steps_of(sm, source["PipelineExecutionArn"])["A"]["Metadata"]
    assert steps["A"]["Metadata"] == of_source
    assert "SelectiveExecutionResult" not in steps["B"]
    name = steps["B"]["Metadata"]["ProcessingJob"]["Arn"].rpartition("/")[2]
    given = sm.describe_processing_job(ProcessingJobName=name)["AppSpecification"]
    assert given["ContainerArguments"] == [of_source["ProcessingJob"]["Arn"]]


def test_a_selection_without_what_it_needs_is_refused(sm: Any, closed: Any) -> None:
    create(sm, "refuses", shell("A", "true"), gated("B", "A"), shell("C", "true", DependsOn=["B"]))
    source = execute(sm, "refuses")["PipelineExecutionArn"]

    def refused(*names: str, **more: str) -> str:
        config = {"SelectedSteps": [{"StepName": name} for name in names], **more}
        code, text, _ = refusal(
            sm.start_pipeline_execution, PipelineName="refuses", SelectiveExecutionConfig=config
        )
        assert code == "ValidationException"
        return text

    told = "Invalid SourcePipelineExecutionArn: null. The selected steps [B] have dependencies on"
    assert refused("B") == f"{told} [A]"
    assert "[B] are not" in refused("A", "C", SourcePipelineExecutionArn=source)
    assert "did not succeed in it" in refused("C", SourcePipelineExecutionArn=source)
    create(sm, "refuses-too", shell("A", "true"))
    other = execute(sm, "refuses-too")["PipelineExecutionArn"]
    assert "It is none of" in refused("B", SourcePipelineExecutionArn=other)


def test_every_version_of_a_pipeline_is_kept_and_can_be_started(sm: Any) -> None:
    pipeline = create(sm, "versions", shell("One", "true"))
    second = json.dumps(definition(shell("Two", "true")))
    updated = sm.update_pipeline(PipelineName="versions", PipelineDefinition=second)
    assert updated["PipelineVersionId"] == 2
    first = execute(sm, "versions", PipelineVersionId=1)
    newest = execute(sm, "versions")
    for done, number, step in ((first, 1, "One"), (newest, 2, "Two")):
        assert done["PipelineVersionId"] == number
        assert steps_of(sm, done["PipelineExecutionArn"]).keys() == {step}
    sm.update_pipeline_version(
        PipelineArn=pipeline, PipelineVersionId=1, PipelineVersionDisplayName="first"
    )
    answer = sm.list_pipeline_versions(PipelineName="versions")
    assert misfit("ListPipelineVersions", answer) == ""
    rows = answer["PipelineVersionSummaries"]
    assert [
        (row["PipelineVersionId"], row["LastExecutionPipelineExecutionArn"]) for row in rows
    ] == [(2, newest["PipelineExecutionArn"]), (1, first["PipelineExecutionArn"])]
    assert rows[1]["PipelineVersionDisplayName"] == "first"
    old = sm.describe_pipeline(PipelineName="versions", PipelineVersionId=1)
    assert misfit("DescribePipeline", old) == ""
    assert '"One"' in old["PipelineDefinition"] and old["PipelineVersionDisplayName"] == "first"
    assert sm.describe_pipeline(PipelineName="versions")["PipelineDefinition"] == second
    code, text, _ = refusal(sm.describe_pipeline, PipelineName="versions", PipelineVersionId=3)
    assert code == "ResourceNotFound" and text.startswith("Version 3 of pipeline")


def test_how_many_steps_run_at_once_can_change_while_they_run(sm: Any) -> None:
    waits = "until [ -f /tmp/never ]; do sleep 0.1; done"
    one = {"ParallelismConfiguration": {"MaxParallelExecutionSteps": 1}}
    create(sm, "parallel", shell("A", waits), shell("B", waits))
    arn = start(sm, "parallel", **one)
    wait_until(lambda: len(steps_of(sm, arn)) == 1)
    two = {"ParallelismConfiguration": {"MaxParallelExecutionSteps": 2}}
    sm.update_pipeline_execution(
        PipelineExecutionArn=arn, PipelineExecutionDisplayName="renamed", **two
    )
    wait_until(lambda: len(steps_of(sm, arn)) == 2)
    shown = sm.describe_pipeline_execution(PipelineExecutionArn=arn)
    assert misfit("DescribePipelineExecution", shown) == ""
    assert (shown["PipelineExecutionDisplayName"], shown["PipelineExecutionStatus"]) == (
        "renamed",
        "Executing",
    )
    assert shown["ParallelismConfiguration"] == two["ParallelismConfiguration"]
    sm.stop_pipeline_execution(PipelineExecutionArn=arn)
    assert ended(sm, arn)["PipelineExecutionStatus"] == "Stopped"


def test_parameters_of_an_execution_have_their_defaults(sm: Any) -> None:
    """The SDK's build_parameters_from_execution takes overrides of these alone."""
    declared = [
        {"Name": "Days", "Type": "Integer", "DefaultValue": 7},
        {"Name": "Strict", "Type": "Boolean", "DefaultValue": False},
    ]
    create(sm, "parameters", shell("A", "true"), parameters=declared)
    arn = start(sm, "parameters", PipelineParameters=[{"Name": "Days", "Value": "14"}])
    answer = sm.list_pipeline_parameters_for_execution(PipelineExecutionArn=arn)
    assert answer["PipelineParameters"] == [
        {"Name": "Days", "Value": "14"},
        {"Name": "Strict", "Value": "false"},
    ]
    ended(sm, arn)


ANALYZER = "156813124566.dkr.ecr.us-east-1.amazonaws.com/sagemaker-model-monitor-analyzer"


def quality(data: str, output: str, **members: Any) -> Any:
    """A QualityCheck step as the SDK writes it."""
    step = shell("Q", "true")
    place = {"S3Uri": data, "LocalPath": "/opt/ml/processing/input/baseline_dataset_input"}
    found = {"S3Uri": output, "LocalPath": "/opt/ml/processing/output"}
    step["Arguments"] |= {
        "AppSpecification": {"ImageUri": ANALYZER},
        "Environment": {
            "output_path": "/opt/ml/processing/output",
            "publish_cloudwatch_metrics": "Disabled",
            "dataset_format": json.dumps({"csv": {"header": True}}),
            "dataset_source": place["LocalPath"],
        },
        "ProcessingInputs": [
            {
                "InputName": "baseline_dataset_input",
                "S3Input": {**place, "S3DataType": "S3Prefix", "S3InputMode": "File"},
            }
        ],
        "ProcessingOutputConfig": {
            "Outputs": [
                {
                    "OutputName": "quality_check_output",
                    "S3Output": {**found, "S3UploadMode": "EndOfJob"},
                }
            ]
        },
    }
    return {**step, "Type": "QualityCheck", "CheckType": "DATA_QUALITY", **members}


def test_data_that_drifts_from_its_baseline_fails_the_check(cloud: Cloud, sm: Any) -> None:
    s3 = cloud.client("s3")
    for name, more in (("first", 0), ("second", 50)):
        rows = [f"{number % 40 + more},AA" for number in range(400)]
        s3.put_object(
            Bucket=BUCKET,
            Key=f"quality/{name}/rows.csv",
            Body="\n".join(["delay,carrier", *rows]).encode(),
        )
    root = f"s3://{BUCKET}/quality"
    new = {"SkipCheck": True, "RegisterNewBaseline": True}
    create(sm, "baseline", quality(f"{root}/first/", f"{root}/baseline", **new))
    first = execute(sm, "baseline")
    assert first["PipelineExecutionStatus"] == "Succeeded", first.get("FailureReason")
    shown = steps_of(sm, first["PipelineExecutionArn"])["Q"]["Metadata"]["QualityCheck"]
    supplied = {
        f"SuppliedBaseline{part}": shown[f"BaselineUsedForDriftCheck{part}"]
        for part in ("Statistics", "Constraints")
    }
    create(sm, "same", quality(f"{root}/first/", f"{root}/same", **supplied))
    assert execute(sm, "same")["PipelineExecutionStatus"] == "Succeeded"
    create(sm, "drifts", quality(f"{root}/second/", f"{root}/drifts", **supplied))
    drifted = execute(sm, "drifts")
    assert drifted["PipelineExecutionStatus"] == "Failed"
    told = steps_of(sm, drifted["PipelineExecutionArn"])["Q"]["FailureReason"]
    assert "delay: Baseline drift distance: " in told
    step = steps_of(sm, drifted["PipelineExecutionArn"])["Q"]["Metadata"]["QualityCheck"]
    assert step["ViolationReport"] == f"{root}/drifts/constraint_violations.json"
    job = step["CheckJobArn"].rpartition("/")[2]
    message = sm.describe_processing_job(ProcessingJobName=job)["ExitMessage"]
    assert message.startswith("CompletedWithViolations: ")
