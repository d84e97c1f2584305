"""The base of every component: type token, child options, tags, grants, sealed outputs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.naming import Names

Statement = Mapping[str, Any]
"""One IAM policy statement; values may be Outputs."""


@dataclass(frozen=True, kw_only=True)
class ComponentArgs:
    """What every component needs to name and tag its children."""

    names: Names
    tags: Mapping[str, str]
    """Cost and ownership tags that every taggable child carries."""


@dataclass(frozen=True)
class Role:
    """A role as the grants see it; the purpose is plain, so that grants have fixed names."""

    purpose: str
    name: pulumi.Output[str]
    arn: pulumi.Output[str]


class Component(pulumi.ComponentResource):
    """A group of resources with one purpose; `plinth:infra:<Class>` in the stack.

    Subclasses create their children with `opts=self.child` and end with `self.seal()`.
    """

    def __init__(
        self, name: str, args: ComponentArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(f"plinth:infra:{type(self).__name__}", name, None, opts)
        self.component_name = name
        self.names = args.names
        self._tags = dict(args.tags)
        self.child = pulumi.ResourceOptions(parent=self)

    def tags(self, role: str) -> dict[str, str]:
        """Tags of the child that plays this role."""
        return {**self._tags, "Name": self.names.of(role)}

    def kept(self, protect: bool) -> pulumi.ResourceOptions:
        """Child options of a resource that holds data: protected and retained when asked."""
        return pulumi.ResourceOptions(parent=self, protect=protect, retain_on_delete=protect)

    def grant(self, role: Role, verb: str, statements: Sequence[Statement]) -> pulumi.Resource:
        """Allow a role what `statements` say, by an inline policy that is this component's.

        Returned for what must not be created before its role may act.
        """

        document = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", **statement} for statement in statements],
        }
        return aws.iam.RolePolicy(
            f"{self.component_name}-{verb}-{role.purpose}",
            name=f"{self.component_name}-{verb}",
            role=role.name,
            policy=policy_json(document),
            opts=self.child,
        )

    def seal(self) -> None:
        """Register every public Output as the component's output."""
        outputs = {
            key: value
            for key, value in vars(self).items()
            if not key.startswith("_") and isinstance(value, pulumi.Output) and key != "urn"
        }
        self.register_outputs(outputs)


def tls_only(action: str, resource: pulumi.Input[str]) -> dict[str, object]:
    """The statement with which a topic or queue refuses requests over plain HTTP."""
    return {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": resource,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def policy_json(document: Mapping[str, Any]) -> pulumi.Output[str]:
    """A policy document as JSON text, once every Output in it is known."""
    return pulumi.Output.json_dumps(document, sort_keys=True)


def plain_json(document: Mapping[str, Any]) -> str:
    """A policy document without Outputs: known at preview, so rules can read it."""
    return json.dumps(document, sort_keys=True)
