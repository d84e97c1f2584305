"""What deciding as IAM does costs: a decision by itself, and whole requests with it and without.

A decision is over a role as large as ours, compiled once and asked many times. A request goes from
boto3 through HTTP, signature and moto, as those of jobs and functions do. Exits with 1 where the
median decision takes MOST_MILLISECONDS or a request with IAM more than MOST_TIMES one without.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from infra.naming import Names
from infra.permissions_boundary import boundary
from policies.iam.decision import Policies, decide
from policies.iam.document import Policy, compiled
from policies.iam.request import Principal, Request, keys
from stacks.local.runtime.keys import load

MOST_MILLISECONDS = 0.2
MOST_TIMES = 1.15
WARM_UP = 5
ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/plinth-dev-flight-delay-pipeline"


def _identity(statements: int) -> dict[str, Any]:
    """As many statements as a role of a workload has, over buckets, keys, jobs and tables."""
    services = ("s3", "kms", "sagemaker", "dynamodb", "logs", "kinesis", "glue", "ecr")
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": [f"{services[index % 8]}:{verb}*" for verb in ("Get", "Put", "List")],
                "Resource": [f"arn:aws:{services[index % 8]}:::plinth-{index}/*"],
                "Condition": {"StringEquals": {"aws:RequestedRegion": "us-east-1"}},
            }
            for index in range(statements)
        ],
    }


def _bucket() -> Policy:
    def deny(sid: str, condition: Any) -> dict[str, Any]:
        return {"Sid": sid, "Effect": "Deny", "Principal": "*", "Action": "s3:*",
                "Resource": ["arn:aws:s3:::plinth-0", "arn:aws:s3:::plinth-0/*"],
                "Condition": condition}  # fmt: skip

    return compiled(
        {
            "Version": "2012-10-17",
            "Statement": [
                deny("PlainText", {"Bool": {"aws:SecureTransport": "false"}}),
                deny("Elsewhere", {"StringNotEquals": {"aws:PrincipalAccount": ACCOUNT}}),
            ],
        }
    )


def _asked(count: int) -> list[Request]:
    principal = Principal(
        kind="session", arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/x/y", account=ACCOUNT, entity=ROLE
    )
    context = keys(
        {
            "aws:RequestedRegion": "us-east-1",
            "aws:PrincipalArn": ROLE,
            "aws:PrincipalAccount": ACCOUNT,
            "aws:SecureTransport": True,
        }
    )
    return [
        Request(
            principal=principal,
            action=("s3:GetObject", "s3:PutObject", "s3:DeleteObject")[index % 3],
            account=ACCOUNT,
            resource=f"arn:aws:s3:::plinth-{index % 8}/data/{index}.parquet",
            context=context,
        )
        for index in range(count)
    ]


def _decisions(statements: int, count: int) -> bool:
    """Print what single decisions cost; whether that holds the limit."""
    names = Names(env="dev", account_id=ACCOUNT, region="us-east-1")
    policies = Policies(
        identity=[compiled(_identity(statements))],
        boundary=compiled(json.dumps(boundary(names))),
        resource=[_bucket()],
    )
    spent, allowed = [], 0
    for request in _asked(count):
        begun = time.perf_counter()
        found = decide(request, policies)
        spent.append((time.perf_counter() - begun) * 1000)
        allowed += found.allowed
    spent.sort()
    median, most = statistics.median(spent), spent[int(len(spent) * 0.99)]
    print(f"{len(spent)} decisions over {statements} statements and a boundary: {allowed}")
    print(f"allowed; median {median:.4f} ms, 99 of 100 below {most:.4f} ms")
    return median < MOST_MILLISECONDS and 0 < allowed < len(spent)


# -- whole requests ------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Gates:
    """One local cloud behind two gates, one that asks IAM and one that does not: clients of each
    that sign as a role, and as the home's deployer."""

    role: tuple[Callable[[str], Any], Callable[[str], Any]]
    deployer: tuple[Callable[[str], Any], Callable[[str], Any]]


@contextmanager
def _gates(statements: int) -> Iterator[Gates]:
    """Both gates in a process of their own, as the local cloud is one, and clients of a role."""
    program = [sys.executable, __file__, "--serve", "--statements", str(statements)]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            [*program, "--home", folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as served,
    ):
        assert served.stdin and served.stdout
        told = json.loads(served.stdout.readline())
        with_iam, without = told["urls"]
        own = load(Path(folder)).aws()
        keys = (own["AWS_ACCESS_KEY_ID"], own["AWS_SECRET_ACCESS_KEY"])
        yield Gates(
            role=(_clients(with_iam, *told["session"]), _clients(without, *told["session"])),
            deployer=(_clients(with_iam, *keys), _clients(without, *keys)),
        )
        served.stdin.close()


def _serve(home: Path, statements: int) -> None:
    """The application of the local cloud behind two gates, until stdin ends.

    That a gate decides nothing is made here, from the outside: the local cloud has no such switch.
    """
    from stacks.local.daemon import main as daemon
    from stacks.local.daemon.data import Data
    from stacks.local.runtime.keys import ensure
    from stacks.local.runtime.processes import Children

    (home / "local").mkdir(parents=True, mode=0o700)
    listeners = [daemon._listen(0) for _ in range(2)]
    urls = [f"http://127.0.0.1:{listener.getsockname()[1]}" for listener in listeners]
    os.environ.update(daemon.MOTO_SETTINGS)
    keys, children = ensure(home), Children(folder=home / "local" / "run")
    application = daemon._overlay(home, urls[0], (), children, keys)
    data = Data.of(home, keys, application)
    gates = [daemon._guarded(application, listener, keys, data) for listener in listeners]
    gates[1] = replace(gates[1], authorize=lambda *_: None)
    for gate, listener in zip(gates, listeners, strict=True):
        daemon._serve_http(gate, listener)
    own = keys.aws()
    client = _clients(urls[0], own["AWS_ACCESS_KEY_ID"], own["AWS_SECRET_ACCESS_KEY"])
    taken = _session(client, statements)
    session = (taken["AccessKeyId"], taken["SecretAccessKey"], taken["SessionToken"])
    print(json.dumps({"urls": urls, "session": session}), flush=True)
    sys.stdin.read()
    children.reap()
    os._exit(0)  # as the local cloud ends


def _clients(url: str, key: str, secret: str, token: str | None = None) -> Callable[[str], Any]:
    session = boto3.session.Session(key, secret, token, region_name="us-east-1")
    return lambda service: session.client(service, endpoint_url=url)


def _session(client: Callable[[str], Any], statements: int) -> Any:
    """A bucket with a policy, a table, a queue, and a session of a role that may use them."""
    document = _identity(statements)
    may = ["s3:*", "dynamodb:*", "sqs:*", "sagemaker:*", "logs:*"]
    document["Statement"].append({"Effect": "Allow", "Action": may, "Resource": "*"})
    trust = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
    iam = client("iam")
    role = iam.create_role(
        RoleName="bench",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )["Role"]["Arn"]
    iam.put_role_policy(RoleName="bench", PolicyName="p", PolicyDocument=json.dumps(document))
    client("s3").create_bucket(Bucket="bench")
    client("dynamodb").create_table(
        TableName="bench",
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    client("sqs").create_queue(QueueName="bench")
    return client("sts").assume_role(RoleArn=role, RoleSessionName="bench")["Credentials"]


def _calls(client: Callable[[str], Any]) -> list[Callable[[], Any]]:
    """What programs of jobs and functions ask most: objects, records, messages, descriptions."""
    s3, dynamodb, sqs, sagemaker = (client(name) for name in ("s3", "dynamodb", "sqs", "sagemaker"))
    url = sqs.get_queue_url(QueueName="bench")["QueueUrl"]
    item = {"k": {"S": "1"}, "v": {"S": "2"}}
    return [
        lambda: s3.put_object(Bucket="bench", Key="data/1.parquet", Body=b"x" * 10_000),
        lambda: s3.get_object(Bucket="bench", Key="data/1.parquet"),
        lambda: s3.list_objects_v2(Bucket="bench", Prefix="data/"),
        lambda: dynamodb.put_item(TableName="bench", Item=item),
        lambda: dynamodb.get_item(TableName="bench", Key={"k": {"S": "1"}}),
        lambda: sqs.send_message(QueueUrl=url, MessageBody="x"),
        sagemaker.list_pipelines,
        sagemaker.list_training_jobs,
    ]


def _requests(statements: int, rounds: int) -> bool:
    """Print what whole requests take with IAM and without; whether the ratio holds.

    A deployment is requests of the deployer, of whom IAM asks little, and of roles that jobs,
    functions and servers have: here as many of one as of the other.
    """
    with _gates(statements) as gates:
        spent = {"deployer": _spent(gates.deployer, rounds), "role": _spent(gates.role, rounds)}
    for who, (with_iam, without) in spent.items():
        print(f"a request of the {who}, {rounds} rounds in turns: {with_iam:.2f} ms with IAM,")
        print(f"{without:.2f} ms without, {with_iam / without:.3f} times")
    with_iam, without = (sum(pair[turn] for pair in spent.values()) for turn in (0, 1))
    print(f"both together: {with_iam / without:.3f} times")
    return with_iam / without <= MOST_TIMES


def _spent(
    clients: tuple[Callable[[str], Any], Callable[[str], Any]], rounds: int
) -> tuple[float, float]:
    """The median milliseconds of a request through each gate."""
    both = [_calls(client) for client in clients]
    spent: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + WARM_UP):
        for turn in (0, 1) if number % 2 else (1, 0):
            begun = time.perf_counter()
            for call in both[turn]:
                call()
            if number >= WARM_UP:
                spent[turn].append((time.perf_counter() - begun) * 1000 / len(both[turn]))
    return statistics.median(spent[0]), statistics.median(spent[1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--statements", type=int, default=40)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    logging.disable(logging.WARNING)
    if asked.serve:
        _serve(asked.home, asked.statements)
    held = [
        _decisions(asked.statements, asked.requests),
        _requests(asked.statements, asked.rounds),
    ]
    return int(not all(held))


if __name__ == "__main__":
    sys.exit(main())
