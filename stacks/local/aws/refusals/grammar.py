"""Documents that IAM does not take, as far as moto takes them: grammar, and who may stand where."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from stacks.local.aws.refusals.account import Account
from stacks.local.aws.refusals.refusal import Condition, Refusal, Request

MALFORMED = "MalformedPolicyDocument"
STATEMENT = frozenset(
    ("Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource",
     "NotResource", "Condition")
)  # fmt: skip
VERSIONS = ("2012-10-17", "2008-10-17")
TRUSTED = re.compile(
    r"sts:(\*|AssumeRole.*|SetContext|SetSourceIdentity|TagSession)", re.IGNORECASE
)
SID = re.compile(r"[0-9A-Za-z]*")

Problem = Callable[[Any], bool]


def _listed(document: Any) -> list[Any]:
    found = document.get("Statement") if isinstance(document, Mapping) else None
    return found if isinstance(found, list) else [found]


def _statements(document: Any) -> list[Mapping[str, Any]]:
    """Those that are objects; of others the syntax speaks."""
    return [one for one in _listed(document) if isinstance(one, Mapping)]


def _syntax(document: Any) -> bool:
    """Elements and values that the grammar has not (IAM user guide, grammar of the language)."""
    if not isinstance(document, Mapping) or set(document) - {"Version", "Id", "Statement"}:
        return True
    if document.get("Version", VERSIONS[1]) not in VERSIONS or "Statement" not in document:
        return True
    return any(
        not isinstance(one, Mapping)
        or set(one) - STATEMENT
        or one.get("Effect") not in ("Allow", "Deny")
        for one in _listed(document)
    )


def _has(*elements: str) -> Problem:
    return lambda document: any(set(elements) & set(one) for one in _statements(document))


def _lacks(*elements: str) -> Problem:
    return lambda document: any(not set(elements) & set(one) for one in _statements(document))


def _trusts_otherwise(document: Any) -> bool:
    """Actions of a trust policy that are none of STS's."""
    for one in _statements(document):
        actions = one.get("Action", [])
        for action in actions if isinstance(actions, list) else [actions]:
            if not TRUSTED.fullmatch(str(action)):
                return True
    return False


def _odd_sid(document: Any) -> bool:
    return any(not SID.fullmatch(str(one.get("Sid", ""))) for one in _statements(document))


def malformed(path: str, problem: Problem | None) -> Condition:
    """A document in the request has a problem; None: it is no JSON."""

    def condition(request: Request, account: Account) -> Mapping[str, str] | None:
        text = request.get(path)
        if not isinstance(text, str):
            return None
        try:
            document = json.loads(text)
        except ValueError:
            return {} if problem is None else None
        return {} if problem is not None and problem(document) else None

    return condition


IDENTITY: tuple[tuple[Problem | None, str], ...] = (
    (_has("Principal", "NotPrincipal"), "Policy document should not specify a principal."),
    (
        _odd_sid,
        "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular "
        "expression [0-9A-Za-z]*",
    ),
)
"""What moto does not find in identity policies; the rest of the grammar it does."""

TRUST_GRAMMAR: tuple[tuple[Problem | None, str], ...] = (
    (None, "This policy contains invalid Json"),
    (_syntax, "Syntax errors in policy."),
    (_has("Resource", "NotResource"), "Has prohibited field Resource"),
    (_lacks("Principal", "NotPrincipal"), "Missing required field Principal"),
    (_lacks("Action", "NotAction"), "Missing required field Action"),
    (_trusts_otherwise, "AssumeRole policy may only specify STS AssumeRole actions."),
)
"""In this order; moto looks at trust policies only where they are changed."""


def _grammar(
    operations: Mapping[str, str], problems: tuple[tuple[Problem | None, str], ...]
) -> tuple[Refusal, ...]:
    return tuple(
        Refusal(
            service="iam",
            operations=(operation,),
            condition=malformed(member, problem),
            code=MALFORMED,
            text=text,
            source="IAM user guide, grammar of the IAM JSON policy language; texts of IAM's API",
        )
        for operation, member in operations.items()
        for problem, text in problems
    )


GRAMMAR: tuple[Refusal, ...] = (
    *_grammar(
        dict.fromkeys(("CreatePolicy", "CreatePolicyVersion", "PutRolePolicy"), "PolicyDocument"),
        IDENTITY,
    ),
    *_grammar(
        {"CreateRole": "AssumeRolePolicyDocument", "UpdateAssumeRolePolicy": "PolicyDocument"},
        TRUST_GRAMMAR,
    ),
)
"""Documents that IAM does not take. Before whom they name is looked at."""
