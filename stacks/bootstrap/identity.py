"""Roles of AWS's services and the provider of GitHub's tokens: an account has one of each."""

from __future__ import annotations

from typing import Any

from infra.naming import GITHUB, Names
from stacks.bootstrap.need import NOT_THERE, Need, answer
from stacks.service_linked_roles import ServiceLinkedRole


def service_role(iam: Any, role: ServiceLinkedRole) -> Need:
    """A service-linked role that nobody makes on the way."""

    def missing() -> list[str]:
        return [] if answer(iam.get_role, RoleName=role.name) else [NOT_THERE]

    def make() -> None:
        if missing():
            iam.create_service_linked_role(AWSServiceName=role.service)

    return Need(
        name=f"role {role.name}",
        why=f"{role.service} works with it ({role.source})",
        missing=missing,
        make=make,
    )


def github_provider(iam: Any, names: Names, tags: dict[str, str]) -> Need:
    """The provider by which IAM believes the tokens of GitHub's jobs."""
    arn = f"arn:aws:iam::{names.account_id}:oidc-provider/{GITHUB}"

    def missing() -> list[str]:
        found = answer(iam.get_open_id_connect_provider, OpenIDConnectProviderArn=arn)
        if found is None:
            return [NOT_THERE]
        return [] if "sts.amazonaws.com" in found["ClientIDList"] else ["is not for AWS STS"]

    def make() -> None:
        problems = missing()
        if problems == [NOT_THERE]:
            iam.create_open_id_connect_provider(
                Url=f"https://{GITHUB}",
                ClientIDList=["sts.amazonaws.com"],
                Tags=[{"Key": key, "Value": value} for key, value in sorted(tags.items())],
            )
        elif problems:
            iam.add_client_id_to_open_id_connect_provider(
                OpenIDConnectProviderArn=arn, ClientID="sts.amazonaws.com"
            )

    return Need(
        name=f"OIDC provider {GITHUB}",
        why="the roles of preview and deploy trust what it signs",
        missing=missing,
        make=make,
    )
