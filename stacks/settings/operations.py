"""Policies and everything else that watches an environment."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stacks.settings.part import Part


class Policies(Part):
    production: bool = True
    """Mandatory rules for production apply. Default: they do."""

    capture_percent_min: Annotated[int, Field(ge=0, le=100)] = 0
