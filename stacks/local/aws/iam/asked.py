"""Which operation of which service a signed request asks for, and with what.

moto routes and reads requests by botocore's service models; this asks it before moto answers.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from re import Match
from typing import Any

from stacks.local.aws.bearer_tokens import ROUTE
from stacks.local.aws.iam import mlflow
from stacks.local.aws.protocols import model_of

SIGNED_AS: Mapping[str, tuple[str, ...]] = {
    "dynamodb": ("dynamodb", "dynamodbstreams"),
    "elasticfilesystem": ("efs",),
    "elasticloadbalancing": ("elbv2", "elb"),
    "elasticmapreduce": ("emr",),
    "lambda": ("lambda",),
    "monitoring": ("cloudwatch",),
    "s3": ("s3", "s3control"),
    "sagemaker": (
        "sagemaker",
        "sagemaker-runtime",
        "sagemaker-featurestore-runtime",
        "sagemaker-metrics",
    ),
    "servicequotas": ("service-quotas",),
    "ses": ("ses", "sesv2"),
    "states": ("stepfunctions",),
    "tagging": ("resourcegroupstaggingapi",),
    "timestream": ("timestream-query", "timestream-write"),
}
"""Service in the scope of a signature -> services of botocore that sign so. Default: its own
name."""

PREFIXES: Mapping[str, str] = {"monitoring": "cloudwatch", "tagging": "tag", "email": "ses"}
"""Service in the scope of a signature -> prefix of its actions. Default: the same."""


FORMS = ("query", "ec2")
"""Protocols whose requests are forms."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One operation."""

    signed_for: str
    """Service in the scope of the signature."""

    service: str
    """Service of botocore."""

    prefix: str
    """Of its actions in IAM."""

    operation: str
    protocol: str
    parameters: Mapping[str, Any]
    by_token: bool = False
    """Whether it was asked with a bearer token. Default: it is signed itself."""

    members: frozenset[str] = frozenset()
    """What the operation could be given, in lower case."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One action on one resource that a request needs."""

    action: str
    resource: Any
    known: Mapping[str, Any] = field(default_factory=dict)
    """Condition keys of this check alone."""

    tags: Mapping[str, str] | None = None
    """What this resource is to be tagged with. Default: what the request as a whole says."""


def asked(environ: Mapping[str, Any], body: bytes, signed_for: str) -> Asked | None:
    """The operation of a request; None: none of the service's models knows it."""
    from botocore.exceptions import UnknownServiceError
    from moto.core.request import Request, determine_request_protocol
    from moto.core.routing import get_service_router
    from werkzeug.exceptions import HTTPException

    if (chat := ROUTE.fullmatch(environ["PATH_INFO"])) is not None:
        return _chat(chat)
    if arn := mlflow.arn_of(environ):
        return _of_mlflow(environ, signed_for, arn)
    for service in SIGNED_AS.get(signed_for, (signed_for,)):
        request = Request({**environ, "wsgi.input": io.BytesIO(body)})
        try:
            operation, found = get_service_router(service).match(request)
            model = operation.service_model
            protocol = determine_request_protocol(model, request.content_type)
        except (HTTPException, NotImplementedError, UnknownServiceError):
            continue
        return Asked(
            signed_for=signed_for,
            service=service,
            prefix=PREFIXES.get(signed_for, signed_for),
            operation=operation.name,
            protocol=protocol,
            parameters=_parameters(request, operation, found, protocol),
            members=_members(service, operation.name),
        )
    return None


def _of_mlflow(environ: Mapping[str, Any], signed_for: str, arn: str) -> Asked | None:
    operation = mlflow.operation_of(arn, environ["REQUEST_METHOD"], environ["PATH_INFO"])
    if operation is None:
        return None
    return Asked(
        signed_for=signed_for,
        service="sagemaker",
        prefix=mlflow.prefix_of(arn),
        operation=operation,
        protocol="rest-json",
        parameters={"Arn": arn},
    )


def _chat(route: Match[str]) -> Asked:
    """A chat completion: InvokeEndpoint by another way, which no model has (SageMaker developer
    guide, "Invoke endpoints with OpenAI-compatible APIs")."""
    said = {"EndpointName": route["endpoint"], "InferenceComponentName": route["component"]}
    return Asked(
        signed_for="sagemaker",
        service="sagemaker-runtime",
        prefix="sagemaker",
        operation="InvokeEndpoint",
        protocol="rest-json",
        parameters={name: value for name, value in said.items() if value},
        by_token=True,
        members=_members("sagemaker-runtime", "InvokeEndpoint"),
    )


@functools.cache
def _members(service: str, operation: str) -> frozenset[str]:
    shape = model_of(service).operation_model(operation).input_shape
    return frozenset(name.lower() for name in shape.members) if shape is not None else frozenset()


def _parameters(
    request: Any, operation: Any, found: Mapping[str, Any], protocol: str
) -> Mapping[str, Any]:
    """The members of the request; those of the path alone where the rest cannot be read."""
    from moto.core.parse import PROTOCOL_PARSERS, RequestParserError

    try:
        parsed = PROTOCOL_PARSERS[protocol](operation).parse(
            {
                "method": request.method,
                # reading a form that is none takes as long as the rest
                "values": request.values if protocol in FORMS else request.args,
                "headers": request.headers,
                "body": request.data or request.get_data(),
                "url_path": request.path,
                "url_params": dict(found),
            }
        )
    except (RequestParserError, ValueError, KeyError, TypeError, AttributeError):
        return dict(found)
    return {**found, **{name: value for name, value in parsed.items() if value is not None}}
