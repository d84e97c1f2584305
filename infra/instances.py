"""Facts about the instance types that this blueprint offers, as EC2 describes them.

Taken from EC2's DescribeInstanceTypes as bundled with moto; `tests/test_infra.py` compares every
row with it. Add a row to offer another type.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class InstanceType:
    """What scheduling and encryption must know about an instance type."""

    gpus: int
    gpu_name: str
    local_nvme: bool
    """SageMaker refuses a volume key on types with local NVMe storage (CreateEndpointConfig)."""


INSTANCE_TYPES: dict[str, InstanceType] = {
    "c6i.xlarge": InstanceType(0, "", False),
    "c6i.2xlarge": InstanceType(0, "", False),
    "g4dn.xlarge": InstanceType(1, "T4", True),
    "g5.xlarge": InstanceType(1, "A10G", True),
    "g5.12xlarge": InstanceType(4, "A10G", True),
    "g6.xlarge": InstanceType(1, "L4", True),
    "g6.12xlarge": InstanceType(4, "L4", True),
    "m5.large": InstanceType(0, "", False),
    "m5.xlarge": InstanceType(0, "", False),
    "m6i.large": InstanceType(0, "", False),
    "m6i.xlarge": InstanceType(0, "", False),
    "p4d.24xlarge": InstanceType(8, "A100", True),
    "p5.48xlarge": InstanceType(8, "H100", True),
    "t3.medium": InstanceType(0, "", False),
}


def instance_type(name: str) -> InstanceType:
    """Facts about an EC2 (`g5.xlarge`) or SageMaker (`ml.g5.xlarge`) instance type.

    Raises KeyError for a type without a row.
    """
    return INSTANCE_TYPES[name.removeprefix("ml.")]
