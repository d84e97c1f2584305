"""The kinds of the recorder, one module per service."""

from stacks.local.aws.recorded import (
    application_autoscaling,
    builds,
    costs,
    ec2,
    eks,
    elasticache,
    engines,
    fsx,
)
from stacks.local.aws.recorded.recorded import Recorded

MODULES = (application_autoscaling, builds, costs, ec2, eks, elasticache, engines, fsx)

KINDS: tuple[Recorded, ...] = tuple(kind for module in MODULES for kind in module.KINDS)
