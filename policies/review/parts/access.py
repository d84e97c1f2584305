"""Who may do more or less: statements of IAM, resource and trust policies that come and go."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from policies.data import UNKNOWN, Resource
from policies.review.model import Change, StackChange
from policies.review.report import Context, Reason, Risk, Row, Section

BROADENED = "RV-003"

DOCUMENTS: Mapping[str, tuple[str, ...]] = {
    "aws:ecr/repositoryPolicy:RepositoryPolicy": ("policy",),
    "aws:iam/groupPolicy:GroupPolicy": ("policy",),
    "aws:iam/policy:Policy": ("policy",),
    "aws:iam/role:Role": ("assumeRolePolicy",),
    "aws:iam/rolePolicy:RolePolicy": ("policy",),
    "aws:iam/userPolicy:UserPolicy": ("policy",),
    "aws:kms/key:Key": ("policy",),
    "aws:s3/bucketPolicy:BucketPolicy": ("policy",),
    "aws:sagemaker/modelPackageGroupPolicy:ModelPackageGroupPolicy": ("resourcePolicy",),
    "aws:sns/topicPolicy:TopicPolicy": ("policy",),
    "aws:sqs/queuePolicy:QueuePolicy": ("policy",),
    "aws:secretsmanager/secretPolicy:SecretPolicy": ("policy",),
}
"""Type -> its properties that hold a policy document."""

ATTACHMENTS: Mapping[str, str] = {
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": "policyArn",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": "policyArn",
    "aws:iam/userPolicyAttachment:UserPolicyAttachment": "policyArn",
}
"""Type -> its property that names a whole policy."""

KEYS = ("Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource")


def part(change: StackChange, context: Context) -> Section | None:
    """One row per statement that is added or removed."""
    del context
    found = [line for item in change.changed() for line in _lines(item)]
    if not found:
        return None
    rows = [
        Row(
            cells=(sign, item.name, statement["Effect"], *_who(statement)),
            risk=_risk(sign, statement),
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
        reasons=list(_reasons(found)),
    )


Line = tuple[str, Change, dict[str, Any]]


def _lines(item: Change) -> Iterator[Line]:
    for name in DOCUMENTS.get(item.type, ()):
        before, after = (statements(side, name) for side in (item.old, item.new))
        yield from (("+", item, before_or_after) for before_or_after in _without(after, before))
        yield from (("-", item, before_or_after) for before_or_after in _without(before, after))
    name = ATTACHMENTS.get(item.type, "")
    if name:
        for sign, one, other in (("+", item.new, item.old), ("-", item.old, item.new)):
            policy = one.inputs.value.get(name) if one else None
            if policy is not None and (other is None or other.inputs.value.get(name) != policy):
                shown = "known after the update" if policy is UNKNOWN else str(policy)
                yield sign, item, {"Effect": "Allow", "Action": [f"everything in {shown}"]}


def _without(some: list[dict[str, Any]], others: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    known = {_text(statement) for statement in others}
    yield from (statement for statement in some if _text(statement) not in known)


def statements(resource: Resource | None, name: str) -> list[dict[str, Any]]:
    """The statements of a document, each in one spelling; an unknown document is one of its own."""
    value = resource.inputs.value.get(name) if resource else None
    if value is None:
        return []
    if value is UNKNOWN:
        return [{"Effect": "?", "Action": ["known after the update"]}]
    try:
        document = json.loads(value) if isinstance(value, str) else value
        listed = document.get("Statement", [])
        listed = [listed] if isinstance(listed, Mapping) else listed
        return [_normal(statement) for statement in listed]
    except (AttributeError, TypeError, ValueError):
        return [{"Effect": "?", "Action": ["not a policy document"]}]


def _normal(statement: Mapping[str, Any]) -> dict[str, Any]:
    """One spelling: lists where a single text may stand, sorted; without the Sid."""
    normal = {"Effect": "Allow"} | {key: statement[key] for key in statement if key != "Sid"}
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


def _is_wide(statement: Mapping[str, Any]) -> bool:
    actions, resources = statement.get("Action", ()), statement.get("Resource", ())
    everybody = statement.get("Principal") in ("*", {"AWS": "*"})
    return (
        "NotAction" in statement
        or everybody
        or any(action == "*" or action.endswith(":*") for action in actions)
        or ("*" in resources and "Condition" not in statement)
    )


def _risk(sign: str, statement: Mapping[str, Any]) -> Risk:
    """More allowed, or less denied, is what needs a reader."""
    broader = (sign == "+") == (statement["Effect"] != "Deny")
    if not broader:
        return "low"
    return "high" if _is_wide(statement) or statement["Effect"] == "Deny" else "medium"


def _reasons(found: list[Line]) -> Iterator[Reason]:
    """One reason per resource whose permissions grow; those of a new resource surprise less."""
    by_urn: dict[str, list[Line]] = {}
    for line in found:
        by_urn.setdefault(line[1].urn, []).append(line)
    for urn, lines in by_urn.items():
        item = lines[0][1]
        broader = [line for line in lines if _risk(line[0], line[2]) != "low"]
        wide = [line for line in broader if _risk(line[0], line[2]) == "high"]
        if not broader:
            continue
        actions = sorted({action for _, _, s in broader for action in s.get("Action", ())})
        risk: Risk = "high" if wide else "low" if item.operation == "create" else "medium"
        yield Reason(
            rule=BROADENED,
            risk=risk,
            message=f"{item.name} allows more: {', '.join(map(str, actions[:5]))}"
            + (f" and {len(actions) - 5} more" if len(actions) > 5 else ""),
            fix="name the actions and the resources that are needed",
            urn=urn,
            source=item.source,
        )
