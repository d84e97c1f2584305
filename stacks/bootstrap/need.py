"""One thing that an account must have before the first stack of an environment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

NOT_THERE = "does not exist"


@dataclass(frozen=True, kw_only=True)
class Need:
    """Something that must exist: how to see whether it does, and how to make it so."""

    name: str
    why: str
    missing: Callable[[], list[str]]
    """What is not as it must be, each as a line; empty once all is."""

    make: Callable[[], None]
    """Mends all of `missing`; called again, after being cut off too, it goes on where it was."""

    delete: Callable[[], str] | None = None
    """Deletes it and says what became of it. Default: it stays, others of the account use it."""


def contains(got: Any, wanted: Any) -> bool:
    """Whether an answer says what is wanted; AWS adds members to what it was given."""
    if isinstance(wanted, dict):
        return isinstance(got, dict) and all(
            key in got and contains(got[key], value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(got, list)
            and len(got) == len(wanted)
            and all(contains(*pair) for pair in zip(got, wanted, strict=True))
        )
    return bool(got == wanted)


def answer(call: Callable[..., Any], **request: Any) -> Any:
    """What AWS answers; None where it says that there is none."""
    try:
        return call(**request)
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        code = error.response["Error"]["Code"]
        if status == 404 or code in ("NotFoundException", "NoSuchEntity"):
            return None
        raise
