"""Whom a statement lets in, as a set: public is what AWS calls public.

A condition narrows by what its operator and its values allow, never by the presence of a key: an
operator with `IfExists` or `ForAllValues` lets those in who do not send the key, and a value like
`*` lets everybody in (IAM user guide, Access Analyzer's and S3's "The meaning of public").
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from policies.data import UNKNOWN
from policies.reading.networks import is_internet, network

WHO = frozenset(
    (
        "aws:principalaccount", "aws:principalarn", "aws:principalorgid", "aws:principalorgpaths",
        "aws:sourceaccount", "aws:sourcearn", "aws:sourceip", "aws:sourceorgid",
        "aws:sourceorgpaths", "aws:sourceowner", "aws:sourcevpc", "aws:sourcevpce",
        "aws:sourcevpcarn", "aws:userid", "kms:calleraccount", "s3:dataaccesspointaccount",
        "s3:dataaccesspointarn", "lambda:sourcefunctionarn", "elasticfilesystem:accesspointarn",
        "saml:aud", "cognito-identity.amazonaws.com:aud",
    )
)  # fmt: skip
"""Condition keys that say who may come, in lower case."""

NARROWS = frozenset(
    ("stringequals", "stringequalsignorecase", "stringlike", "arnequals", "arnlike", "ipaddress")
)
"""Operators that let in only what they name, in lower case."""

PATTERNS = frozenset(("stringlike", "arnlike", "arnequals"))
"""Those of them whose values may hold wildcards."""

EVERYBODY = "everybody"
_ACCOUNT = re.compile(r"(\d{12})|arn:[\w-]+:iam::(\d{12}):root")
_ARN_ACCOUNT = re.compile(r"arn:[\w-]+:[\w-]*:[\w-]*:(\d{12}):")


def listed(value: Any) -> list[Any]:
    """What may stand alone or in a list."""
    return [] if value is None else list(value) if isinstance(value, list | tuple) else [value]


def certain(value: Any) -> list[Any]:
    """Those of them that are known before the update."""
    return [each for each in listed(value) if each is not UNKNOWN]


def compared(conditions: Any) -> Iterator[tuple[str, str, list[Any]]]:
    """Operator and key in lower case, and the values of every comparison."""
    if isinstance(conditions, Mapping):
        for operator, keys in conditions.items():
            for key, values in keys.items() if isinstance(keys, Mapping) else ():
                yield str(operator).lower(), str(key).lower(), listed(values)


def is_narrowing(conditions: Any, among: frozenset[str] = WHO) -> bool:
    """Whether these conditions let in only somebody who is named, by one of these keys."""
    return any(
        _names(operator.removeprefix("foranyvalue:"), values)
        for operator, key, values in compared(conditions)
        if key in among
    )


HOW = frozenset(
    (
        "aws:currenttime", "aws:epochtime", "aws:multifactorauthpresent", "aws:referer",
        "aws:requestedregion", "aws:securetransport", "aws:useragent", "s3:authtype",
        "s3:signatureversion", "s3:tlsversion",
    )
)  # fmt: skip
"""Condition keys that say how or when somebody asks, and neither who nor of what, in lower case."""


def has_effect(conditions: Any) -> bool:
    """Whether these leave out some of what, or some of whom, a statement is about."""
    return any(
        operator.removeprefix("foranyvalue:") in NARROWS
        and key not in HOW
        and bool(values)
        and all(str(value).strip("*?") for value in values)
        for operator, key, values in compared(conditions)
    )


def _names(operator: str, values: list[Any]) -> bool:
    if operator not in NARROWS or not values:
        return False
    if operator == "ipaddress":
        found = [network(str(value)) for value in values]
        return all(each is not None and not is_internet([each]) for each in found)
    if any("${" in str(value) for value in values):
        return False  # a variable is what the caller brings
    return operator not in PATTERNS or all(_is_fixed(str(value)) for value in values)


def _is_fixed(value: str) -> bool:
    """Whether a pattern names one account, organisation or resource, whatever it leaves open."""
    if not value.startswith("arn:"):
        head = value.partition("/")[0]
        return bool(head) and "*" not in head and "?" not in head
    parts = (value.split(":", 5) + [""] * 6)[:6]
    account, resource = parts[4], parts[5]
    if "*" in account or "?" in account:
        return False
    named = resource.partition("/")[0]
    return bool(account) or (bool(named) and "*" not in named and "?" not in named)


def is_public(statement: Mapping[str, Any]) -> bool:
    """Whether everybody is allowed something, from any account."""
    if statement.get("Effect", "Allow") != "Allow":
        return False
    everybody = "NotPrincipal" in statement or names_everybody(statement.get("Principal"))
    return everybody and not is_narrowing(statement.get("Condition"))


def names_everybody(principal: Any) -> bool:
    """Whether this is anybody, in one of the spellings that IAM takes."""
    sides = principal.values() if isinstance(principal, Mapping) else [principal]
    return any("*" in listed(side) for side in sides)


def admitted(statement: Mapping[str, Any]) -> frozenset[str]:
    """Whom a statement names, each in one spelling; nobody where it is about its own identity."""
    if "NotPrincipal" in statement:
        return frozenset((f"{EVERYBODY} but some",))
    principal = statement.get("Principal")
    if principal is None:
        return frozenset()
    if not isinstance(principal, Mapping):
        principal = {"AWS": principal}
    return frozenset(
        _spelled(str(kind), value) for kind, side in principal.items() for value in listed(side)
    )


def _spelled(kind: str, value: Any) -> str:
    if value is UNKNOWN:
        return "somebody known after the update"
    if value == "*":
        return EVERYBODY
    if kind == "AWS":
        found = _ACCOUNT.fullmatch(str(value))
        return f"account {found[1] or found[2]}" if found else str(value)
    return f"{kind.lower()} {value}"


def account_of(who: str) -> str:
    """The account of a principal as `admitted` spells it; empty where it has none."""
    found = _ARN_ACCOUNT.match(who)
    return found[1] if found else who.removeprefix("account ") if who[:8] == "account " else ""
