"""The cluster and its GPU pools."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from stacks.settings.part import Part


class Scaling(Part):
    min_size: Annotated[int, Field(ge=0)]
    desired_size: Annotated[int, Field(ge=0)]
    max_size: Annotated[int, Field(ge=1)]

    @model_validator(mode="after")
    def _is_ordered(self) -> Scaling:
        if not self.min_size <= self.desired_size <= self.max_size:
            raise ValueError(
                "min_size <= desired_size <= max_size must hold, got "
                f"{self.min_size}, {self.desired_size}, {self.max_size}"
            )
        return self


class Cluster(Part):
    version: str
    system_instance_types: list[str]
    system_scaling: Scaling
    log_retention_days: int = 90


class GpuPool(Part):
    instance_type: str
    scaling: Scaling
    capacity_type: Literal["ON_DEMAND", "SPOT"] = "ON_DEMAND"
    disk_gib: Annotated[int, Field(ge=50)] = 200
