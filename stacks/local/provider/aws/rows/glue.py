"""The Glue data catalogue."""

from stacks.local.provider.aws.row import Call, Missing, Row, Tags, named

ARN = "arn:aws:glue:{region}:{account}:database/{id}"

ROWS = (
    Row(
        token="aws:glue/catalogDatabase:CatalogDatabase",
        service="glue",
        cfn="AWS::Glue::Database",
        create=Call("CreateDatabase"),
        read=Call("GetDatabase", key={"Name": "{id}"}, result="{DatabaseInput: Database}"),
        also=(Call("GetTags", key={"ResourceArn": ARN}),),
        update=(
            Call(
                "UpdateDatabase",
                ("description", "locationUri", "name", "parameters"),
                key={"Name": "{id}"},
            ),
        ),
        delete=Call("DeleteDatabase", key={"Name": "{id}"}),
        identity=named("name"),
        body="DatabaseInput",
        defaults={"description": ""},
        replace_on=("name",),
        refuses=(
            "catalogId",
            "createTableDefaultPermissions",
            "federatedDatabase",
            "targetDatabase",
        ),
        outputs={"arn": ARN},
        tags=Tags(
            add="TagResource",
            remove="UntagResource",
            member="TagsToAdd",
            keys="TagsToRemove",
            key={"ResourceArn": ARN},
        ),
        missing=(Missing("EntityNotFoundException"),),
        fidelity="behaves: databases, tables and partitions are kept, crawlers of S3 write them",
    ),
)
