"""FSx for Lustre. Nothing can be mounted, and no file is imported or exported."""

from stacks.local.aws.recorded.recorded import Recorded

ARN = "arn:aws:fsx:{region}:{account}:"

KINDS = (
    Recorded(
        service="fsx",
        name="file system",
        create="CreateFileSystem",
        linked_service="fsx.amazonaws.com",
        describe="DescribeFileSystems",
        delete="DeleteFileSystem",
        key={"FileSystemId": "FileSystemId"},
        member="FileSystems",
        listed_by="FileSystemIds",
        made={
            "FileSystemId": "fs-{hash}",
            "DNSName": "fs-{hash}.fsx.{region}.amazonaws.com",
            "ResourceARN": ARN + "file-system/fs-{hash}",
            "OwnerId": "{account}",
        },
        sets={"Lifecycle": "AVAILABLE"},
        times=("CreationTime",),
        arn="ResourceARN",
        tags="Tags",
        missing="FileSystemNotFound",
    ),
    Recorded(
        service="fsx",
        name="data repository association",
        create="CreateDataRepositoryAssociation",
        describe="DescribeDataRepositoryAssociations",
        update=("UpdateDataRepositoryAssociation",),
        delete="DeleteDataRepositoryAssociation",
        key={"AssociationId": "AssociationId"},
        member="Associations",
        listed_by="AssociationIds",
        made={
            "AssociationId": "dra-{hash}",
            "ResourceARN": ARN + "association/{FileSystemId}/dra-{hash}",
        },
        sets={"Lifecycle": "AVAILABLE"},
        times=("CreationTime",),
        arn="ResourceARN",
        tags="Tags",
        missing="DataRepositoryAssociationNotFound",
    ),
)
