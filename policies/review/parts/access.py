"""Who may do more or less: statements of IAM, resource and trust policies that come and go."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from policies.data import UNKNOWN, Resource
from policies.reading.principals import (
    account_of,
    admitted,
    has_effect,
    is_public,
    listed,
    names_everybody,
)
from policies.reading.roles import allowed, holds, spelled
from policies.reading.statements import Grant, beyond, grants, statements_of
from policies.review.differences import Leaf, same
from policies.review.knowledge import known
from policies.review.model import Change, StackChange
from policies.review.people import word
from policies.review.report import RISKS, Context, Reason, Risk, Row, Section
from policies.review.vocabulary import WHO

BROADENED = "RV-003"

NAMED = re.compile(r"(policy|policydocument|policybody|policytext|policystatement)$")
"""Ends of names, in lower case, of inputs that hold a document; one of another name is found by its
shape."""

WHOLE = re.compile(
    r"(policyarns?|managedpolicy(arns?)?|permissionsetarn|permissionarns|managedpolicies)$"
)
"""Inputs that name whole policies."""


def part(change: StackChange, context: Context) -> Section | None:
    """One row per statement that allows more or less, and per principal who comes or goes."""
    ours = frozenset(
        name
        for name in (*context.config.approved_registries, *context.config.trusted_accounts)
        if ACCOUNT.fullmatch(name)
    )
    found = [
        line
        for item in change.changed()
        if not item.component
        for line in (*_lines(item), *_strangers(item, ours))
    ]
    if not found:
        return None
    rows = [
        Row(
            cells=(sign, item.name, statement["Effect"], *_who(statement)),
            risk=_risk(sign, statement, ours),
            urn=item.urn,
            source=item.source,
            detail=_text(statement),
        )
        for sign, item, statement in found
    ]
    return Section(
        id="access",
        title="Who may do what",
        columns=("", "resource", "effect", "actions", "on"),
        rows=rows,
        data={
            "statements": [
                {"change": sign, "urn": item.urn, "statement": statement}
                for sign, item, statement in found
            ]
        },
        reasons=list(_reasons(found, ours)),
    )


ACCOUNT = re.compile(r"\d{12}")
Line = tuple[str, Change, dict[str, Any]]
UNTOLD = {"Effect": "?", "Action": ["known after the update"]}
ODD = {"Effect": "?", "Action": ["not a policy document"]}


def _lines(item: Change) -> Iterator[Line]:
    before, after = documents(item.old), documents(item.new)
    for path in sorted({*before, *after}):
        old, new = before.get(path, []), after.get(path, [])
        yield from (("+", item, statement) for statement in _beyond(new, old))
        yield from (("-", item, statement) for statement in _beyond(old, new))
    for sign, one, other in (("+", item.new, item.old), ("-", item.old, item.new)):
        known = _named(other)
        for action, value in sorted(_named(one) - known, key=str):
            if value is None and any(holds(each, action) for each, who in known if who is None):
                continue
            yield sign, item, {"Effect": "Allow", "Action": [action], "Principal": value}
    for leaf, _ in item.differences:
        if acts_as(leaf) and leaf.new is not None and not same(leaf.old, leaf.new):
            action = f"acts as {_shown(leaf.new)} by {leaf.text}"
            yield "+", item, {"Effect": "Allow", "Action": [action], "Principal": None}


AS = re.compile(
    r"(^|execution|task|service|instance|job|crawler|node)role(arn)?$|serviceaccountname$"
    r"|instanceprofile(name|arn)?$"
)
"""Ends of names, in lower case, of inputs by which something has another's permissions."""


def acts_as(leaf: Leaf) -> bool:
    """Whether it says with whose permissions something acts."""
    return bool(AS.search(word(leaf.name))) and not leaf.alone


def is_attached(leaf: Leaf, token: str) -> bool:
    """Whether it names a whole policy: one that is given, or may be taken away without harm.

    A policy that bounds something, such as that of a session or of a firewall, may not go.
    """
    name = word(leaf.path[0])
    if leaf.new is None and not (WHOLE.fullmatch(name) and "grants" in known(token).kinds):
        return False
    return bool(WHOLE.search(name))


def _strangers(item: Change, ours: frozenset[str]) -> Iterator[Line]:
    """Accounts that inputs name from now on, beside documents, and that nobody here knows."""
    if not ours or item.new is None:
        return
    before = _accounts(item.old.inputs.value) if item.old else set()
    for account in sorted(_accounts(item.new.inputs.value) - before - ours):
        who = {"AWS": f"arn:aws:iam::{account}:root"}
        action = f"is connected with account {account}"
        yield "+", item, {"Effect": "Allow", "Action": [action], "Principal": who}


_ACCOUNT_OF = re.compile(r"^arn:[\w-]+:[\w-]*:[\w-]*:(\d{12}):|^(\d{12})$")


def _accounts(value: Any) -> set[str]:
    """Accounts in ARNs, and those that stand alone, outside of documents."""
    if isinstance(value, str):
        found = _ACCOUNT_OF.match(value)
        return {found[1] or found[2]} if found else set()
    if isinstance(value, Mapping):
        return {each for item in value.values() for each in _accounts(item)}
    return (
        {each for item in value for each in _accounts(item)} if isinstance(value, list) else set()
    )


def documents(resource: Resource | None) -> dict[str, list[dict[str, Any]]]:
    """Path -> statements of every document among the inputs, by its name or by its shape."""
    if resource is None:
        return {}
    return {path: found for path, value in _leaves(resource.inputs.value, "", 3)
            if (found := _statements(path, value)) is not None}  # fmt: skip


def _leaves(value: Any, path: str, depth: int) -> Iterator[tuple[str, Any]]:
    """What may be a document, a few levels deep."""
    if isinstance(value, Mapping) and "Statement" not in value and depth:
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}" if path else str(key), depth - 1)
    elif isinstance(value, list) and depth:
        for index, item in enumerate(value):
            yield from _leaves(item, f"{path}[{index}]", depth - 1)
    elif value is UNKNOWN or isinstance(value, str | Mapping):
        yield path, value


def _statements(path: str, value: Any) -> list[dict[str, Any]] | None:
    found = statements_of(value) if value is not UNKNOWN else None
    if found is not None:
        return [_normal(statement) for statement in found]
    named = NAMED.search(path.rpartition(".")[2].partition("[")[0].lower().replace("_", ""))
    if not named:
        return None
    if value is UNKNOWN:
        return [UNTOLD]
    return (
        [ODD]
        if isinstance(value, str) and value[:1] in ("{", "[") and not _is_json(value)
        else None
    )


def _is_json(text: str) -> bool:
    """Whether a policy without statements is one of another kind, such as a lifecycle's."""
    try:
        return "Statement" not in json.loads(text)
    except (ValueError, RecursionError):
        return False


def _beyond(some: Sequence[dict[str, Any]], others: Sequence[dict[str, Any]]) -> Iterator[Any]:
    """The statements of the first, without what the second says as well."""
    if some == others:
        return
    said = [grant for statement in others for grant in grants(statement)]
    for statement in some:
        if statement["Effect"] == "?":
            if statement not in others:
                yield statement
            continue
        mine = grants(statement)
        left = beyond(mine, said)
        if left:
            yield statement if len(left) == len(mine) else _only(statement, left)


def _only(statement: dict[str, Any], left: Sequence[Grant]) -> dict[str, Any]:
    """The statement with what is left of it."""
    actions = {grant.action for grant in left}
    resources = {grant.resource for grant in left}
    kept = dict(statement)
    if "Action" in kept:
        kept["Action"] = [name for name in kept["Action"] if str(name).lower() in actions]
    if "Resource" in kept:
        kept["Resource"] = [name for name in kept["Resource"] if name in resources]
    return kept


def _named(resource: Resource | None) -> frozenset[tuple[str, Any]]:
    """Whole policies and principals that inputs name outside of any document."""
    if resource is None:
        return frozenset()
    found: set[tuple[str, Any]] = set()
    about = known(resource.type)
    grants_access = not about.is_known or bool(about.kinds.keys() & {"grants", "opens"})
    for name, value in resource.inputs.value.items():
        lower = name.lower().replace("_", "")
        if WHOLE.search(lower):
            found |= {(f"everything in {_shown(each)}", None) for each in listed(value)}
        elif grants_access and WHO.search(lower):
            who = [spelled(each) for each in listed(value) if each not in NOBODY]
            found |= {(f"what {name} lets in", _shown(each)) for each in who}
    if GIVEN.search(resource.type):
        found.add((f"what a {resource.type.rpartition(':')[2]} gives", None))
    found |= set(_of_the_cluster(resource))
    return frozenset(found)


NOBODY = ("private", "bucket-owner-full-control", "bucket-owner-read")
"""Canned ACLs of S3 that let in nobody but the owner (its user guide)."""
GIVEN = re.compile(
    r"accessKey:|loginProfile:|serviceSpecificCredential:|signingCertificate:|groupMembership:"
    r"|userGroupMembership:|accountAssignment:|organizations/policyAttachment:|AccessKey$"
    r"|AccountAssignment$|GroupMembership$|UserToGroupAddition$",
    re.I,
)
"""Types that are access by being there: a credential, a member of a group, an assignment."""


RULES = ("rules", "subjects", "roleRef")
"""Inputs of Kubernetes' roles and bindings that this part takes apart."""


def is_told(token: str, root: str) -> bool:
    """Whether this part says what a change of this input means."""
    return "rbac.authorization.k8s.io" in token and root in RULES


def _of_the_cluster(resource: Resource) -> Iterator[tuple[str, Any]]:
    """What a role of Kubernetes allows, and whom a binding gives it to."""
    inputs = resource.inputs.value
    if resource.type.startswith("kubernetes:core/v1:Secret") and inputs.get("type") == TOKEN:
        yield "what a token of a service account gives", None
    if "rbac.authorization.k8s.io" not in resource.type:
        return
    for rule in listed(inputs.get("rules")):
        if isinstance(rule, Mapping):
            yield from ((text, None) for text in allowed(rule))
    reference = inputs.get("roleRef")
    if isinstance(reference, Mapping):
        yield f"everything in {reference.get('name')}", None


TOKEN = "kubernetes.io/service-account-token"


def _shown(value: Any) -> str:
    if value is UNKNOWN:
        return "known after the update"
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


def _normal(statement: Mapping[str, Any]) -> dict[str, Any]:
    """One spelling: lists where a single text may stand, sorted; without the Sid."""
    normal = {"Effect": "Allow"} | {key: statement[key] for key in statement if key != "Sid"}
    if normal["Effect"] is UNKNOWN:
        return dict(UNTOLD)
    for key in ("Action", "NotAction", "Resource", "NotResource"):
        if key in normal:
            value = normal[key]
            items = value if isinstance(value, list) else [value]
            normal[key] = sorted(
                "known after the update" if v is UNKNOWN else str(v) for v in items
            )
    return normal


def _text(statement: Mapping[str, Any]) -> str:
    return json.dumps(statement, sort_keys=True, default=str)


def _who(statement: Mapping[str, Any]) -> tuple[str, str]:
    actions = statement.get("Action") or [f"all but {a}" for a in statement.get("NotAction", ())]
    resources = statement.get("Resource") or [
        f"all but {r}" for r in statement.get("NotResource", ())
    ]
    principal = statement.get("Principal")
    where = [*resources, *([f"for {_text(principal)}"] if principal else [])]
    return ", ".join(map(str, actions)), ", ".join(map(str, where)) or "itself"


WIDE = re.compile(
    r"^everything in .*(AdministratorAccess|PowerUser|FullAccess|IAMFull|ClusterAdmin|cluster-admin"
    r"|known after)|^\* |^\w+ \*( of \S+)?$|^(bind|escalate|impersonate) |nodes/proxy"
    r"|^(get|list|watch) secrets( of \*)?$|^what a "
    r"|lets in$.*system:(masters|authenticated|anonymous)"
)
"""What is too much whoever gets it: managed policies of administrators, verbs of Kubernetes that
reach everything or every secret, and credentials."""


def _is_wide(statement: Mapping[str, Any]) -> bool:
    actions, resources = statement.get("Action", ()), statement.get("Resource", ())
    return (
        statement["Effect"] == "?"
        or any(key in statement for key in ("NotAction", "NotResource", "NotPrincipal"))
        or is_public({**statement, "Effect": "Allow"})
        or any(action == "*" or action.endswith(":*") for action in actions)
        or any(WIDE.search(str(action)) for action in actions)
        or ("*" in resources and not has_effect(statement.get("Condition")))
    )


def _is_foreign(statement: Mapping[str, Any], ours: frozenset[str]) -> bool:
    """Whether it names somebody of an account that the environment does not know."""
    if names_everybody(statement.get("Principal")):
        return True
    accounts = set(filter(None, map(account_of, admitted(statement))))
    return bool(accounts - ours)


def _risk(sign: str, statement: Mapping[str, Any], ours: frozenset[str]) -> Risk:
    """More allowed, or less denied, is what needs a reader."""
    broader = (sign == "+") == (statement["Effect"] != "Deny")
    if not broader:
        return "low"
    if _is_wide(statement) or statement["Effect"] == "Deny":
        return "high"
    return "high" if ours and _is_foreign(statement, ours) else "medium"


def _of_a_new_one(line: Line, risk: Risk, ours: frozenset[str]) -> Risk:
    """What a new resource allows surprises less, unless nobody can read it or it is for others."""
    who = admitted(line[2])
    if line[1].operation == "create" and who and who <= {f"account {name}" for name in ours}:
        return "low"  # the account's own policies say who of it; a key's default policy is this
    if line[1].operation != "create" or risk != "medium":
        return "medium" if line[1].operation == "create" and line[2]["Effect"] == "?" else risk
    stranger = not ours and any(map(account_of, admitted(line[2])))
    return "medium" if stranger else "low"


def _reasons(found: list[Line], ours: frozenset[str]) -> Iterator[Reason]:
    """One reason per resource whose permissions grow."""
    by_urn: dict[str, list[Line]] = {}
    for line in found:
        by_urn.setdefault(line[1].urn, []).append(line)
    for urn, lines in by_urn.items():
        item = lines[0][1]
        risks = {
            id(line): _of_a_new_one(line, _risk(line[0], line[2], ours), ours) for line in lines
        }
        broader = [line for line in lines if (line[0] == "+") == (line[2]["Effect"] != "Deny")]
        if not broader:
            continue
        actions = sorted({str(action) for _, _, s in broader for action in s.get("Action", ())})
        who = sorted({name for _, _, s in broader for name in admitted(s)})
        yield Reason(
            rule=BROADENED,
            risk=max((risks[id(line)] for line in broader), key=RISKS.index),
            message=f"{item.name} allows more: {_some(actions)}"
            + (f", for {_some(who)}" if who else ""),
            fix="name the actions and the resources that are needed",
            urn=urn,
            source=item.source,
        )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
