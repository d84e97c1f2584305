"""Requests to the local cloud's endpoint that are signed and wrong: generated from kinds."""

from __future__ import annotations

import http.client
import json
import random
import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from tests.kits.attacks import Target

JSON_11 = "application/x-amz-json-1.1"
FORM = "application/x-www-form-urlencoded"
TARGETS = {
    "sagemaker": "SageMaker.CreateModel",
    "dynamodb": "DynamoDB_20120810.PutItem",
    "kinesis": "Kinesis_20131202.PutRecord",
    "logs": "Logs_20140328.CreateLogGroup",
    "events": "AWSEvents.PutRule",
    "secretsmanager": "secretsmanager.CreateSecret",
    "budgets": "AWSBudgetServiceGateway.CreateBudget",
    "cloudtrail": "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.CreateTrail",
}
PATHS = {
    "eks": ("POST", "/clusters"),
    "lambda": ("POST", "/2015-03-31/functions"),
    "kafka": ("POST", "/v1/clusters"),
    "sagemaker": ("PUT", "/FeatureGroup/group"),
}
BROKEN = {
    "cut": b'{"a":',
    "deep lists": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "deep, and sound": b'{"a":' * 500 + b"1" + b"}" * 500,
    "a list": b"[1]",
    "a number": b"1",
    "a text": b'"a"',
    "null": b"null",
    "no UTF-8": b"\xff\xfe",
    "no number": b'{"a":NaN}',
    "endless number": b'{"a":' + b"9" * 5000 + b"}",
    "two objects": b"{}{}",
    "nothing in it": b" ",
}
UNKNOWN = {
    "frauddetector": "AWSHawksNestServiceFacade.GetModels",
    "translate": "AWSShineFrontendService_20170701.ListTerminologies",
    "gamelift": "GameLift.ListBuilds",
    "healthlake": "HealthLake.ListFHIRDatastores",
}


@dataclass(frozen=True, kw_only=True)
class Wrong:
    """A request, and the statuses that it may end with."""

    kind: str
    service: str
    body: bytes = b""
    method: str = "POST"
    path: str = "/"
    content_type: str = ""
    target: str = ""
    expected: tuple[int, ...] = (400,)


def wrong(seed: int, count: int) -> Iterator[Wrong]:
    """So many, the same for the same seed."""
    rng = random.Random(seed)
    for _ in range(count):
        yield rng.choice((broken, broken, misfit, unknown, forms, xml, no_route))(rng)


def broken(rng: random.Random) -> Wrong:
    kind = rng.choice(list(BROKEN))
    if rng.random() < 0.3:
        service = rng.choice(list(PATHS))
        method, path = PATHS[service]
        return Wrong(
            kind=kind, service=service, body=BROKEN[kind], method=method, path=path,
            content_type="application/json",
        )  # fmt: skip
    service = rng.choice(list(TARGETS))
    return Wrong(
        kind=kind,
        service=service,
        body=BROKEN[kind],
        target=TARGETS[service],
        content_type=JSON_11,
    )


def misfit(rng: random.Random) -> Wrong:
    """JSON of other types than the operation has, or without what it needs."""
    service = rng.choice(list(TARGETS))
    names = ("ModelName", "TableName", "StreamName", "logGroupName", "Name", "Budget", "Item")
    values: tuple[object, ...] = ([], {}, 7, True, [{"a": [1]}], {"B": {"C": []}}, None)
    body = {name: rng.choice(values) for name in rng.sample(names, rng.randrange(5))}
    return Wrong(
        kind="misfit",
        service=service,
        body=json.dumps(body).encode(),
        target=TARGETS[service],
        content_type=JSON_11,
    )


def unknown(rng: random.Random) -> Wrong:
    """Operations that AWS has and nobody built, and those that AWS has not."""
    service = rng.choice([*UNKNOWN, *TARGETS])
    if service in UNKNOWN:
        return Wrong(
            kind="not emulated", service=service, body=b"{}", target=UNKNOWN[service],
            content_type=JSON_11, expected=(501,),
        )  # fmt: skip
    target = TARGETS[service].rpartition(".")[0] + ".MakeCoffee"
    return Wrong(
        kind="no operation", service=service, body=b"{}", target=target, content_type=JSON_11
    )


def forms(rng: random.Random) -> Wrong:
    service = rng.choice(["iam", "ec2", "sts", "sns", "cloudwatch"])
    body = rng.choice([b"Action=MakeCoffee", b"\xff\xfe&a", b"Action=", b"a=1&a=2", b"Action=%zz"])
    signed = "monitoring" if service == "cloudwatch" else service
    return Wrong(
        kind="form", service=signed, body=body, content_type=FORM, expected=(400, 404, 501)
    )


def xml(rng: random.Random) -> Wrong:
    path = rng.choice(["/plinth-test?delete", "/plinth-test?tagging", "/plinth-test?lifecycle"])
    body = rng.choice([b"<a", b"<a>" * 5_000, b"\xff", b"<a/><b/>", b"{}"])
    method = "POST" if path.endswith("delete") else "PUT"
    return Wrong(kind="XML", service="s3", body=body, method=method, path=path)


def no_route(rng: random.Random) -> Wrong:
    service = rng.choice(["eks", "lambda", "apigateway", "bedrock", "nosuchservice", "batch"])
    path = "/" + "/".join(rng.choice(["a", "clusters", "%2F", "..", "x" * 50]) for _ in range(7))
    method = rng.choice(["GET", "POST", "PUT", "DELETE"])
    return Wrong(
        kind="no route", service=service, method=method, path=path, expected=(400, 404, 405, 501)
    )


def sent(target: Target, asked: Wrong) -> tuple[int, bytes, dict[str, str]]:
    """Sign and send: status, body, headers."""
    headers = {
        **({"Content-Type": asked.content_type} if asked.content_type else {}),
        **({"X-Amz-Target": asked.target} if asked.target else {}),
    }
    request = AWSRequest(
        method=asked.method, url=target.url + asked.path, data=asked.body, headers=headers
    )
    SigV4Auth(target.owner, asked.service, "us-east-1").add_auth(request)
    made = request.prepare()
    with closing(http.client.HTTPConnection("127.0.0.1", target.port, timeout=60)) as wire:
        wire.request(asked.method, asked.path, asked.body, dict(made.headers.items()))
        answer = wire.getresponse()
        names = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, answer.read(), names


def wire(target: Target, raw: bytes) -> socket.socket:
    """A connection on which these bytes were sent."""
    made = socket.create_connection(("127.0.0.1", target.port), timeout=60)
    made.sendall(raw)
    return made
