"""Facts about the instance types that this blueprint offers, as EC2 describes them.

Taken from EC2's DescribeInstanceTypes as bundled with moto; `tests/infra/test_compute.py` compares
every row with it. Add a row to offer another type.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class InstanceType:
    """What scheduling, networking and encryption must know about an instance type."""

    gpus: int
    gpu_name: str

    gpu_memory_mib: int
    """Of one GPU."""

    vcpus: int
    memory_gib: int

    nvme_gb: int
    """Local NVMe storage; 0: none."""

    efa_interfaces: int
    """EFA devices, at most one per network card; 0: the type has no EFA."""

    capacity_blocks: bool = False
    """Offered as Capacity Blocks for ML."""

    @property
    def local_nvme(self) -> bool:
        """SageMaker refuses a volume key on types with local NVMe storage (CreateEndpointConfig).

        On nodes it becomes one RAID 0 array.
        """
        return self.nvme_gb > 0


INSTANCE_TYPES: dict[str, InstanceType] = {
    "c6i.2xlarge": InstanceType(0, "", 0, 8, 16, 0, 0),
    "c6i.xlarge": InstanceType(0, "", 0, 4, 8, 0, 0),
    "g4dn.12xlarge": InstanceType(4, "T4", 16384, 48, 192, 900, 1),
    "g4dn.xlarge": InstanceType(1, "T4", 16384, 4, 16, 125, 0),
    "g5.12xlarge": InstanceType(4, "A10G", 22888, 48, 192, 3800, 1),
    "g5.2xlarge": InstanceType(1, "A10G", 22888, 8, 32, 450, 0),
    "g5.48xlarge": InstanceType(8, "A10G", 22888, 192, 768, 7600, 1),
    "g5.xlarge": InstanceType(1, "A10G", 22888, 4, 16, 250, 0),
    "g6.12xlarge": InstanceType(4, "L4", 22888, 48, 192, 3760, 1),
    "g6.2xlarge": InstanceType(1, "L4", 22888, 8, 32, 450, 0),
    "g6.48xlarge": InstanceType(8, "L4", 22888, 192, 768, 7520, 1),
    "g6.xlarge": InstanceType(1, "L4", 22888, 4, 16, 250, 0),
    "g6e.12xlarge": InstanceType(4, "L40S", 45776, 48, 384, 3800, 1),
    "g6e.2xlarge": InstanceType(1, "L40S", 45776, 8, 64, 450, 0),
    "g6e.48xlarge": InstanceType(8, "L40S", 45776, 192, 1536, 7600, 4),
    "g6e.xlarge": InstanceType(1, "L40S", 45776, 4, 32, 250, 0),
    "m5.2xlarge": InstanceType(0, "", 0, 8, 32, 0, 0),
    "m5.large": InstanceType(0, "", 0, 2, 8, 0, 0),
    "m5.xlarge": InstanceType(0, "", 0, 4, 16, 0, 0),
    "m6i.2xlarge": InstanceType(0, "", 0, 8, 32, 0, 0),
    "m6i.large": InstanceType(0, "", 0, 2, 8, 0, 0),
    "m6i.xlarge": InstanceType(0, "", 0, 4, 16, 0, 0),
    "p4d.24xlarge": InstanceType(8, "A100", 40960, 96, 1152, 8000, 4, True),
    "p4de.24xlarge": InstanceType(8, "A100", 81920, 96, 1152, 8000, 4, True),
    "p5.48xlarge": InstanceType(8, "H100", 81920, 192, 2048, 30400, 32, True),
    "p5.4xlarge": InstanceType(1, "H100", 81920, 16, 256, 3800, 1, True),
    "p5e.48xlarge": InstanceType(8, "H200", 144384, 192, 2048, 30400, 32, True),
    "p5en.48xlarge": InstanceType(8, "H200", 144384, 192, 2048, 30400, 16, True),
    "p6-b200.48xlarge": InstanceType(8, "B200", 183359, 192, 2048, 30400, 8, True),
    "t3.medium": InstanceType(0, "", 0, 2, 4, 0, 0),
}

MIG_GPUS = {
    "p4d.24xlarge": "a100.40gb",
    "p4de.24xlarge": "a100.80gb",
    "p5.48xlarge": "h100.80gb",
    "p5.4xlarge": "h100.80gb",
    "p5e.48xlarge": "h200.141gb",
    "p5en.48xlarge": "h200.141gb",
}
"""Types whose GPUs can be cut -> the GPU as Bottlerocket's MIG settings call it."""

MIG_PROFILES = {
    "a100.40gb": {"1g.5gb": 7, "2g.10gb": 3, "3g.20gb": 2},
    "a100.80gb": {"1g.10gb": 7, "2g.20gb": 3, "3g.40gb": 2},
    "h100.80gb": {"1g.10gb": 7, "2g.20gb": 3, "3g.40gb": 2},
    "h200.141gb": {"1g.18gb": 7, "2g.35gb": 3, "3g.71gb": 2},
}
"""GPU -> profile -> how many equal slices of it one GPU gives (NVIDIA MIG user guide)."""


def instance_type(name: str) -> InstanceType:
    """Facts about an EC2 (`g5.xlarge`) or SageMaker (`ml.g5.xlarge`) instance type.

    Raises KeyError for a type without a row.
    """
    return INSTANCE_TYPES[name.removeprefix("ml.")]


def schedulable_gpus(name: str, *, mig_profile: str | None = None, replicas: int = 1) -> int:
    """How many `nvidia.com/gpu` one node of the type offers, after MIG or time-slicing."""
    slices = MIG_PROFILES[MIG_GPUS[name]][mig_profile] if mig_profile else 1
    return INSTANCE_TYPES[name].gpus * slices * replicas
