"""EC2: where instances are placed. No instance is."""

from stacks.local.aws.recorded.recorded import Recorded

KINDS = (
    Recorded(
        service="ec2",
        name="placement group",
        create="CreatePlacementGroup",
        describe="DescribePlacementGroups",
        delete="DeletePlacementGroup",
        key={"GroupName": "GroupName"},
        member="PlacementGroups",
        listed_by="GroupNames",
        made={
            "GroupId": "pg-{hash}",
            "GroupArn": "arn:aws:ec2:{region}:{account}:placement-group/{GroupName}",
        },
        sets={"State": "available"},
        arn="GroupId",
        tags="Tags",
        missing="InvalidPlacementGroup.Unknown",
        exists="InvalidPlacementGroup.Duplicate",
    ),
)
