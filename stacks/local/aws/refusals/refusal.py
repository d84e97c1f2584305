"""What a row of the table of refusals says."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from stacks.local.aws.refusals.account import Account

Request = Mapping[str, Any]
"""Members of a request, by their names in botocore's model."""

Condition = Callable[[Request, Account], Mapping[str, str] | None]
"""What the text of a refusal names, where a request is refused; None where it is not."""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A request that AWS refuses for the state of the account."""

    service: str
    """Name of the boto3 client."""

    operations: tuple[str, ...]
    condition: Condition
    code: str
    text: str
    """In AWS's words, with what the condition found in braces."""

    source: str
    """Where AWS, or whoever met it, says so."""

    status: int | None = None
    """HTTP status of the answer. Default: that of the service's model, or else 400."""
