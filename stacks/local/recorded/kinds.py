"""The kinds of the recorder, one module per service."""

from stacks.local.recorded import (
    application_autoscaling,
    costs,
    ec2,
    eks,
    elasticache,
    engines,
    fsx,
)
from stacks.local.recorded.kind import Recorded

MODULES = (application_autoscaling, costs, ec2, eks, elasticache, engines, fsx)

KINDS: tuple[Recorded, ...] = tuple(kind for module in MODULES for kind in module.KINDS)
