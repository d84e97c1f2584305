"""Account, network, keys, access and storage of an environment."""

from __future__ import annotations

import ipaddress
from typing import Annotated

from pydantic import Field, model_validator

from stacks.settings.part import Part


class Account(Part):
    """Where the environment lives. Names and ARNs are computed from it, not looked up."""

    account_id: Annotated[str, Field(pattern=r"^\d{12}$")]
    region: str = "us-east-1"


class Tags(Part):
    """Who owns and pays for every resource of the environment."""

    owner: str
    team: str
    cost_centre: str


class Network(Part):
    cidr_block: str
    availability_zones: Annotated[list[str], Field(min_length=2)]
    interface_endpoints: list[str]

    @model_validator(mode="after")
    def _has_room(self) -> Network:
        size = ipaddress.IPv4Network(self.cidr_block).prefixlen
        if not 16 <= size <= 20:
            raise ValueError(f"cidr_block must be a /16 to /20, got {self.cidr_block!r}")
        return self


class Keys(Part):
    deletion_window_days: Annotated[int, Field(ge=7, le=30)] = 30


class Storage(Part):
    noncurrent_days: Annotated[int, Field(ge=1)] = 90
