"""A parallel file system for training: FSx for Lustre in front of the data bucket."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.component import Component, ComponentArgs

PORTS = ((988, 988), (1018, 1023))
"""What Lustre's clients and servers talk on (FSx for Lustre user guide, file system access
control with Amazon VPC)."""


@dataclass(frozen=True, kw_only=True)
class FileSystemArgs(ComponentArgs):
    """How large and fast it is, where it stands, and what it shows."""

    vpc_id: pulumi.Input[str]
    subnet_id: pulumi.Input[str]
    """One subnet: in the zone of the nodes that mount it, or every read crosses zones."""

    client_security_group_ids: Mapping[str, pulumi.Input[str]]
    """Groups of the nodes that mount it, by what they are."""

    bucket_name: pulumi.Input[str]
    """Its objects are files under `/data`."""

    kms_key_arn: pulumi.Input[str]

    storage_gib: int = 1200
    """1200, or a multiple of 2400 (FSx API, CreateFileSystem StorageCapacity). Default: 1200."""

    throughput_mbps_per_tib: int = 125
    """125, 250, 500 or 1000 MB/s for each TiB. Default: 125."""

    protect: bool = True
    """Refuse to delete it and keep it when the stack goes. Default: protected."""


class FileSystem(Component):
    """Persistent, compressed, encrypted; files come from the bucket and new ones go there.

    Deleting a file does not delete its object: training does not take data away from others.
    There are no backups, because the bucket holds what counts.
    """

    file_system_id: pulumi.Output[str]
    dns_name: pulumi.Output[str]
    mount_name: pulumi.Output[str]

    def __init__(
        self, name: str, args: FileSystemArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        system = aws.fsx.LustreFileSystem(
            f"{name}-lustre",
            deployment_type="PERSISTENT_2",
            file_system_type_version="2.15",
            storage_capacity=args.storage_gib,
            per_unit_storage_throughput=args.throughput_mbps_per_tib,
            data_compression_type="LZ4",
            kms_key_id=args.kms_key_arn,
            subnet_ids=args.subnet_id,
            security_group_ids=[self._security_group(args)],
            tags=self.tags("lustre"),
            opts=self.kept(args.protect),
        )
        aws.fsx.DataRepositoryAssociation(
            f"{name}-data",
            file_system_id=system.id,
            file_system_path="/data",
            data_repository_path=pulumi.Output.concat("s3://", args.bucket_name),
            batch_import_meta_data_on_create=True,
            delete_data_in_filesystem=False,
            s3={
                "auto_import_policy": {"events": ["NEW", "CHANGED", "DELETED"]},
                "auto_export_policy": {"events": ["NEW", "CHANGED"]},
            },
            tags=self.tags("lustre-data"),
            opts=self.child,
        )
        self.file_system_id = system.id
        self.dns_name = system.dns_name
        self.mount_name = system.mount_name
        self.seal()

    def _security_group(self, args: FileSystemArgs) -> pulumi.Output[str]:
        """Lustre's ports between its own servers, and between them and the clients."""
        group = aws.ec2.SecurityGroup(
            f"{self.component_name}-lustre",
            name=self.names.of("lustre"),
            description="FSx for Lustre",
            vpc_id=args.vpc_id,
            tags=self.tags("lustre"),
            opts=self.child,
        )
        for client, client_id in {"servers": group.id, **args.client_security_group_ids}.items():
            for ports in PORTS:
                self._rules(client, client_id, group.id, ports)
        return group.id

    def _rules(
        self,
        client: str,
        client_id: pulumi.Input[str],
        server_id: pulumi.Output[str],
        ports: tuple[int, int],
    ) -> None:
        """From a client to the servers on some ports, as both groups must say it."""
        first, last = ports
        role = f"lustre-{client}-{first}"
        aws.vpc.SecurityGroupIngressRule(
            f"{self.component_name}-{client}-{first}",
            security_group_id=server_id,
            referenced_security_group_id=client_id,
            ip_protocol="tcp",
            from_port=first,
            to_port=last,
            description=f"Lustre from {client}",
            tags=self.tags(role),
            opts=self.child,
        )
        aws.vpc.SecurityGroupEgressRule(
            f"{self.component_name}-{client}-{first}",
            security_group_id=client_id,
            referenced_security_group_id=server_id,
            ip_protocol="tcp",
            from_port=first,
            to_port=last,
            description=f"Lustre from {client}",
            tags=self.tags(role),
            opts=self.child,
        )
