"""What a program of a service acts with: the session of a role."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


class CannotAct(Exception):
    """A service may not act as a role; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Acting:
    """A session of a role."""

    environment: Mapping[str, str]
    """Variables with which any AWS client signs as the role."""

    client: Callable[[str], Any]
    """Service -> a boto3 client of the local cloud that signs as the role."""

    @property
    def s3(self) -> Any:
        return self.client("s3")
