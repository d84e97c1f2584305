"""Detection of unusual costs, and the tags that costs are told apart by."""

from stacks.local.provider.aws.row import ALL, Call, Missing, Row, Tags, named, returned

RECORDED = "recorded only: nothing costs anything here, nobody is told and nothing is stopped"


def tags() -> Tags:
    """Cost Explorer tags by ARN, which is also the id."""
    return Tags(
        create="ResourceTags",
        add="TagResource",
        remove="UntagResource",
        member="ResourceTags",
        keys="ResourceTagKeys",
        key={"ResourceArn": "{id}"},
        path="ResourceTags",
    )


LIST_TAGS = Call("ListTagsForResource", key={"ResourceArn": "{id}"})

ROWS = (
    Row(
        token="aws:costexplorer/anomalyMonitor:AnomalyMonitor",
        service="ce",
        cfn="AWS::CE::AnomalyMonitor",
        create=Call(
            "CreateAnomalyMonitor",
            omits=(
                "creationDate",
                "dimensionalValueCount",
                "lastEvaluatedDate",
                "lastUpdatedDate",
                "monitorArn",
                "resourceTags",
            ),
        ),
        read=Call(
            "GetAnomalyMonitors",
            key={"MonitorArnList": ["{id}"]},
            result="AnomalyMonitors[0]",
            into="AnomalyMonitor",
        ),
        also=(LIST_TAGS,),
        update=(Call("UpdateAnomalyMonitor", ("name",)),),
        delete=Call("DeleteAnomalyMonitor"),
        identity=returned("MonitorArn"),
        key={"MonitorArn": "{id}"},
        body="AnomalyMonitor",
        rename={"name": "MonitorName"},
        write_only=("monitorSpecification",),
        occupies=("name",),
        replace_on=("monitorDimension", "monitorSpecification", "monitorType"),
        outputs={"arn": "{id}"},
        tags=tags(),
        missing=(Missing("UnknownMonitorException"),),
        fidelity=RECORDED,
    ),
    Row(
        token="aws:costexplorer/anomalySubscription:AnomalySubscription",
        service="ce",
        cfn="AWS::CE::AnomalySubscription",
        create=Call(
            "CreateAnomalySubscription", omits=("resourceTags", "subscriptionArn", "threshold")
        ),
        read=Call(
            "GetAnomalySubscriptions",
            key={"SubscriptionArnList": ["{id}"]},
            result="AnomalySubscriptions[0]",
            into="AnomalySubscription",
        ),
        also=(LIST_TAGS,),
        update=(
            Call(
                "UpdateAnomalySubscription",
                ("frequency", "monitorArnLists", "name", "subscribers", "thresholdExpression"),
            ),
        ),
        delete=Call("DeleteAnomalySubscription"),
        identity=returned("SubscriptionArn"),
        key={"SubscriptionArn": "{id}"},
        body="AnomalySubscription",
        rename={
            "name": "SubscriptionName",
            "costCategory": "CostCategories",
            "dimension": "Dimensions",
        },
        occupies=("name",),
        official={"name": True},  # ForceNew (terraform-provider-aws, ce/anomaly_subscription.go)
        refuses=("accountId",),
        outputs={"arn": "{id}"},
        tags=tags(),
        missing=(Missing("UnknownSubscriptionException"),),
        fidelity=RECORDED,
    ),
    Row(
        token="aws:costexplorer/costAllocationTag:CostAllocationTag",
        service="ce",
        cfn="",
        create=Call("UpdateCostAllocationTagsStatus"),
        read=Call(
            "ListCostAllocationTags",
            key={"TagKeys": ["{tagKey}"]},
            result="CostAllocationTags[0]",
            into="CostAllocationTagsStatus",
        ),
        update=(Call("UpdateCostAllocationTagsStatus", ALL),),
        # a tag is never deleted: AWS has seen it in a bill
        delete=Call(
            "UpdateCostAllocationTagsStatus",
            fixed={"CostAllocationTagsStatus": [{"TagKey": "{id}", "Status": "Inactive"}]},
        ),
        identity=named("tagKey"),
        key={},
        body="CostAllocationTagsStatus[0]",
        replace_on=("tagKey",),
        outputs={"type": "CostAllocationTagsStatus.Type"},
        missing=(),
        fidelity="recorded only: a tag need not be in a bill, and nothing is billed by it",
    ),
)
