"""Transforms and tuning as SageMaker's SDK asks for them: by itself and in pipelines."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.kits.local_cloud import (
    BUCKET,
    OWN_IMAGE,
    ROLE,
    Cloud,
    program,
    s3_input,
    until,
)
from tests.kits.transform import Transforms, request
from tests.kits.tuning import definition, trained


@pytest.fixture(scope="module")
def kit(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Transforms:
    return Transforms(cloud=cloud, folder=tmp_path_factory.mktemp("bin"))


def test_the_sdk_transforms_and_waits(environment: None, kit: Transforms) -> None:
    from sagemaker.core.helper.session_helper import Session
    from sagemaker.core.transformer import Transformer

    kit.put("alone", {"a.csv": b"1,2\n3,4\n"})
    mine = Session(default_bucket=BUCKET)
    transformer = Transformer(
        model_name=kit.model("alone"),
        instance_count=1,
        instance_type="ml.m5.large",
        assemble_with="Line",
        accept="text/csv",
        output_path=f"s3://{BUCKET}/alone-out",
        sagemaker_session=mine,
    )
    place = f"s3://{BUCKET}/alone"
    transformer.transform(data=place, content_type="text/csv", split_type="Line", wait=True)
    assert kit.outputs("alone") == {"a.csv.out": b"3.0\n7.0\n"}
    name = transformer.latest_transform_job.transform_job_name
    assert Transformer.attach(name, sagemaker_session=mine).model_name == "alone"


def test_the_sdk_tunes_and_knows_the_best(environment: None, kit: Transforms) -> None:
    from sagemaker.core.helper.session_helper import Session

    kit.put("rows", {"a.csv": b"1\n"})
    tuner = make_tuner(Session(default_bucket=BUCKET), kit.folder)
    tuner.tune(inputs=rows(), wait=True)
    assert tuner.describe().hyper_parameter_tuning_job_status == "Completed"
    found = tuner.analytics().dataframe()
    best = found.loc[found["FinalObjectiveValue"].idxmax()]
    assert (best["TrainingJobName"], best["x"]) == (tuner.best_training_job(), 0.7)


def run(cloud: Cloud, name: str, steps: list[Any]) -> tuple[Mapping[str, Any], dict[str, Any]]:
    """The execution of a pipeline at its end, and its steps by name."""
    sm = cloud.client("sagemaker")
    definition = {"Version": "2020-12-01", "Metadata": {}, "Parameters": [], "Steps": steps}
    text = json.dumps(definition, default=lambda variable: variable.expr)
    sm.create_pipeline(PipelineName=name, PipelineDefinition=text, RoleArn=ROLE)
    arn = sm.start_pipeline_execution(PipelineName=name)["PipelineExecutionArn"]
    ended = until(
        lambda: sm.describe_pipeline_execution(PipelineExecutionArn=arn),
        "PipelineExecutionStatus",
    )
    listed = sm.list_pipeline_execution_steps(PipelineExecutionArn=arn)
    return ended, {step["StepName"]: step for step in listed["PipelineExecutionSteps"]}


MACHINE = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5}


def processing(name: str, code: str, **more: Any) -> dict[str, Any]:
    arguments = {
        "RoleArn": ROLE,
        "AppSpecification": {"ImageUri": "image", **program(code)},
        "ProcessingResources": {"ClusterConfig": MACHINE},
        **more,
    }
    return {"Name": name, "Type": "Processing", "Arguments": arguments}


TRAINING: dict[str, Any] = {
    "AlgorithmSpecification": {
        "TrainingImage": OWN_IMAGE,
        "TrainingInputMode": "File",
        **program("import os; open(os.environ.get('OPT_ML', '/opt/ml') + '/model/w', 'w')"),
    },
    "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/models"},
    "ResourceConfig": MACHINE,
    "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    "RoleArn": ROLE,
}


def transform_step(session: Any, model_step: str) -> Any:
    """A TransformStep with the model that another step makes."""
    from sagemaker.core.transformer import Transformer
    from sagemaker.core.workflow.properties import Properties
    from sagemaker.mlops.workflow.steps import TransformStep

    made = Properties(step_name=model_step, shape_name="DescribeModelOutput")
    transformer = Transformer(
        model_name=made.ModelName,
        instance_count=1,
        instance_type="ml.m5.large",
        strategy="MultiRecord",
        assemble_with="Line",
        accept="text/csv",
        output_path=f"s3://{BUCKET}/pipeline-out",
        base_transform_job_name="score",
        sagemaker_session=session,
    )
    arguments = transformer.transform(
        data=f"s3://{BUCKET}/pipeline",
        content_type="text/csv",
        split_type="Line",
        input_filter="$[1:]",
        join_source="Input",
        output_filter="$[0,-1]",
    )
    return TransformStep(name="TR", step_args=arguments)


def test_a_transform_step_runs_behind_the_model_that_was_trained_before_it(
    cloud: Cloud, session: Any, kit: Transforms
) -> None:
    """As aws/sagemaker-python-sdk#3392 has it, and a step that reads what it left."""
    kit.put("pipeline", {"a.csv": b"7,1,2\n8,3,4\n"})
    data = {"ModelDataUrl": {"Get": "Steps.T.ModelArtifacts.S3ModelArtifacts"}}
    model = {"ExecutionRoleArn": ROLE, "PrimaryContainer": {**kit.container(), **data}}
    step = transform_step(session, "M")
    answers = step.properties.TransformOutput.S3OutputPath.expr
    read = s3_input("", "/opt/ml/processing/input")
    read["S3Input"]["S3Uri"] = answers
    code = (
        "import os; ml = os.environ.get('OPT_ML', '/opt/ml');"
        "told = open(ml + '/processing/input/a.csv.out').read();"
        "assert told == '7,3.0\\n8,7.0\\n', told"
    )
    ended, steps = run(
        cloud,
        "transforms",
        [
            {"Name": "T", "Type": "Training", "Arguments": TRAINING},
            {"Name": "M", "Type": "Model", "Arguments": model},
            step.to_request(),
            processing("P", code, ProcessingInputs=[read]),
        ],
    )
    assert ended["PipelineExecutionStatus"] == "Succeeded", ended
    assert {name: step["StepStatus"] for name, step in steps.items()} == dict.fromkeys(
        ("T", "M", "TR", "P"), "Succeeded"
    )
    job = steps["TR"]["Metadata"]["TransformJob"]["Arn"].rpartition("/")[2]
    assert job.startswith("pipelines-")
    shown = cloud.client("sagemaker").describe_transform_job(TransformJobName=job)
    assert shown["TransformJobStatus"] == "Completed"


def test_a_transform_that_fails_is_its_step_s_reason(cloud: Cloud, kit: Transforms) -> None:
    kit.put("fails", {"a.csv": b"bad\n"})
    arguments = request("fails", kit.model("fails"))
    del arguments["TransformJobName"]
    ended, steps = run(
        cloud, "fails", [{"Name": "TR", "Type": "Transform", "Arguments": arguments}]
    )
    assert ended["PipelineExecutionStatus"] == "Failed"
    assert steps["TR"]["FailureReason"].startswith("ClientError: See job logs")
    assert "no such row" in steps["TR"]["FailureReason"]


def rows() -> list[Any]:
    from sagemaker.core.training.configs import InputData

    return [InputData(channel_name="train", data_source=f"s3://{BUCKET}/rows")]


def make_tuner(session: Any, folder: Path, **more: Any) -> Any:
    """A tuner over a ModelTrainer."""
    from sagemaker.core.parameter import CategoricalParameter
    from sagemaker.core.training.configs import Compute, OutputDataConfig
    from sagemaker.train.model_trainer import ModelTrainer
    from sagemaker.train.tuner import HyperparameterTuner

    given = definition(folder)
    trainer = ModelTrainer(
        training_image=OWN_IMAGE,
        role=ROLE,
        compute=Compute(instance_type="ml.m5.large", instance_count=1, volume_size_in_gb=5),
        output_data_config=OutputDataConfig(s3_output_path=f"s3://{BUCKET}/tuned"),
        hyperparameters={"epochs": 2, "seconds": 0.1, **more},
        environment=given["Environment"],
        sagemaker_session=session,
    )
    return HyperparameterTuner(
        model_trainer=trainer,
        objective_metric_name="score",
        hyperparameter_ranges={"x": CategoricalParameter(["0.1", "0.7", "0.5", "0.3"])},
        metric_definitions=given["AlgorithmSpecification"]["MetricDefinitions"],
        strategy="Grid",
        max_parallel_jobs=4,
    )


def tuning_step(session: Any, folder: Path, **more: Any) -> Any:
    from sagemaker.mlops.workflow.steps import TuningStep

    tuner = make_tuner(session, folder, **more)
    return TuningStep(name="Tune", step_args=tuner.tune(inputs=rows()))


def test_a_tuning_step_offers_its_best_training_jobs(
    cloud: Cloud, session: Any, kit: Transforms
) -> None:
    kit.put("rows", {"a.csv": b"1\n"})
    step = tuning_step(session, kit.folder)
    second = step.get_top_model_s3_uri(top_k=1, s3_bucket=BUCKET, prefix="tuned")
    container = {**kit.container(), "ModelDataUrl": second}
    model = {"ExecutionRoleArn": ROLE, "PrimaryContainer": container}
    best = step.properties.BestTrainingJob
    code = "import os; print(os.environ['BEST'], os.environ['X'], os.environ['SECOND'])"
    told = {
        "BEST": best.TrainingJobName,
        "X": best.TunedHyperParameters["x"],
        "SECOND": step.properties.TrainingJobSummaries[1].TunedHyperParameters["x"],
    }
    ended, steps = run(
        cloud,
        "tunes",
        [
            step.to_request(),
            {"Name": "M", "Type": "Model", "Arguments": model},
            processing("P", code, Environment=told),
        ],
    )
    assert ended["PipelineExecutionStatus"] == "Succeeded", (ended, steps)
    name = steps["Tune"]["Metadata"]["TuningJob"]["Arn"].rpartition("/")[2]
    job = steps["P"]["Metadata"]["ProcessingJob"]["Arn"].rpartition("/")[2]
    log = (cloud.home / "local/jobs" / job / "log.txt").read_text().split()
    assert log[0].startswith(f"{name}-00") and log[1:] == ["0.7", "0.5"]
    made = steps["M"]["Metadata"]["Model"]["Arn"].rpartition("/")[2]
    shown = cloud.client("sagemaker").describe_model(ModelName=made)["PrimaryContainer"]
    tuned = {
        run["TunedHyperParameters"]["x"]: run["TrainingJobName"]
        for run in trained(cloud.client("sagemaker"), name)
    }
    assert shown["ModelDataUrl"] == f"s3://{BUCKET}/tuned/{tuned['0.5']}/output/model.tar.gz"


def test_a_tuning_job_that_finds_nothing_is_its_step_s_reason(
    cloud: Cloud, session: Any, kit: Transforms
) -> None:
    kit.put("rows", {"a.csv": b"1\n"})
    ended, steps = run(
        cloud, "fails-to-tune", [tuning_step(session, kit.folder, fails="yes").to_request()]
    )
    assert ended["PipelineExecutionStatus"] == "Failed"
    why = "ClientError: No training job succeeded after 4 attempts"
    assert steps["Tune"]["FailureReason"].startswith(why)
