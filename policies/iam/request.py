"""What IAM decides about: who wants to do what to which resource, and what else is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from policies.data import UNKNOWN

Kind = Literal["user", "session", "root", "service", "federated", "anonymous"]
"""Who calls: an IAM user (also through GetSessionToken), a session of a role or of a federated
user, an account's root, a service, an identity of an outer provider, nobody that signs."""

Values = tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Principal:
    """Who makes a request."""

    kind: Kind
    arn: str
    """ARN as AWS tells it; of a service its name (`sns.amazonaws.com`), of an outer identity its
    provider."""

    account: str = ""
    """Default: it belongs to none."""

    entity: str = ""
    """ARN of the role, or of the user who federated, whose session it is. Default: `arn` itself."""

    service_linked: bool = False
    """Whether SCPs leave it alone (Organizations user guide, "Tasks and entities not restricted by
    SCPs")."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One request, on one resource."""

    principal: Principal
    action: str
    account: str
    """Account that the resource belongs to."""

    resource: Any = "*"
    """ARN; UNKNOWN where the one who asks cannot tell it."""

    context: Mapping[str, Any] = field(default_factory=dict)
    """Condition key in lower case -> its values (see `keys`). A key that is missing is not in
    the request; one that may be there holds UNKNOWN."""


def keys(values: Mapping[str, Any]) -> dict[str, Any]:
    """Condition keys as a request holds them: names in lower case, values as tuples of texts."""
    return {name.lower(): _texts(value) for name, value in values.items()}


def _texts(value: Any) -> Any:
    if value is UNKNOWN:
        return value
    listed = value if isinstance(value, list | tuple | set | frozenset) else (value,)
    return tuple(text(item) for item in listed)


def text(value: Any) -> str:
    """A value as policies write it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
