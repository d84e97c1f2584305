"""What the clients have in common: packages in a venv of their own, a cloud, counts as JSON.

A client that is another version than the checkout's lives in a venv below the cache; its version
is pinned here, and an index has to be reachable once.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import boto3

from stacks.local.daemon import client as session
from stacks.local.daemon.environment import LocalEnvironment
from stacks.local.runtime import keys
from stacks.paths import cache

PROGRAMS = Path(__file__).parent / "programs"
"""Scripts that run in such a venv; they import nothing of the checkout."""

REGION = "us-east-1"
PIP = ("-m", "pip", "--quiet", "--disable-pip-version-check")


class NotFetched(Exception):
    """A client's packages cannot be had; the text is pip's."""


def venv(name: str, *packages: str) -> Path:
    """The folder of the programs of a venv with these packages, made once per set of them."""
    folder = cache() / "clients" / name
    told = folder / "packages.txt"
    if not told.exists() or told.read_text() != "\n".join(packages):
        told.unlink(missing_ok=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        command = [str(folder / "bin" / "python"), *PIP, "install", *packages]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise NotFetched(done.stderr[-2000:])
        told.write_text("\n".join(packages))
    return folder / "bin"


@contextlib.contextmanager
def cloud() -> Iterator[dict[str, str]]:
    """A local cloud in a home of its own; what a client has to have in its environment."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        info = session.start(home)
        try:
            shell = LocalEnvironment(home=home, cloud=info).clients()
            kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
            yield {**kept, **shell, **keys.load(home).aws(), "HOME": folder}
        finally:
            session.stop(home)


def program(name: str, packages: Sequence[str], arguments: Sequence[str]) -> int:
    """Run `programs/<name>.py` with these packages and print its counts; 1 where it cannot be.

    Without packages it runs with those of the checkout.
    """
    try:
        here = Path(sys.executable).parent
        folder = venv(packages[0].replace("==", "-"), *packages) if packages else here
    except NotFetched as error:
        sys.stderr.write(f"{error}\n")
        return 1
    with cloud() as environment:
        done = subprocess.run(
            [str(folder / "python"), "-W", "ignore", str(PROGRAMS / f"{name}.py"), *arguments],
            env={**environment, "ROLE": role(environment)},
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
    if done.returncode:
        return 1
    told(json.loads(done.stdout.splitlines()[-1]))
    return 0


def role(environment: Mapping[str, str]) -> str:
    """A role that services may take and that may do everything; its ARN."""
    iam = boto3.client(
        "iam",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        region_name=REGION,
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )
    services = [f"{name}.amazonaws.com" for name in ("events", "lambda", "sagemaker")]
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": services},
        "Action": "sts:AssumeRole",
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    made = iam.create_role(RoleName="ml", AssumeRolePolicyDocument=document)
    policy = "arn:aws:iam::aws:policy/AdministratorAccess"
    iam.attach_role_policy(RoleName="ml", PolicyArn=policy)
    return str(made["Role"]["Arn"])


def told(results: Sequence[Mapping[str, Any]], **more: Any) -> None:
    """Print counts, and each case that did not pass with its reason, as JSON."""
    counts = Counter(str(result["outcome"]) for result in results)
    others = {
        str(result["case"]): " ".join(str(result["reason"]).split())[:600]
        for result in results
        if result["outcome"] != "passed"
    }
    counted = {"cases": len(results), **counts, "not_passed": others, **more}
    sys.stdout.write(json.dumps(counted, indent=1) + "\n")
