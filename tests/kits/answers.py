"""Answers of SageMaker's services held against botocore's models, and requests made from them."""

import re
from collections.abc import Mapping
from typing import Any

from botocore.validate import ParamValidator

from stacks.local.aws import model_constraints
from stacks.local.aws.sagemaker.shapes import service

ACCOUNT, SAGEMAKER = "123456789012", "arn:aws:sagemaker:us-east-1"
TEXTS = (
    "a1",
    "d-a1",
    "arn:aws:iam::123456789012:role/plinth-test",
    "s3://plinth-test/key",
    f"{SAGEMAKER}:{ACCOUNT}:cluster/abcdefghijkl",
    f"{SAGEMAKER}:{ACCOUNT}:endpoint/a1",
    f"{SAGEMAKER}:{ACCOUNT}:model-package-group/a1",
    "https://example.com/key",
    "1.0.0",
    "12345678",
    "123456789012.dkr.ecr.us-east-1.amazonaws.com/image:1",
    "a" * 36,
    "us-east-1",
    "vpc-a1",
    "ml.m5.large",
)
"""Texts of which one fits every pattern that the tests meet."""

NOT_AWS = ("deviceArn'", "deviceFleetArn'", "edgeDeploymentPlanArn'")
"""Members whose pattern in the model no ARN of AWS fits: of IAM, or of a region without digits."""

UNANSWERED = ("ModelPackageName", "InferenceSpecification")
"""Required members that are not always there: a version of a group has no name
(sagemaker-python-sdk#5606), and a package need not say how it is served."""


def problems(model: Any, answer: Mapping[str, Any]) -> list[str]:
    """What is wrong with an answer by the output shape of its operation's model."""
    shape = model.output_shape
    if shape is None or model.has_event_stream_output:
        return []
    said = {name: value for name, value in answer.items() if name != "ResponseMetadata"}
    report = ParamValidator().validate(said, shape)
    told = report.generate_report().splitlines()
    found = [one for one in told if not any(one.endswith(f'"{name}"') for name in UNANSWERED)]
    wrong = [
        one
        for one in model_constraints.problems(said, shape)
        if not any(it in one for it in NOT_AWS)
    ]
    return [f"{model.name}: {problem}" for problem in (*found, *wrong)]


def check(http_response: Any, parsed: Mapping[str, Any], model: Any, **_: Any) -> None:
    """Fail where an answer does not fit its shape; a hook of boto3 clients."""
    if http_response.status_code < 300:
        wrong = problems(model, parsed)
        assert not wrong, wrong


def watched(client: Any) -> Any:
    """The client; every good answer that it gets is checked, if it is one of SageMaker's."""
    if client.meta.service_model.signing_name == "sagemaker":
        client.meta.events.register("after-call", check)
    return client


def request(operation: str, **known: Any) -> dict[str, Any]:
    """The smallest request of an operation, with what is known already."""
    shape = service().operation_model(operation).input_shape
    lacking = [name for name in shape.required_members if name not in known]
    return {**{name: smallest(shape.members[name]) for name in lacking}, **known}


def smallest(shape: Any) -> Any:
    """The smallest value of a shape: required members alone, the shortest lists."""
    if shape.type_name == "structure":
        chosen = list(shape.required_members) or list(shape.members)[: int(shape.is_tagged_union)]
        return {name: smallest(shape.members[name]) for name in chosen}
    if shape.type_name == "list":
        return [smallest(shape.member)] * max(1, shape.metadata.get("min", 0))
    if shape.type_name == "map":
        return {smallest(shape.key): smallest(shape.value)}
    if shape.type_name in ("integer", "long"):
        return max(1, shape.metadata.get("min", 1))
    plain: Mapping[str, Any] = {"boolean": True, "double": 1.0, "float": 1.0, "timestamp": 0}
    return plain[shape.type_name] if shape.type_name in plain else _text(shape)


def _text(shape: Any) -> str:
    if enum := shape.metadata.get("enum"):
        return str(enum[0])
    pattern, least = shape.metadata.get("pattern"), shape.metadata.get("min", 0)
    for text in TEXTS:
        if len(text) >= least and (pattern is None or re.fullmatch(pattern, text)):
            return text
    raise LookupError(f"no text of the tests fits {shape.name}: {pattern}")
