"""Policy documents, compiled once so that a decision only compares.

Source: IAM user guide, "IAM JSON policy elements reference".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from policies.data import UNKNOWN
from policies.iam.conditions import Condition, UnknownOperator, conditions_of, variable
from policies.iam.patterns import Names, arn_like, like, matches_filled, names_of
from policies.iam.request import Principal, Request

WITH_VARIABLES = "2012-10-17"
"""Version of the language in which `${...}` is a variable; before, it is text."""

NAMED, AS_ENTITY, AS_ACCOUNT = 3, 2, 1
"""How a resource policy names a caller: itself (or everybody), by its role, by its account."""


class MalformedPolicy(ValueError):
    """What IAM refuses to store as a policy."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a policy."""

    sid: str
    effect: str
    actions: Names
    not_actions: bool
    resources: Names | None
    """None: the resource is the one that the policy is attached to."""

    not_resources: bool
    principals: Mapping[str, frozenset[str]] | None
    """Kind of principal -> names. None: the policy is attached to its principal."""

    not_principals: bool
    conditions: tuple[Condition, ...]

    def applies(self, request: Request, *, bounded: bool = False) -> tuple[bool | None, int]:
        """Whether it is about the request, and how it names the caller.

        None where that hangs on what is not known of the request. `bounded`: whether the caller
        has a permissions boundary.
        """
        if self.actions.holds(request.action.lower()) == self.not_actions:
            return False, 0
        named = self._names(request.principal, bounded=bounded)
        if not named:
            return False, 0
        found = self._is_on(request)
        if found is False:
            return False, 0
        for condition in self.conditions:
            met = condition.holds(request.context)
            if met is False:
                return False, 0
            if met is None:
                found = None
        return found, named

    def _is_on(self, request: Request) -> bool | None:
        """Whether the resource is one of the statement's."""
        if self.resources is None:
            return True
        if request.resource is UNKNOWN:
            return True if self.resources.holds("*") and not self.not_resources else None
        found: bool | None = self.resources.holds(request.resource)
        if not found and self.resources.templates:
            found = self._is_filled(request)
        return None if found is None else found != self.not_resources

    def _is_filled(self, request: Request) -> bool | None:
        assert self.resources is not None
        lacking: list[bool] = []
        for held in self.resources.templates:
            filled = held.filled(lambda name: variable(name, request.context, lacking))
            if filled is not None and matches_filled(request.resource, filled, arn_like):
                return True
        return None if lacking else False

    def _names(self, principal: Principal, *, bounded: bool) -> int:
        if self.principals is None:
            return NAMED
        if not self.not_principals:
            return _level(self.principals, principal)
        if self.effect == "Deny" and bounded:
            return NAMED
        return 0 if _is_excepted(self.principals, principal, self.effect) else NAMED

    def unknowns(self, request: Request) -> set[str]:
        """The condition keys of the request that the statement asks for and nobody knows."""
        asked = {condition.key for condition in self.conditions}
        return {key for key in asked if request.context.get(key) is UNKNOWN}


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy document."""

    name: str
    """ARN or name, as people know it."""

    statements: tuple[Statement, ...]
    text: str = ""
    """The document as it was given. Default: nobody keeps it."""


def _account_names(account: str, arn: str) -> frozenset[str]:
    partition = arn.split(":")[1] if arn.startswith("arn:") else "aws"
    return frozenset((account, f"arn:{partition}:iam::{account}:root"))


def _level(principals: Mapping[str, frozenset[str]], principal: Principal) -> int:
    """How a Principal element names a caller; 0: not at all."""
    aws = principals.get("AWS", frozenset())
    if "*" in aws or "*" in principals.get("*", ()):
        return NAMED
    if principal.kind == "anonymous":
        return 0
    if principal.kind in ("service", "federated"):
        kind = "Service" if principal.kind == "service" else "Federated"
        return NAMED if principal.arn in principals.get(kind, ()) else 0
    if principal.kind != "root" and principal.arn in aws:
        return NAMED
    if principal.entity and principal.entity in aws:
        return AS_ENTITY
    return AS_ACCOUNT if aws & _account_names(principal.account, principal.arn) else 0


def _is_excepted(
    principals: Mapping[str, frozenset[str]], principal: Principal, effect: str
) -> bool:
    """Whether NotPrincipal leaves a caller out.

    A denial does so only where account, role and session are all named: AWS may look at each of
    them (IAM user guide, "IAM JSON policy elements: NotPrincipal").
    """
    if principal.kind in ("service", "federated", "anonymous"):
        return _level(principals, principal) > 0
    aws = principals.get("AWS", frozenset())
    account = bool(aws & _account_names(principal.account, principal.arn))
    names = {name for name in (principal.arn, principal.entity) if name}
    if effect != "Deny":
        return account or bool(names & aws)
    return account and (principal.kind == "root" or names <= aws)


def compiled(document: str | Mapping[str, Any], name: str = "") -> Policy:
    """A document given as JSON text or as an object; MalformedPolicy where IAM would refuse it."""
    return _of_text(document if isinstance(document, str) else json.dumps(document), name)


@lru_cache(maxsize=8192)
def _of_text(text: str, name: str) -> Policy:
    try:
        document = json.loads(text)
        listed = document["Statement"]
    except (ValueError, KeyError, TypeError) as error:
        raise MalformedPolicy(f"{name or 'a policy'} must have statements, got {error!r}") from None
    variables = document.get("Version") == WITH_VARIABLES
    listed = listed if isinstance(listed, list) else [listed]
    statements = (_statement(item, name, index, variables) for index, item in enumerate(listed))
    return Policy(name, tuple(statements), text)


def _statement(item: Any, policy: str, index: int, variables: bool) -> Statement:
    where = f"{policy or 'policy'}.Statement[{index}]"
    if not isinstance(item, Mapping):
        raise MalformedPolicy(f"{where} must be an object, got {item!r}")
    if item.get("Effect") not in ("Allow", "Deny"):
        raise MalformedPolicy(f"{where}.Effect must be Allow or Deny, got {item.get('Effect')!r}")
    actions, not_actions = _one_of(item, where, "Action", required=True)
    resources, not_resources = _one_of(item, where, "Resource")
    principals, not_principals = _one_of(item, where, "Principal")
    try:
        conditions = conditions_of(item.get("Condition") or {}, variables=variables)
    except (UnknownOperator, AttributeError) as error:
        raise MalformedPolicy(
            f"{where}.Condition must hold operators of IAM over keys, got {error}"
        ) from None
    lowered = [str(action).lower() for action in _listed(actions)]
    on = [str(resource) for resource in _listed(resources)]
    return Statement(
        sid=str(item.get("Sid", "")),
        effect=item["Effect"],
        actions=names_of(lowered, like, variables=False),
        not_actions=not_actions,
        resources=None if resources is None else names_of(on, arn_like, variables=variables),
        not_resources=not_resources,
        principals=None if principals is None else _principals(principals, where),
        not_principals=not_principals,
        conditions=conditions,
    )


def _one_of(
    item: Mapping[str, Any], where: str, name: str, *, required: bool = False
) -> tuple[Any, bool]:
    """The value of an element or of its negation, and whether it is the negation."""
    found = [key for key in (name, f"Not{name}") if key in item]
    if len(found) > 1 or (required and not found):
        got = " and ".join(found) or "neither"
        raise MalformedPolicy(f"{where} must have {name} or Not{name}, got {got}")
    return (item[found[0]], found[0] != name) if found else (None, False)


def _principals(value: Any, where: str) -> Mapping[str, frozenset[str]]:
    if value == "*":
        return {"*": frozenset("*")}
    if not isinstance(value, Mapping):
        raise MalformedPolicy(f"{where}.Principal must be * or an object, got {value!r}")
    return {kind: frozenset(map(str, _listed(names))) for kind, names in value.items()}


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]
