"""Grants taken away one by one: which decision of a trace would have been a denial without each.

The trace holds what IAM was asked and over which policies (stacks/local/aws/iam/trace.py). Each
allowed request is decided again over its policies less one action, one statement or one whole
policy of the role's own. A grant that no request misses is unused, or its use is not decided here.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from policies.iam.decision import decide
from policies.iam.document import Policy, compiled
from policies.iam.patterns import matches_like
from stacks.local.aws.iam.trace import Decided

EXPLAINED = Path(__file__).parent.parent / "data" / "grants.yaml"


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

    def actions(self, removal: Removal) -> list[str]:
        """The actions that are taken away."""
        if removal.action is not None:
            return [removal.action]
        return [
            action
            for index, statement in _allowing(self.documents[removal.role, removal.policy])
            if removal.statement in (None, index)
            for action in listed(statement["Action"])
        ]


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
        actions = [
            a for a in listed(statement["Action"]) if matches_like(action.lower(), a.lower())
        ]
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


# -- what is explained ---------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Why no request of a journey on this machine misses a grant that AWS needs."""

    roles: str
    """Roles without the environment's prefix, as a pattern with wildcards."""

    grants: str
    """Names of policies, as a pattern with wildcards."""

    actions: Sequence[str]
    """Patterns with wildcards."""

    why: str
    source: str

    def covers(self, removal: Removal, actions: Sequence[str]) -> bool:
        """Whether it explains the removal of these actions."""
        return (
            matches_like(removal.role, f"plinth-local-{self.roles}")
            and matches_like(removal.policy, self.grants)
            and all(any(matches_like(a, wanted) for wanted in self.actions) for a in actions)
        )


def explanations() -> list[Explanation]:
    """All of tests/data/grants.yaml."""
    return [Explanation(**item) for item in YAML(typ="safe").load(EXPLAINED.read_text())]


@dataclass(kw_only=True)
class Row:
    """What became of one removal."""

    removal: Removal
    noticed: str = ""
    """The step, and what was denied. Default: not noticed."""

    explained: Explanation | None = None


@dataclass(kw_only=True)
class Report:
    """Every removal with its outcome."""

    rows: Sequence[Row]
    idle: Sequence[Explanation]
    """Explanations of nothing."""

    sample: Sequence[Mapping[str, Any]] = ()
    """Removals that were really made: allowed, denied, allowed again."""

    failed: Mapping[str, str] = field(default_factory=dict)
    """Step of the journey that did not get to its end -> why."""

    @property
    def unexplained(self) -> list[Row]:
        return [row for row in self.rows if not row.noticed and row.explained is None]

    @property
    def wrong(self) -> list[Mapping[str, Any]]:
        """Really made, and not as computed."""
        return [one for one in self.sample if one["allowed"] != [True, False, True]]

    @property
    def holds(self) -> bool:
        return not (self.unexplained or self.idle or self.wrong or self.failed)

    def counts(self) -> dict[str, dict[str, int]]:
        """By how much is taken away at once: a policy, a statement, an action."""
        found = {}
        for size in ("policies", "statements", "actions"):
            rows = [row for row in self.rows if size_of(row.removal) == size]
            found[size] = {
                "removed": len(rows),
                "noticed": sum(bool(row.noticed) for row in rows),
                "explained": sum(not row.noticed and row.explained is not None for row in rows),
            }
        return found

    def as_json(self) -> dict[str, Any]:
        return {
            "counts": self.counts(),
            "rows": [
                {
                    "removal": str(row.removal),
                    "noticed": row.noticed,
                    "explained": row.explained.why if row.explained else "",
                }
                for row in self.rows
            ],
            "idle": [str(one) for one in self.idle],
            "sample": list(self.sample),
            "failed": dict(self.failed),
            "holds": self.holds,
        }

    def text(self, *, everything: bool = False) -> str:
        """Counts, and a table of the actions that are not noticed, or of all."""
        lines = []
        for size, n in self.counts().items():
            share = 100 * (n["noticed"] + n["explained"]) / max(1, n["removed"])
            lines.append(
                f"{size:<11} {n['removed']:>4} removed  {n['noticed']:>4} noticed  "
                f"{n['explained']:>4} explained  {share:.1f} % of both"
            )
        for row in self.rows:
            if size_of(row.removal) != "actions" or (row.noticed and not everything):
                continue
            why = row.noticed or (row.explained.why if row.explained else "NOT NOTICED")
            lines.append(f"{row.removal!s:<84} {why}")
        lines += [f"EXPLAINS NOTHING {one.roles} {one.grants} {one.actions}" for one in self.idle]
        lines += [f"FAILED {step}: {why}" for step, why in self.failed.items()]
        lines += [f"really removed: {one['removal']}: {one['allowed']}" for one in self.sample]
        return "\n".join(lines) + "\n"


def size_of(removal: Removal) -> str:
    """How much is taken away at once."""
    if removal.action is not None:
        return "actions"
    return "policies" if removal.statement is None else "statements"


def report(
    grants: Grants,
    found: Noticed,
    known: Sequence[Explanation],
    *,
    step_at: Callable[[float], str],
    sample: Sequence[Mapping[str, Any]] = (),
    failed: Mapping[str, str] | None = None,
) -> Report:
    """What became of every removal; a whole is explained where each of its actions is."""
    rows, used = [], set()
    for removal in grants.removals():
        decided = found.by.get(removal)
        row = Row(removal=removal)
        if decided is not None:
            row.noticed = f"{step_at(decided.at)}: {decided.request.action} by {decided.operation}"
        else:
            row.explained = next(
                (one for one in known if one.covers(removal, grants.actions(removal))), None
            )
            row.explained = row.explained or _together(removal, grants, known)
        if row.explained:
            used.add(id(row.explained))
        rows.append(row)
    idle = [one for one in known if id(one) not in used]
    return Report(rows=rows, idle=idle, sample=sample, failed=failed or {})


def _together(removal: Removal, grants: Grants, known: Sequence[Explanation]) -> Explanation | None:
    """The first of several explanations that together cover a statement or a policy."""
    each = [
        next((one for one in known if one.covers(removal, [action])), None)
        for action in grants.actions(removal)
    ]
    return each[0] if each and all(each) else None
