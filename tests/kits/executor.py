"""A small fake of SageMaker and S3, and builders of definitions, for the tests of the executor."""

import io
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

ROLE = "arn:aws:iam::123456789012:role/job"
Json = dict[str, Any]


@dataclass
class FakeSageMaker:
    """Creates jobs that end as `ends` says, after `polls` describes; keeps every call."""

    ends: Mapping[str, str] = field(default_factory=dict)
    polls: int = 0
    groups: set[str] = field(default_factory=set)
    calls: list[tuple[str, str]] = field(default_factory=list)
    requests: dict[str, Json] = field(default_factory=dict)
    described: dict[str, int] = field(default_factory=dict)
    most_at_once: int = 0
    _at_once: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def step_of(self, job: str) -> str:
        return re.sub(r"^pipelines-[^-]+-|-[0-9a-f]{10}$", "", job)

    def create_processing_job(self, **request: Any) -> Json:
        return self._create("Processing", request)

    def create_training_job(self, **request: Any) -> Json:
        return self._create("Training", request)

    def describe_processing_job(self, ProcessingJobName: str) -> Json:
        return self._describe("Processing", ProcessingJobName)

    def describe_training_job(self, TrainingJobName: str) -> Json:
        return self._describe("Training", TrainingJobName)

    def stop_processing_job(self, ProcessingJobName: str) -> None:
        self._stop(ProcessingJobName)

    def stop_training_job(self, TrainingJobName: str) -> None:
        self._stop(TrainingJobName)

    def create_model(self, **request: Any) -> Json:
        self.requests["create_model"] = request
        return {"ModelArn": "arn:model"}

    def describe_model(self, ModelName: str) -> Json:
        return {"ModelName": ModelName, "ModelArn": "arn:model"}

    def create_model_package_group(self, ModelPackageGroupName: str) -> None:
        self.groups.add(ModelPackageGroupName)

    def create_model_package(self, **request: Any) -> Json:
        if request["ModelPackageGroupName"] not in self.groups:
            told = "Model Package Group does not exist."
            error = {"Error": {"Code": "ValidationException", "Message": told}}
            raise ClientError(error, "CreateModelPackage")
        self.requests["create_model_package"] = request
        return {"ModelPackageArn": "arn:package/1"}

    def describe_model_package(self, ModelPackageName: str) -> Json:
        return {"ModelPackageArn": ModelPackageName, "ModelPackageStatus": "Completed"}

    def _create(self, kind: str, request: Json) -> Json:
        name = request[f"{kind}JobName"]
        with self._lock:
            step = self.step_of(name)
            self.calls.append(("create", step))
            self.requests[step] = request
            self._at_once.add(step)
            self.most_at_once = max(self.most_at_once, len(self._at_once))
        if self.ends.get(step) == "refused":
            error = {"Error": {"Code": "ResourceLimitExceeded", "Message": "no such instance"}}
            raise ClientError(error, f"Create{kind}Job")
        return {f"{kind}JobArn": f"arn:{kind.lower()}-job/{name}"}

    def _describe(self, kind: str, name: str) -> Json:
        step = self.step_of(name)
        with self._lock:
            seen = self.described[step] = self.described.get(step, 0) + 1
            end = self.ends.get(step, "Completed")
            status = end if end != "forever" and seen > self.polls else "InProgress"
            if ("stop", step) in self.calls:
                status = "Stopped"
            if status != "InProgress":
                self._at_once.discard(step)
        reason = {"FailureReason": f"{step} broke"} if status == "Failed" else {}
        answer = {**self.requests[step], f"{kind}JobStatus": status, **reason}
        return answer | {"ModelArtifacts": {"S3ModelArtifacts": f"s3://b/{step}/model.tar.gz"}}

    def _stop(self, name: str) -> None:
        with self._lock:
            self.calls.append(("stop", self.step_of(name)))

    def created(self) -> list[str]:
        return [step for call, step in self.calls if call == "create"]


@dataclass
class FakeS3:
    """Objects by URI."""

    objects: Mapping[str, str] = field(default_factory=dict)

    def get_object(self, Bucket: str, Key: str) -> Json:
        uri = f"s3://{Bucket}/{Key}"
        if uri not in self.objects:
            raise ClientError({"Error": {"Code": "NoSuchKey", "Message": uri}}, "GetObject")
        return {"Body": io.BytesIO(self.objects[uri].encode())}


def processing(name: str, *needs: str, **extra: Any) -> Json:
    arguments = {
        "RoleArn": ROLE,
        "AppSpecification": {"ImageUri": "image:1", "ContainerEntrypoint": ["python3"]},
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceType": "ml.m5.large",
                "InstanceCount": 1,
                "VolumeSizeInGB": 5,
            }
        },
        "ProcessingOutputConfig": {
            "Outputs": [
                {
                    "OutputName": "report",
                    "S3Output": {
                        "S3Uri": f"s3://b/{name}",
                        "LocalPath": "/opt/ml/processing/report",
                        "S3UploadMode": "EndOfJob",
                    },
                }
            ]
        },
    }
    return {
        "Name": name,
        "Type": "Processing",
        "Arguments": arguments | extra.pop("Arguments", {}),
        **({"DependsOn": list(needs)} if needs else {}),
        **extra,
    }


def training(name: str, *needs: str, uri: Any = "s3://b/train") -> Json:
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}
    arguments = {
        "RoleArn": ROLE,
        "OutputDataConfig": {"S3OutputPath": "s3://b/models"},
        "InputDataConfig": [{"ChannelName": "train", "DataSource": source}],
    }
    return {"Name": name, "Type": "Training", "Arguments": arguments, "DependsOn": list(needs)}


def fail(name: str, message: Any = "too bad") -> Json:
    return {"Name": name, "Type": "Fail", "Arguments": {"ErrorMessage": message}}


FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:f"
QUEUE = "https://sqs.us-east-1.amazonaws.com/123456789012/q"


def _outputs(*outputs: str) -> list[Json]:
    """OutputParameters of `name:type`."""
    pairs = [text.split(":") for text in outputs]
    return [{"OutputName": name, "OutputType": kind} for name, kind in pairs]


def lambda_step(name: str, *outputs: str, **more: Any) -> Json:
    step = {"Name": name, "Type": "Lambda", "FunctionArn": FUNCTION, "Arguments": {}}
    return {**step, "OutputParameters": _outputs(*outputs), **more}


def callback(name: str, *outputs: str, **more: Any) -> Json:
    step = {"Name": name, "Type": "Callback", "SqsQueueUrl": QUEUE, "Arguments": {}}
    return {**step, "OutputParameters": _outputs(*outputs), **more}


def compare(left: Any, kind: str, right: Any) -> Json:
    return {"Type": kind, "LeftValue": left, "RightValue": right}


def condition(
    name: str,
    conditions: Sequence[Json],
    then: Sequence[Json] = (),
    otherwise: Sequence[Json] = (),
    needs: Sequence[str] = (),
) -> Json:
    arguments = {
        "Conditions": list(conditions),
        "IfSteps": list(then),
        "ElseSteps": list(otherwise),
    }
    return {"Name": name, "Type": "Condition", "Arguments": arguments, "DependsOn": list(needs)}


def definition(*steps: Json, parameters: Sequence[Json] = ()) -> Json:
    return {
        "Version": "2020-12-01",
        "Metadata": {},
        "Parameters": list(parameters),
        "PipelineExperimentConfig": {"ExperimentName": {"Get": "Execution.PipelineName"}},
        "MlflowConfig": None,
        "Steps": list(steps),
    }


PARAMETERS: list[Json] = [
    {"Name": "Days", "Type": "Integer", "DefaultValue": 14},
    {"Name": "Auc", "Type": "Float", "DefaultValue": 0.7},
    {"Name": "Commit", "Type": "String", "DefaultValue": "none", "EnumValues": ["none", "abc"]},
    {"Name": "Strict", "Type": "Boolean", "DefaultValue": "true"},
]
YES, NO = compare(1, "Equals", 1), compare(1, "Equals", 2)
REPORT = [{"PropertyFileName": "F", "OutputName": "report", "FilePath": "report.json"}]


def json_get(path: str, step: str = "A") -> Json:
    file = {"Get": f"Steps.{step}.PropertyFiles.F"}
    return {"Std:JsonGet": {"PropertyFile": file, "Path": path}}
