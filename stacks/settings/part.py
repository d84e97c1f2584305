"""The base of every part of the settings."""

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """One object of a stack file: frozen, and a key that it does not know is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
