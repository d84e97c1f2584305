"""What the stacks above a foundation build on: its parts, as they are seen from there."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from infra.access import Access, AccessArgs, RoleSpec, pass_roles
from infra.component import ComponentArgs, Statement, network_interfaces
from infra.keys import mount_volumes, read_keys, use_keys
from infra.naming import Names
from infra.spark import run_spark
from infra.tracking import log_runs
from stacks.contract import FoundationContract
from stacks.settings.environment import Environment

BUCKETS = ("artifacts", "data")
SAGEMAKER = "sagemaker.amazonaws.com"

TRACKED = "mlflow"
"""Folder of MLflow in the bucket of artifacts."""

ACTS_OUTSIDE_THE_VPC = ("features", "llm", "pipeline", "serving")
"""Roles of workloads with which SageMaker comes to the buckets from its own network."""


@dataclass(frozen=True)
class Base:
    """The foundation as a cluster or a workload meets it, and the stack's own roles."""

    common: ComponentArgs
    environment: Environment
    contract: FoundationContract
    access: Access

    @property
    def names(self) -> Names:
        return self.common.names

    @property
    def subnet_ids(self) -> pulumi.Output[list[str]]:
        """The private subnets, of all zones."""
        return pulumi.Output.all(*self.contract.private_subnet_ids.values())

    def key(self, purpose: str) -> pulumi.Input[str]:
        """ARN of the key with this purpose; KeyError names a purpose that has no key."""
        return self.contract.key_arns[purpose]

    def use_keys(self, *purposes: str) -> list[Statement]:
        """Encrypting and decrypting with the keys of these purposes."""
        return use_keys([self.key(purpose) for purpose in purposes])

    def read_keys(self, *purposes: str) -> list[Statement]:
        """Decrypting with the keys of these purposes."""
        return read_keys([self.key(purpose) for purpose in purposes])

    def mount_volumes(self, *purposes: str) -> list[Statement]:
        """Having volumes that the keys of these purposes encrypt."""
        return mount_volumes([self.key(purpose) for purpose in purposes])

    def attach(self) -> list[Statement]:
        """Putting jobs into the private subnets, with the jobs' group alone."""
        groups = [self.contract.job_security_group_id]
        return network_interfaces(self.names, self.subnet_ids, groups)

    def run_spark(self) -> list[Statement]:
        """Starting the jobs of the environment's Spark, where there is one, as its role."""
        application = self.contract.spark_application_arn
        if application is None:
            return []
        role = self.names.platform.role_arn("spark")
        return [*run_spark(application), *pass_roles([role], "emr-serverless.amazonaws.com")]

    def log_runs(self) -> list[Statement]:
        """Recording runs in MLflow, where they are recorded."""
        kind = self.contract.tracking_kind
        return [] if kind == "none" else log_runs(kind, self.contract.tracking_arn)


def base(
    common: ComponentArgs,
    environment: Environment,
    contract: FoundationContract,
    roles: Mapping[str, RoleSpec],
) -> Base:
    """The foundation that the contract offers, and roles below its boundary."""
    access = Access(
        "access",
        AccessArgs(
            names=common.names,
            tags=common.tags,
            roles=roles,
            permissions_boundary=contract.permissions_boundary_arn,
        ),
    )
    return Base(common, environment, contract, access)
