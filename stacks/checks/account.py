"""Whose account it is, and whether the caller may do what the deployment does there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from infra.deploying import GLOBAL
from infra.naming import Names
from policies.data import Resource
from stacks.checks.caller import caller_arn
from stacks.checks.check import CheckResult, Platform, failed, passed, unknown
from stacks.paths import ENVIRONMENTS, shown
from stacks.permissions import actions_of, needs, passed_roles
from stacks.settings.placeholders import placeholders
from stacks.stack_name import environment_file

GUARDED = ("approver", "deployer")
"""Personas whose roles no deployer changes, so as not to become one of them (infra/personas.py)."""

ASKED_AT_ONCE = 50
"""Resources in one question to the simulator."""


def check_account(platform: Platform) -> Iterator[CheckResult]:
    """The credentials are those of the account that the settings name."""
    got = platform.clients("sts").get_caller_identity()["Account"]
    wanted = platform.settings.environment.account.account_id
    if got == wanted:
        yield passed("account", "credentials", f"of account {got}")
    else:
        yield failed(
            "account",
            "credentials",
            f"must be of account {wanted} (account.account_id), got {got}",
            f"log in to account {wanted}, or correct {shown(environment_file(platform.env))}",
        )


def check_machine(platform: Platform) -> Iterator[CheckResult]:
    """This machine has the tools that a deployment calls, as `plinth doctor` lists them."""
    for what, there, got, fix in platform.machine():
        if there:
            yield passed("machine", what, got)
        else:
            yield failed("machine", what, f"must be there, got {got}", fix)


def check_placeholders(platform: Platform) -> Iterator[CheckResult]:
    """Accounts, images and addresses are yours and not those that the files come with."""
    found = dict(placeholders(platform.settings))
    for key, value in found.items():
        yield failed(
            "placeholders",
            key,
            f"must be filled in, is the placeholder {value}",
            f"fill it in, in {_file_of(platform, key)}",
        )
    if not found:
        yield passed("placeholders", "settings", "every value is filled in")


def _file_of(platform: Platform, key: str) -> str:
    own = platform.stack.file_in(ENVIRONMENTS)
    return shown(own if key.startswith("plinth:") else environment_file(platform.env))


def check_permissions(platform: Platform) -> Iterator[CheckResult]:
    """IAM's own simulator says that the caller may deploy what the program registers.

    Each action is asked of the resource's own ARN and for the region: a question about every
    resource (`*`) is denied to whoever is allowed those of this environment alone.
    """
    caller = caller_arn(platform.clients)
    found = [one for one in platform.resources if one.type.startswith("aws:")]
    asked = list(questions(found, platform.names))
    denied = sorted({action for one in asked for action in _denied(platform, caller, one)})
    guarded = tuple(f" on {platform.names.platform.role_arn(name)}" for name in GUARDED)
    if kept := [action for action in denied if action.endswith(guarded)]:
        yield unknown(
            "permissions",
            caller,
            f"may not make or change the roles of {' and '.join(GUARDED)}, which an administrator "
            f"does: {len(kept)} actions are denied, and needed if one of them changes",
        )
        denied = [action for action in denied if action not in kept]
    count = len({(action, arn) for one in asked for action in one.actions for arn in one.arns})
    if denied:
        yield failed(
            "permissions",
            caller,
            f"must be allowed {count} actions on resources, is not: {', '.join(denied)}",
            "let the deployer role do these, or take the role that may",
        )
    else:
        yield passed("permissions", caller, f"may do all {count} actions that were simulated")
    unknown_types = sorted({one.type for one in found if not actions_of(one.type)})
    if unknown_types:
        yield unknown(
            "permissions", caller, f"no schema says what these take: {', '.join(unknown_types)}"
        )


@dataclass(frozen=True)
class Question:
    """Actions on resources, in a context, as the simulator takes them."""

    actions: tuple[str, ...]
    arns: tuple[str, ...]
    context: Mapping[str, str]


def questions(resources: Sequence[Resource], names: Names) -> Iterator[Question]:
    """What to ask: the actions of each kind of resource on all of them, and the roles to pass."""
    by_actions: dict[tuple[str, ...], list[str]] = {}
    for need in needs(resources, names):
        by_actions.setdefault(need.actions, []).append(need.arn)
    for actions, arns in by_actions.items():
        service = actions[0].partition(":")[0]
        region = names.global_region if service in GLOBAL else names.region
        for start in range(0, len(arns), ASKED_AT_ONCE):
            some = tuple(arns[start : start + ASKED_AT_ONCE])
            yield Question(actions, some, {"aws:RequestedRegion": region})
    for service, arns in passed_roles(resources, names).items():
        yield Question(("iam:PassRole",), tuple(arns), {"iam:PassedToService": service})


def _denied(platform: Platform, caller: str, question: Question) -> Iterator[str]:
    """Actions that are not allowed, with where, if that has a name.

    The results are one for each action; what is decided about each resource stands in them (IAM
    API reference, EvaluationResult).
    """
    pages = (
        platform.clients("iam")
        .get_paginator("simulate_principal_policy")
        .paginate(
            PolicySourceArn=caller,
            ActionNames=list(question.actions),
            ResourceArns=list(question.arns),
            ContextEntries=[
                {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"}
                for key, value in question.context.items()
            ],
        )
    )
    for page in pages:
        for result in page["EvaluationResults"]:
            action, each = result["EvalActionName"], result.get("ResourceSpecificResults")
            if not each and result["EvalDecision"] != "allowed":
                yield action
            for one in each or ():
                if one["EvalResourceDecision"] != "allowed":
                    arn = one["EvalResourceName"]
                    yield action + ("" if arn == "*" else f" on {arn}")
