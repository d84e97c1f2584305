"""Everything that an account must have before the first stack of an environment."""

from __future__ import annotations

from stacks.bootstrap.bucket import state_bucket
from stacks.bootstrap.identity import github_provider, service_role
from stacks.bootstrap.key import key_arn, state_key
from stacks.bootstrap.need import Need
from stacks.service_linked_roles import needed
from stacks.settings.load import load_environment, load_foundation
from stacks.stack_name import stacks_of
from stacks.synth import synth_of
from stacks.targets.aws_clients import Clients


def needs(env: str, clients: Clients) -> list[Need]:
    """In an order in which they can be made.

    GitHub's provider is among them where the foundation's file leaves it to somebody else. The
    roles of those who deploy are the foundation's, under its permissions boundary: whoever
    administers the account deploys that first.
    """
    environment = load_environment(env)
    names, tags = environment.names, environment.default_tags()
    kms, s3, iam = clients("kms"), clients("s3"), clients("iam")
    resources = [resource for stack in stacks_of(env) for resource in synth_of(stack)]
    roles = [role for role in needed(resources) if not role.made_on_use]
    github = load_foundation(env).access.github
    return [
        state_key(kms, names, tags),
        state_bucket(s3, names, lambda: key_arn(kms, env), tags),
        *(service_role(iam, role) for role in roles),
        *([github_provider(iam, names, tags)] if github and not github.create_provider else []),
    ]
