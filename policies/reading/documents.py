"""Policy documents of IAM and of resources, as rules read them."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from policies.data import Data

NARROWING = frozenset(
    (
        "aws:principalaccount", "aws:principalarn", "aws:principalorgid", "aws:principalorgpaths",
        "aws:sourceaccount", "aws:sourcearn", "aws:sourceorgid", "aws:sourceowner",
        "aws:sourcevpc", "aws:sourcevpce", "kms:calleraccount",
    )
)  # fmt: skip
"""Condition keys that say who may come: a policy for everybody with one of them is not public."""

WHOLE = frozenset(("*", "sns:Publish"))
"""Actions that stand for all that others may do: a policy of a topic cannot name sns:*."""


def statements(document: Data) -> list[Data]:
    """The statements of a document given as JSON text or as an object.

    A single one may stand without its list.
    """
    text = document.value
    parsed = Data(parse(text) if isinstance(text, str) else text, document.path)
    found = parsed.at("Statement")
    return [found] if isinstance(found.value, dict) else found.each()


@lru_cache(maxsize=4096)
def parse(text: str) -> Any:
    """A document, read once for all rules: none of them changes what it is shown."""
    return json.loads(text)


def strings(statement: Data, *keys: str) -> list[str]:
    """What stands at a key, which may be one text or a list of them."""
    value = statement.get(*keys)
    return [value] if isinstance(value, str) else list(value or ())


def condition_keys(statement: Data) -> set[str]:
    """The keys that the conditions compare, in lower case."""
    conditions: dict[str, Any] = statement.get("Condition") or {}
    return {key.lower() for compared in conditions.values() for key in compared}


def is_public(statement: Data) -> bool:
    """Whether everybody is allowed something, from any account."""
    if statement.get("Effect") != "Allow" or not _names_everybody(statement):
        return False
    return not condition_keys(statement) & NARROWING


def denies_plaintext(statement: Data) -> bool:
    """Whether everybody who does not use TLS is refused."""
    secure = statement.get("Condition", "Bool", "aws:SecureTransport")
    whole = any(action in WHOLE or action.endswith(":*") for action in strings(statement, "Action"))
    return (
        statement.get("Effect") == "Deny"
        and _names_everybody(statement)
        and whole
        and str(secure).lower() == "false"
    )


def _names_everybody(statement: Data) -> bool:
    principal = statement.get("Principal")
    if isinstance(principal, dict):
        return "*" in strings(statement, "Principal", "AWS")
    return bool(principal == "*")
