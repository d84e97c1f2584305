"""SageMaker's SDK of the checkout's own version: trainers, resources, endpoints, feature groups."""

import os
import sys
import time
from pathlib import Path

import boto3
from cases import case, run
from sagemaker.core.helper.session_helper import Session
from sagemaker.core.resources import (
    Endpoint,
    EndpointConfig,
    FeatureGroup,
    Model,
    ModelPackageGroup,
    ProcessingJob,
    TrainingJob,
)
from sagemaker.core.shapes import (
    ContainerDefinition,
    FeatureDefinition,
    FeatureValue,
    OnlineStoreConfig,
    ProductionVariant,
)
from sagemaker.core.training.configs import Compute, InputData, SourceCode
from sagemaker.train.model_trainer import ModelTrainer

ROLE, MACHINE = os.environ["ROLE"], "ml.m5.large"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3"
session = Session()
BUCKET = session.default_bucket()
WORK = Path(os.environ["HOME"]) / "code"
WORK.mkdir(exist_ok=True)


@case
def model_trainer_runs_a_script_with_logs() -> None:
    (WORK / "train.py").write_text(
        "import os, pathlib\n"
        "assert pathlib.Path('/opt/ml/input/data/train/rows.csv').read_text() == '1,2'\n"
        "code = pathlib.Path(os.environ['SM_MODEL_DIR']) / 'code'\ncode.mkdir(parents=True)\n"
        "(code / 'inference.py').write_text('def model_fn(d):\\n    return 2\\n\\n'\n"
        "    'def predict_fn(rows, k):\\n    return rows * k\\n')\n"
    )
    boto3.client("s3").put_object(Bucket=BUCKET, Key="v3/rows.csv", Body=b"1,2")
    trainer = ModelTrainer(
        training_image=IMAGE,
        role=ROLE,
        source_code=SourceCode(source_dir=str(WORK), entry_script="train.py"),
        compute=Compute(instance_type=MACHINE, instance_count=1),
        base_job_name="v3",
        hyperparameters={"depth": 3},
        sagemaker_session=session,
    )
    data = InputData(channel_name="train", data_source=f"s3://{BUCKET}/v3/rows.csv")
    trainer.train(input_data_config=[data], wait=True, logs=True)
    assert trainer._latest_training_job.training_job_status == "Completed"


@case
def resources_list_and_refresh() -> None:
    (job,) = [job for job in TrainingJob.get_all(name_contains="v3")]
    job.refresh()
    assert job.model_artifacts.s3_model_artifacts.endswith("model.tar.gz")
    assert list(ProcessingJob.get_all()) == []
    group = ModelPackageGroup.create(model_package_group_name="v3")
    assert ModelPackageGroup.get("v3").model_package_group_status == "Completed"
    group.delete()


@case
def endpoint_of_resources_answers() -> None:
    (job,) = [job for job in TrainingJob.get_all(name_contains="v3")]
    job.refresh()
    container = ContainerDefinition(
        image=IMAGE,
        model_data_url=job.model_artifacts.s3_model_artifacts,
        environment={"SAGEMAKER_PROGRAM": "inference.py"},
    )
    Model.create(model_name="v3", primary_container=container, execution_role_arn=ROLE)
    variant = ProductionVariant(
        variant_name="a", model_name="v3", initial_instance_count=1, instance_type=MACHINE
    )
    EndpointConfig.create(endpoint_config_name="v3", production_variants=[variant])
    endpoint = Endpoint.create(endpoint_name="v3", endpoint_config_name="v3")
    endpoint.wait_for_status("InService")
    told = endpoint.invoke(body=b"1,2", content_type="text/csv", accept="text/csv")
    assert [float(x) for x in told.body.read().decode().split(",")] == [2, 4]
    endpoint.delete()


@case
def feature_group_keeps_records() -> None:
    group = FeatureGroup.create(
        feature_group_name="v3",
        record_identifier_feature_name="id",
        event_time_feature_name="t",
        feature_definitions=[
            FeatureDefinition(feature_name=name, feature_type="String") for name in ("id", "t")
        ],
        online_store_config=OnlineStoreConfig(enable_online_store=True),
        role_arn=ROLE,
    )
    group.wait_for_status("Created")
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    group.put_record(
        record=[
            FeatureValue(feature_name="id", value_as_string="a"),
            FeatureValue(feature_name="t", value_as_string=now),
        ]
    )
    found = group.get_record(record_identifier_value_as_string="a").record
    assert {one.feature_name: one.value_as_string for one in found} == {"id": "a", "t": now}
    group.delete()


if __name__ == "__main__":
    run(sys.argv[1:])
