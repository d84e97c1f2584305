"""Grants taken away one by one: which decision of a trace would have been a denial without each.

The trace holds what IAM was asked and over which policies (stacks/local/aws/iam/trace.py). Each
allowed request is decided again over its policies less one action, one statement or one whole
policy of the role's own. A grant that no request misses is unused, or its use is not decided here.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from policies.iam.decision import decide
from policies.iam.document import Policy, compiled
from policies.iam.patterns import matches_like
from stacks.local.aws.iam.trace import Decided


@dataclass(frozen=True, kw_only=True, order=True)
class Removal:
    """Something that a role is granted, and that is taken away."""

    role: str
    policy: str
    """Name of the inline policy: the component and its verb."""

    statement: int | None = None
    """Default: the policy as a whole."""

    action: str | None = None
    """Default: the statement as a whole."""

    def __str__(self) -> str:
        where = "" if self.statement is None else f"[{self.statement}]"
        return f"{self.role} {self.policy}{where} {self.action or '*'}"


@dataclass(frozen=True, kw_only=True)
class Grants:
    """The inline policies of roles, as IAM holds them."""

    documents: Mapping[tuple[str, str], Any]
    """Role and name of a policy -> its document."""

    def removals(self) -> Iterator[Removal]:
        """Every policy, every statement that allows, every action of one."""
        for (role, policy), document in sorted(self.documents.items()):
            allowing = list(_allowing(document))
            if allowing:
                yield Removal(role=role, policy=policy)
            for index, statement in allowing:
                one = Removal(role=role, policy=policy, statement=index)
                yield one
                for action in listed(statement["Action"]):
                    yield replace(one, action=action)


@dataclass(kw_only=True)
class Noticed:
    """What the first denial of each removal would have been."""

    by: dict[Removal, Decided] = field(default_factory=dict)
    asked: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    """Role and action -> how many different requests were allowed."""


def grants_of(iam: Any, prefix: str) -> Grants:
    """The inline policies of the roles whose names begin so."""
    found = {}
    for page in iam.get_paginator("list_roles").paginate():
        for role in page["Roles"]:
            name = role["RoleName"]
            if not name.startswith(prefix):
                continue
            for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
                held = iam.get_role_policy(RoleName=name, PolicyName=policy)
                found[name, policy] = held["PolicyDocument"]
    return Grants(documents=found)


def noticed(decisions: Iterable[Decided]) -> Noticed:
    """Decide again what was allowed, without each grant that could have allowed it."""
    found = Noticed()
    for decided in decisions:
        role = decided.request.principal.entity.rpartition("/")[2]
        if not decided.allowed or decided.undecided or not role:
            continue
        found.asked[role, decided.request.action] += 1
        for removal, without in _without(role, decided):
            if removal not in found.by and not without:
                found.by[removal] = decided
    return found


def _without(role: str, decided: Decided) -> Iterator[tuple[Removal, bool]]:
    """Each removal that could matter to a request, and whether it is allowed without."""
    for place, policy in enumerate(decided.policies.identity):
        if policy.name.startswith("arn:"):
            continue  # a managed policy is no grant of a component
        for removal in _candidates(role, policy, decided.request.action):
            rest = [*decided.policies.identity]
            rest[place] = less(policy, removal)
            again = decide(decided.request, replace(decided.policies, identity=rest))
            yield removal, again.allowed or bool(again.undecided)


def _candidates(role: str, policy: Policy, action: str) -> Sequence[Removal]:
    found = []
    for index, statement in _allowing(_document(policy)):
        actions = [a for a in listed(statement["Action"]) if matches_like(action.lower(), a.lower())]
        if actions:
            one = Removal(role=role, policy=policy.name, statement=index)
            found += [one, *(replace(one, action=name) for name in actions)]
    return [Removal(role=role, policy=policy.name), *found] if found else []


def _document(policy: Policy) -> Any:
    return _loaded(policy.text)


@lru_cache(maxsize=4096)
def _loaded(text: str) -> Any:
    return json.loads(text)


def less(policy: Policy, removal: Removal) -> Policy:
    """A policy without what is taken away."""
    document = json.dumps(less_document(_document(policy), removal))
    return compiled(document, policy.name)


def less_document(document: Mapping[str, Any], removal: Removal) -> dict[str, Any]:
    """The document without what is taken away; without statements it is no policy any more."""
    if removal.statement is None:
        return {**document, "Statement": []}
    statements = [dict(one) for one in listed(document["Statement"])]
    kept = [
        action
        for action in listed(statements[removal.statement]["Action"])
        if removal.action is not None and action != removal.action
    ]
    statements[removal.statement]["Action"] = kept
    return {**document, "Statement": [s for s in statements if s.get("Action") != []]}


def _allowing(document: Mapping[str, Any]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for index, statement in enumerate(listed(document["Statement"])):
        if statement["Effect"] == "Allow" and "Action" in statement:
            yield index, statement


def listed(value: Any) -> list[Any]:
    """A value that may stand without its list."""
    return value if isinstance(value, list) else [value]
