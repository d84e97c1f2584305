"""Platforms for tests of checks: real constructors, recorded; AWS stubbed against its own model."""

from collections.abc import Callable, Mapping
from typing import Any

import boto3
from botocore.stub import Stubber

from stacks.checks.check import Check, Finding, Platform, examine, refuse
from stacks.settings import load
from stacks.synth import recorded

Script = Mapping[str, list[tuple[str, Any]]]
"""Service -> operations with their answers in order; an exception's code as `!Code`."""


def stubbed(script: Script) -> Callable[[str], Any]:
    """Clients that answer as scripted, validated by botocore; other services are not there."""
    clients: dict[str, Any] = {}
    for service, answers in script.items():
        made = boto3.client(
            service, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
        )
        stubber = Stubber(made)
        for operation, answer in answers:
            if isinstance(answer, str):
                stubber.add_client_error(operation, answer.removeprefix("!"), "said no")
            else:
                stubber.add_response(operation, answer)
        stubber.activate()
        clients[service] = made

    def client(service: str) -> Any:
        return clients[service] if service in clients else refuse(f"no {service} here")()

    return client


def platform(
    program: Callable[[], Any] = lambda: None, script: Script | None = None, **more: Any
) -> Platform:
    """The environment dev, with the resources of a program and scripted clients."""
    given = {
        "env": "dev",
        "settings": load("dev"),
        "resources": recorded(program),
        "clients": stubbed(script) if script is not None else refuse("no credentials"),
        "fetch": refuse("no network"),
        "plain_http": refuse("no TLS here"),
        "kubernetes": refuse("no cluster"),
        **more,
    }
    return Platform(**given)


def ask(check: Callable[..., Any], asked: Platform) -> list[Finding]:
    """The findings of one check, as the command gets them."""
    return examine(asked, [Check("check", "title", check)])


def statuses(found: list[Finding]) -> list[str]:
    return [finding.status for finding in found]
