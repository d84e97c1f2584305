"""Policy documents of IAM and of resources, as rules read them."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from policies.data import Data
from policies.iam.patterns import like, matches_like, names_of
from policies.reading.principals import compared, is_narrowing, names_everybody

WHOLE = {"sns": "sns:publish"}
"""Service -> the action that stands for all others may do: a topic's policy cannot name sns:*."""


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


@lru_cache(4096)
def covered(patterns: frozenset[str], names: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the names that one of the patterns holds, as IAM compares actions, in no case.

    The same grants stand in many roles.
    """
    held = names_of(patterns, like, variables=False)
    return tuple(name for name in names if held.holds(name.lower()))


def condition_keys(statement: Data) -> set[str]:
    """The keys that the conditions compare, in lower case."""
    conditions: dict[str, Any] = statement.get("Condition") or {}
    return {key.lower() for compared in conditions.values() for key in compared}


def is_public(statement: Data) -> bool:
    """Whether everybody is allowed something, from any account, by what AWS calls public."""
    if statement.get("Effect") != "Allow":
        return False
    everybody = statement.has("NotPrincipal") or names_everybody(statement.get("Principal"))
    return everybody and not is_narrowing(statement.get("Condition"))


def denies_plaintext(statement: Data, service: str, inside: str = "") -> bool:
    """Whether everybody who does not use TLS is refused, whatever he asks of a service.

    A second condition would refuse some of them only. `inside`: what must be among the
    resources, where its name is known.
    """
    actions = {action.lower() for action in strings(statement, "Action")}
    return (
        statement.get("Effect") == "Deny"
        and names_everybody(statement.get("Principal"))
        and bool(actions & {"*", f"{service}:*", WHOLE.get(service)})
        and _is_of_plaintext(statement.get("Condition"))
        and any(_reaches(resource, inside) for resource in strings(statement, "Resource"))
    )


def _is_of_plaintext(conditions: Any) -> bool:
    """Whether these hold of every request without TLS: both operators do, a key has no case."""
    found = list(compared(conditions))
    return bool(found) and all(
        operator in ("bool", "boolifexists")
        and key == "aws:securetransport"
        and {str(value).lower() for value in values} == {"false"}
        for operator, key, values in found
    )


def _reaches(pattern: str, inside: str) -> bool:
    """Whether a pattern is of something, given without the partition, such as `s3:::b/a`."""
    bare = pattern.split(":", 2)[-1] if pattern.startswith("arn:") else pattern
    return not inside or matches_like(inside, bare)
