"""Checks of data and models as SageMaker's SDK asks for them: Clarify's jobs, and steps."""

import json
import random
from typing import Any

import pytest

from tests.kits.executions import ended, start, steps_of
from tests.kits.executor import definition
from tests.kits.local_cloud import BUCKET, ROLE, Cloud

HEADERS = ["approved", "income", "member"]
ROOT = f"s3://{BUCKET}/checked"


@pytest.fixture(scope="module")
def data(cloud: Cloud) -> str:
    """Rows of which members are approved more often."""
    drawn = random.Random(3)
    rows = [
        f"{int(drawn.random() < (0.7 if n % 2 else 0.3))},{drawn.randint(1, 99)},{n % 2}"
        for n in range(200)
    ]
    body = "\n".join(rows).encode()
    cloud.client("s3").put_object(Bucket=BUCKET, Key="checked/data/rows.csv", Body=body)
    return f"{ROOT}/data/rows.csv"


def asked(data: str, output: str) -> Any:
    from sagemaker.core.clarify import DataConfig

    return DataConfig(
        s3_data_input_path=data,
        s3_output_path=f"{ROOT}/{output}",
        label="approved",
        headers=HEADERS,
        dataset_type="text/csv",
    )


def groups() -> Any:
    from sagemaker.core.clarify import BiasConfig

    return BiasConfig(
        label_values_or_threshold=[1], facet_name="member", facet_values_or_threshold=[0]
    )


def test_the_sdk_measures_bias_of_data(environment: None, cloud: Cloud, data: str) -> None:
    from sagemaker.core.clarify import SageMakerClarifyProcessor
    from sagemaker.core.helper.session_helper import Session

    processor = SageMakerClarifyProcessor(
        role=ROLE,
        instance_count=1,
        instance_type="ml.m5.large",
        sagemaker_session=Session(default_bucket=BUCKET),
    )
    processor.run_pre_training_bias(
        data_config=asked(data, "alone"),
        data_bias_config=groups(),
        methods=["CI", "DPL"],
        logs=False,
    )
    s3 = cloud.client("s3")
    found = json.loads(
        s3.get_object(Bucket=BUCKET, Key="checked/alone/analysis.json")["Body"].read()
    )
    (facet,) = found["pre_training_bias_metrics"]["facets"]["member"]
    values = {metric["name"]: metric["value"] for metric in facet["metrics"]}
    assert values["CI"] == 0.0 and 0.2 < values["DPL"] < 0.6
    page = s3.get_object(Bucket=BUCKET, Key="checked/alone/report.html")["Body"].read().decode()
    assert "Difference in Positive Proportions in Labels (DPL)" in page


def test_the_sdk_s_check_steps_run(session: Any, cloud: Cloud, sm: Any, data: str) -> None:
    from sagemaker.core.model_monitor.dataset_format import DatasetFormat
    from sagemaker.mlops.workflow.check_job_config import CheckJobConfig
    from sagemaker.mlops.workflow.clarify_check_step import ClarifyCheckStep, DataBiasCheckConfig
    from sagemaker.mlops.workflow.quality_check_step import (
        ModelQualityCheckConfig,
        QualityCheckStep,
    )

    job = CheckJobConfig(
        role=ROLE, instance_count=1, instance_type="ml.m5.large", sagemaker_session=session
    )
    new = {"skip_check": True, "register_new_baseline": True}
    bias = ClarifyCheckStep(
        name="Bias",
        clarify_check_config=DataBiasCheckConfig(
            data_config=asked(data, "step"), data_bias_config=groups(), methods=["CI", "DPL"]
        ),
        check_job_config=job,
        **new,
    )
    quality = QualityCheckStep(
        name="Quality",
        quality_check_config=ModelQualityCheckConfig(
            baseline_dataset=data,
            dataset_format=DatasetFormat.csv(header=False),
            output_s3_uri=f"{ROOT}/quality",
            problem_type="BinaryClassification",
            inference_attribute="2",
            ground_truth_attribute="0",
        ),
        check_job_config=job,
        **new,
    )
    steps = [json.loads(json.dumps(one.to_request())) for one in (bias, quality)]
    text = json.dumps(definition(*steps))
    sm.create_pipeline(PipelineName="checks", RoleArn=ROLE, PipelineDefinition=text)
    arn = start(sm, "checks")
    done = ended(sm, arn)
    assert done["PipelineExecutionStatus"] == "Succeeded", done.get("FailureReason")
    told = steps_of(sm, arn)
    shown = told["Bias"]["Metadata"]["ClarifyCheck"]
    assert shown["CalculatedBaselineConstraints"] == f"{ROOT}/step/analysis.json"
    shown = told["Quality"]["Metadata"]["QualityCheck"]
    assert shown["CalculatedBaselineStatistics"] == f"{ROOT}/quality/statistics.json"
    body = cloud.client("s3").get_object(Bucket=BUCKET, Key="checked/quality/statistics.json")
    found = json.loads(body["Body"].read())["binary_classification_metrics"]
    assert 0.5 < found["accuracy"]["value"] < 0.9
