"""The base of every part of the settings."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

RoleArn = Annotated[str, Field(pattern=r"^arn:aws[\w-]*:iam::\d{12}:role/.+$")]
"""A role, with its path."""


class Part(BaseModel):
    """One object of a stack file: frozen, and a key that it does not know is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
