"""IAM's policy simulator: what policies would decide, by the evaluator that decides here.

Sources: IAM API reference, SimulateCustomPolicy, SimulatePrincipalPolicy, EvaluationResult,
GetContextKeysForCustomPolicy, GetContextKeysForPrincipalPolicy; IAM user guide, "Testing IAM
policies with the IAM policy simulator". A request has only the condition keys that the caller of
the simulator gives; policies of resources count where they are given.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from policies.iam import reference
from policies.iam.decision import Decision, Policies, decide
from policies.iam.document import MalformedPolicy, Policy, compiled
from policies.iam.request import Principal, Request, keys
from stacks.local.aws.iam import callers
from stacks.local.aws.iam.callers import Caller
from stacks.local.aws.iam.statement_positions import positions
from stacks.local.aws.signatures import Refused

EVERYTHING = "*"
MOST_RESULTS = 100
"""Results of a page (IAM API reference, MaxItems)."""

NOT_THERE = ("PolicyExclusionList", "ResourceHandlingOption")
"""What is refused: nobody has built it."""

STRICTEST_FIRST = ("explicitDeny", "implicitDeny", "allowed")
VARIABLE = re.compile(r"\$\{([^*?$},]+:[^},]+)[^}]*\}")


def install() -> None:
    """Let moto's IAM answer these operations, of which it has none."""
    from moto.core.responses import ActionResult
    from moto.iam.responses import IamResponse

    def simulated(response: Any, what: Simulation) -> ActionResult:
        return ActionResult(_page(what, response.params))

    def principal(response: Any) -> ActionResult:
        return simulated(response, of_principal(response.params, response.partition))

    def custom(response: Any) -> ActionResult:
        return simulated(response, of_documents(response.params, response.current_account))

    def keys_of_principal(response: Any) -> ActionResult:
        who = entity(response.params["PolicySourceArn"], response.partition)
        texts = [policy.text for policy in who.identity]
        return ActionResult({"ContextKeyNames": _named(texts + _inputs(response.params))})

    def keys_of_documents(response: Any) -> ActionResult:
        return ActionResult({"ContextKeyNames": _named(_inputs(response.params))})

    IamResponse.simulate_principal_policy = principal
    IamResponse.simulate_custom_policy = custom
    IamResponse.get_context_keys_for_principal_policy = keys_of_principal
    IamResponse.get_context_keys_for_custom_policy = keys_of_documents


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """Whose policies are asked, and what is known of every request."""

    who: Caller
    policies: Policies
    context: Mapping[str, Any]
    owner: str
    """Account of a resource whose ARN names none."""


def of_principal(asked: Mapping[str, Any], partition: str) -> Simulation:
    """What SimulatePrincipalPolicy asks: of an entity, with policies added."""
    source = entity(asked["PolicySourceArn"], partition)
    called = asked.get("CallerArn")
    who = entity(called, partition) if called else source
    if asked.get("ResourcePolicy") and who.principal.kind != "user":
        raise _invalid("ResourcePolicy can be simulated for IAM users only")
    added = [*source.identity, *_given(asked, "PolicyInputList")]
    return _simulation(replace(who, identity=added, boundary=source.boundary), asked)


def of_documents(asked: Mapping[str, Any], account: str) -> Simulation:
    """What SimulateCustomPolicy asks: of the policies that it is given; without a CallerArn of
    somebody in the account that each resource belongs to."""
    called = asked.get("CallerArn", "")
    if asked.get("ResourcePolicy") and not called:
        raise _invalid("CallerArn is required with a ResourcePolicy")
    principal = Principal(kind="user", arn=called, account=_account(called) or account)
    who = Caller(principal=principal, identity=_given(asked, "PolicyInputList"))
    return _simulation(who, asked)


def entity(arn: str, partition: str) -> Caller:
    """A user, role or group and what it is allowed; NoSuchEntity where there is none."""
    from moto.iam.models import iam_backends

    account, _, path = arn.partition(":iam::")[2].partition(":")
    kind, _, name = path.partition("/")
    if kind not in ("user", "role", "group") or not name:
        raise _invalid(f"Invalid Entity Arn: {arn} does not clearly define entity type and name.")
    owner = callers.administrator(account, partition)
    if arn == owner.principal.arn:
        return owner
    backend = iam_backends[account][partition]
    held = {"user": backend.users, "role": backend.roles, "group": backend.groups}[kind]
    found = next((one for one in list(held.values()) if one.arn == arn), None)
    if found is None:
        raise _error("NoSuchEntity", f"The {kind} with name {name} cannot be found.")
    if kind == "role":
        return callers.of_role(found, arn, None, found.id)
    return callers.of_user(found, partition) if kind == "user" else callers.of_group(found)


def _simulation(who: Caller, asked: Mapping[str, Any]) -> Simulation:
    for name in NOT_THERE:
        if asked.get(name):
            told = f"{name} is not emulated by the local cloud: nobody has built it"
            raise Refused("NotEmulated", told, status=501)
    boundaries = _given(asked, "PermissionsBoundaryPolicyInputList")
    of_resource = asked.get("ResourcePolicy")
    levels = asked.get("OrderedOrganizationPolicyInputList") or ()
    policies = Policies(
        identity=who.identity,
        boundary=boundaries[0] if boundaries else who.boundary,
        resource=[_policy(of_resource, "ResourcePolicy")] if of_resource else (),
        scps=[_given(level, "ServiceControlPolicyInputList") for level in levels],
    )
    entries = asked.get("ContextEntries") or ()
    given = {one["ContextKeyName"]: one.get("ContextKeyValues") or [] for one in entries}
    owner = _account(asked.get("ResourceOwner", "")) or asked.get("ResourceOwner")
    return Simulation(
        who=who, policies=policies, context=keys(given), owner=owner or who.principal.account
    )


def _page(what: Simulation, asked: Mapping[str, Any]) -> dict[str, Any]:
    """One result for each action, as many as fit."""
    actions = asked["ActionNames"]
    if wrong := [name for name in actions if EVERYTHING in name or ":" not in name]:
        raise _invalid(f"Invalid Action: {', '.join(wrong)}")
    marker = str(asked.get("Marker") or 0)
    if not marker.isdecimal():
        raise _error("ValidationError", "Invalid Marker.")
    first, most = int(marker), int(asked.get("MaxItems") or MOST_RESULTS)
    resources = asked.get("ResourceArns") or [EVERYTHING]
    shown = [_result(what, name, resources) for name in actions[first : first + most]]
    rest = first + most < len(actions)
    told = {"Marker": str(first + most)} if rest else {}
    return {"EvaluationResults": shown, "IsTruncated": rest, **told}


def _result(what: Simulation, action: str, resources: Sequence[str]) -> dict[str, Any]:
    """What is decided about an action; the strictest where resources differ."""
    each = [_decided(what, action, resource) for resource in resources]
    strictest = min((one["EvalDecision"] for one in each), key=STRICTEST_FIRST.index)
    deciding = [one for one in each if one["EvalDecision"] == strictest]
    matched = {json.dumps(one): one for found in deciding for one in found["MatchedStatements"]}
    limits = [one["PermissionsBoundaryDecisionDetail"] for one in each if what.policies.boundary]
    result = {
        "EvalActionName": action,
        "EvalResourceName": _template(action),
        "EvalDecision": strictest,
        "MatchedStatements": [*matched.values()],
        "MissingContextValues": _missing(what),
    }
    if limits:
        allowed = all(one["AllowedByPermissionsBoundary"] for one in limits)
        result["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": allowed}
    if list(resources) == [EVERYTHING]:
        return result
    result["EvalDecisionDetails"] = {}
    result["ResourceSpecificResults"] = [
        {
            "EvalResourceName": resource,
            "EvalResourceDecision": one.pop("EvalDecision"),
            **one,
            "MissingContextValues": _missing(what),
        }
        for resource, one in zip(resources, each, strict=True)
    ]
    return result


def _decided(what: Simulation, action: str, resource: str) -> dict[str, Any]:
    principal = what.who.principal
    request = Request(
        principal=principal,
        action=action,
        resource=resource,
        account=(_account(resource) or what.owner) if principal.arn else principal.account,
        context=what.context,
    )
    decision = decide(request, what.policies)
    told: dict[str, Any] = {
        "EvalDecision": _name(decision),
        "MatchedStatements": [*_matched(what.policies, request, decision)],
    }
    if (boundary := what.policies.boundary) is not None:
        effects = {one.effect for one in boundary.statements if one.applies(request)[0]}
        allowed = effects == {"Allow"}
        told["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": allowed}
    return told


def _name(decision: Decision) -> str:
    if decision.allowed:
        return "allowed"
    return "explicitDeny" if decision.explicit else "implicitDeny"


def _matched(policies: Policies, request: Request, decision: Decision) -> Iterator[dict[str, Any]]:
    """Statements of the entity's and the resource's policies that lead to the decision."""
    effect = "Deny" if decision.explicit else "Allow"
    if not (decision.allowed or decision.explicit):
        return
    for policy in (*policies.identity, *policies.resource):
        places = positions(policy.text)
        for statement, (start, end) in zip(policy.statements, places, strict=True):
            if statement.effect == effect and statement.applies(request)[0]:
                yield {
                    "SourcePolicyId": policy.name.rpartition("/")[2],
                    "SourcePolicyType": "IAM Policy",
                    "StartPosition": start,
                    "EndPosition": end,
                }


def _missing(what: Simulation) -> list[str]:
    asked = _named([one.text for one in (*what.policies.identity, *what.policies.resource)])
    return [name for name in asked if name.lower() not in what.context]


def _named(texts: Sequence[str]) -> list[str]:
    """Condition keys that policies name, in conditions or as variables, in their order."""
    found: dict[str, str] = {}
    for text in texts:
        statements = json.loads(text)["Statement"]
        for statement in statements if isinstance(statements, list) else [statements]:
            asked = [key for held in statement.get("Condition", {}).values() for key in held]
            for name in [*asked, *VARIABLE.findall(json.dumps(statement))]:
                found.setdefault(name.lower(), name)
    return [*found.values()]


def _template(action: str) -> str:
    """The shortest ARN of a resource that an action takes, with names to be filled in."""
    found = reference.action(action)
    types = [one["name"] for one in (found or {}).get("resourceTypes", ())]
    formats = [reference.arn_format(action.partition(":")[0], name) for name in types]
    return min(filter(None, formats), key=len, default=EVERYTHING)


def _given(asked: Mapping[str, Any], member: str) -> list[Policy]:
    texts = asked.get(member) or ()
    return [_policy(text, f"{member}.{number}") for number, text in enumerate(texts, 1)]


def _policy(text: str, name: str) -> Policy:
    try:
        return compiled(text, name)
    except MalformedPolicy as error:
        raise _invalid(f"{error}") from None


def _inputs(asked: Mapping[str, Any]) -> list[str]:
    return [policy.text for policy in _given(asked, "PolicyInputList")]


def _account(arn: str) -> str:
    return arn.split(":")[4] if arn.count(":") >= 5 else ""


def _invalid(message: str) -> Exception:
    return _error("InvalidInput", message)


def _error(code: str, message: str) -> Exception:
    from moto.iam.exceptions import IAMException

    made: Exception = IAMException(code, message)
    return made
