"""Workloads on a running local cloud without a stack: what they live on, and their runs.

As a program it runs pipelines of workloads to their end and prints how they ended, as JSON:
`python -m tests.kits.workloads <home> weather/ingest flight_delay/training`
"""

import json
import re
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from infra.naming import Names
from pipelines import compiled
from pipelines.compiled import PipelineInputs, Request
from pipelines.workload import named
from stacks import definitions as bridge
from tests.kits.local_cloud import Cloud, network, running_cloud, trusted_role, until

NAMES = Names(env="local", account_id="123456789012", region="us-east-1")
RUN_SECONDS = 600
KEY = "arn:aws:kms:us-east-1:123456789012:key/storage"
GROUP, SUBNET = "sg-0123456789abcdef0", "subnet-0123456789abcdef0"
"""Stand-ins; `deploy` puts what the account has in their place."""


def inputs(workload: str, pipeline: str, **chosen: Any) -> PipelineInputs:
    """Inputs of a pipeline, with stand-ins for what AWS invents and no tracking."""
    found = bridge.inputs(
        named(workload),
        pipeline,
        NAMES,
        image_uri=f"{NAMES.repository_url('images')}@sha256:{'0' * 64}",
        zones=["a"],
        instance_type="ml.m5.large",
        max_runtime_seconds=RUN_SECONDS,
        chosen=chosen,
    )
    known = {
        bridge.STORAGE_KEY: KEY,
        bridge.JOB_SECURITY_GROUP: GROUP,
        bridge.TRACKING_APP: "",
        bridge.subnet("a"): SUBNET,
    }
    filled = json.loads(bridge.filled_in(json.dumps(vars(found)), known))
    return PipelineInputs(**filled)


def deploy(cloud: Cloud, asked: Mapping[str, PipelineInputs]) -> None:
    """What the pipelines' stacks would have made, by `workload/pipeline`."""
    s3, sagemaker = cloud.client("s3"), cloud.client("sagemaker")
    for bucket in ("data", "artifacts"):
        s3.create_bucket(Bucket=NAMES.bucket(bucket))
    said = json.dumps([vars(found) for found in asked.values()])
    for name in sorted(set(re.findall(r":role/([\w+=,.@-]+)", said))):
        trusted_role(cloud.client("iam"), name)
    requests = [
        Request(workload=named(found.workload), pipeline=title.partition("/")[2], inputs=found)
        for title, found in asked.items()
    ]
    with tempfile.TemporaryDirectory() as cache:
        texts = compiled.definitions(requests, cache=Path(cache))
    net = network(cloud)
    has = {
        KEY: cloud.client("kms").create_key()["KeyMetadata"]["Arn"],
        GROUP: net["SecurityGroupIds"][0],
        SUBNET: net["Subnets"][0],
    }
    for request, text in zip(requests, texts, strict=True):
        _make_groups(sagemaker, request)
        if request.inputs.model_package_group_name:
            sagemaker.create_model_package_group(
                ModelPackageGroupName=request.inputs.model_package_group_name
            )
        sagemaker.create_pipeline(
            PipelineName=request.inputs.pipeline_name,
            PipelineDefinition=re.sub("|".join(has), lambda found: has[found[0]], text),
            RoleArn=request.inputs.role_arn,
            ClientRequestToken="0" * 32,
        )


def _make_groups(sagemaker: Any, request: Request) -> None:
    for name, group in request.workload.feature_groups.items():
        aws_name = request.inputs.feature_groups[name]
        uri = f"s3://{NAMES.bucket('data')}/features/{aws_name}"
        sagemaker.create_feature_group(
            FeatureGroupName=aws_name,
            RecordIdentifierFeatureName=group.record_identifier,
            EventTimeFeatureName=group.event_time,
            FeatureDefinitions=[
                {"FeatureName": feature, "FeatureType": kind}
                for feature, kind in group.features.items()
            ],
            RoleArn=request.inputs.role_arn,
            OnlineStoreConfig={"EnableOnlineStore": True},
            OfflineStoreConfig={"S3StorageConfig": {"S3Uri": uri}},
        )


def run(cloud: Cloud, pipeline: str) -> dict[str, Any]:
    """Run a pipeline to its end: its status and, of each step, seconds and reason."""
    sagemaker, began = cloud.client("sagemaker"), time.monotonic()
    arn = sagemaker.start_pipeline_execution(PipelineName=pipeline)["PipelineExecutionArn"]
    ended = until(
        lambda: sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn),
        "PipelineExecutionStatus",
    )
    steps = sagemaker.list_pipeline_execution_steps(
        PipelineExecutionArn=arn, SortOrder="Ascending", MaxResults=100
    )["PipelineExecutionSteps"]
    return {
        "status": ended["PipelineExecutionStatus"],
        "reason": ended.get("FailureReason"),
        "seconds": round(time.monotonic() - began, 1),
        "steps": {step["StepName"]: _step(step) for step in steps},
        "evaluation": _evaluation(cloud, steps),
    }


def _step(step: Mapping[str, Any]) -> dict[str, Any]:
    seconds = (step["EndTime"] - step["StartTime"]).total_seconds()
    return {
        "status": step["StepStatus"],
        "seconds": round(seconds, 1),
        **({"reason": step["FailureReason"]} if "FailureReason" in step else {}),
    }


def _evaluation(cloud: Cloud, steps: list[dict[str, Any]]) -> dict[str, Any]:
    """What the step Evaluate found; nothing where there is none."""
    for step in steps:
        if step["StepName"] == "Evaluate" and step["StepStatus"] == "Succeeded":
            name = step["Metadata"]["ProcessingJob"]["Arn"].rpartition("/")[2]
            job = cloud.client("sagemaker").describe_processing_job(ProcessingJobName=name)
            (output,) = job["ProcessingOutputConfig"]["Outputs"]
            uri = urlsplit(output["S3Output"]["S3Uri"])
            key = f"{uri.path.strip('/')}/evaluation.json"
            body = cloud.client("s3").get_object(Bucket=uri.netloc, Key=key)["Body"].read()
            found: dict[str, Any] = json.loads(body)
            return {who: found[who] for who in ("metrics", "baseline")}
    return {}


def main(home: str, *titles: str) -> None:
    asked = {title: inputs(*title.split("/")) for title in titles}
    with running_cloud(Path(home)) as cloud:
        deploy(cloud, asked)
        ended = {title: run(cloud, found.pipeline_name) for title, found in asked.items()}
    sys.stdout.write(json.dumps(ended) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
