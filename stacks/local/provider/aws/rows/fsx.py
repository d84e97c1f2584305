"""Lustre file systems and the buckets that they show as files."""

from typing import Any

from stacks.local.provider.aws.row import Call, Missing, Row, Tags, Wait, returned
from stacks.local.provider.backend import Properties

TAGS = Tags(
    add="TagResource", remove="UntagResource", keys="TagKeys", key={"ResourceARN": "{ResourceARN}"}
)
WAIT = Wait(
    status="Lifecycle", good=("AVAILABLE",), bad=("FAILED",), reason="FailureDetails.Message"
)


def shrinks(before: Any, after: Any, old: Properties) -> bool:
    """A file system grows in place, but for the scratch ones of the first generation."""
    return float(after or 0) < float(before or 0) or old.get("deploymentType") == "SCRATCH_1"


ROWS = (
    Row(
        token="aws:fsx/dataRepositoryAssociation:DataRepositoryAssociation",
        service="fsx",
        cfn="AWS::FSx::DataRepositoryAssociation",
        create=Call("CreateDataRepositoryAssociation"),
        read=Call(
            "DescribeDataRepositoryAssociations",
            key={"AssociationIds": ["{id}"]},
            result="Associations[0]",
        ),
        update=(Call("UpdateDataRepositoryAssociation", ("importedFileChunkSize", "s3")),),
        delete=Call("DeleteDataRepositoryAssociation", ("deleteDataInFilesystem",)),
        identity=returned("Association.AssociationId"),
        key={"AssociationId": "{id}"},
        rename={
            "batchImportMetaDataOnCreate": "BatchImportMetaDataOnCreate",
            "deleteDataInFilesystem": "DeleteDataInFileSystem",
        },
        write_only=("deleteDataInFilesystem",),
        computed=("importedFileChunkSize",),
        defaults={"batchImportMetaDataOnCreate": False},
        replace_on=(
            "batchImportMetaDataOnCreate",
            "dataRepositoryPath",
            "fileSystemId",
            "fileSystemPath",
        ),
        outputs={"arn": "ResourceARN", "associationId": "AssociationId"},
        tags=TAGS,
        missing=(Missing("DataRepositoryAssociationNotFound"),),
        wait=WAIT,
        fidelity="recorded only: no file is imported or exported",
    ),
    Row(
        token="aws:fsx/lustreFileSystem:LustreFileSystem",
        service="fsx",
        cfn="AWS::FSx::FileSystem",
        create=Call(
            "CreateFileSystem",
            omits=(
                "fileSystemType",
                "networkType",
                "ontapConfiguration",
                "openZfsConfiguration",
                "windowsConfiguration",
            ),
            fixed={"FileSystemType": "LUSTRE"},
        ),
        read=Call("DescribeFileSystems", key={"FileSystemIds": ["{id}"]}, result="FileSystems[0]"),
        delete=Call("DeleteFileSystem"),
        identity=returned("FileSystem.FileSystemId"),
        key={"FileSystemId": "{id}"},
        body="LustreConfiguration",
        rename={"subnetIds": "SubnetIds[0]"},  # a file system stands in one
        provider_only=("finalBackupTags", "skipFinalBackup"),
        write_only=("securityGroupIds",),
        computed=("fileSystemTypeVersion", "kmsKeyId", "storageType", "weeklyMaintenanceStartTime"),
        defaults={"automaticBackupRetentionDays": 0, "copyTagsToBackups": False},
        replace_on=(
            "automaticBackupRetentionDays",
            "copyTagsToBackups",
            "dataCompressionType",
            "deploymentType",
            "fileSystemTypeVersion",
            "kmsKeyId",
            "perUnitStorageThroughput",
            "securityGroupIds",
            "storageCapacity",
            "storageType",
            "subnetIds",
            "weeklyMaintenanceStartTime",
        ),
        # terraform-provider-aws, fsx/lustre_file_system.go
        official={
            "automaticBackupRetentionDays": False,
            "dataCompressionType": False,
            "storageCapacity": shrinks,
            "weeklyMaintenanceStartTime": False,
        },
        refuses=(
            "autoImportPolicy",
            "backupId",
            "dailyAutomaticBackupStartTime",
            "dataReadCacheConfiguration",
            "driveCacheType",
            "efaEnabled",
            "exportPath",
            "importPath",
            "importedFileChunkSize",
            "logConfiguration",
            "metadataConfiguration",
            "rootSquashConfiguration",
            "throughputCapacity",
        ),
        outputs={
            "arn": "ResourceARN",
            "dnsName": "DNSName",
            "mountName": "'recorded'",  # AWS makes one up; nothing can be mounted here
            "ownerId": "OwnerId",
        },
        tags=TAGS,
        missing=(Missing("FileSystemNotFound"),),
        wait=WAIT,
        fidelity="recorded only: nothing can be mounted",
    ),
)
