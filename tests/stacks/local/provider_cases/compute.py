"""Cases of what a cluster has beside node groups, and of how GPU capacity is placed."""

from tests.stacks.local.provider_cases.case import CLUSTER, RETAGGED, ROLE, TAGS, Case, Ref

CASES: dict[str, Case] = {
    "aws:ec2/placementGroup:PlacementGroup": Case(
        inputs={"name": "plinth-gpus", "strategy": "cluster", "tags": TAGS},
        change={"tags": RETAGGED},
    ),
    "aws:eks/accessEntry:AccessEntry": Case(
        inputs={
            "clusterName": Ref(CLUSTER, "name"),
            "principalArn": Ref(ROLE, "arn"),
            "kubernetesGroups": ["research"],
            "tags": TAGS,
        },
        change={"kubernetesGroups": ["research", "serving"], "tags": RETAGGED},
    ),
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": Case(
        inputs={
            "clusterName": Ref(CLUSTER, "name"),
            "principalArn": Ref("aws:eks/accessEntry:AccessEntry", "principalArn"),
            "policyArn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy",
            "accessScope": {"type": "namespace", "namespaces": ["research"]},
        },
        change={"accessScope": {"type": "cluster"}},
        replaces=True,
    ),
    "aws:eks/addon:Addon": Case(
        inputs={
            "clusterName": Ref(CLUSTER, "name"),
            "addonName": "vpc-cni",
            "addonVersion": "v1.21.1-eksbuild.1",
            "configurationValues": '{"env": {"ENABLE_PREFIX_DELEGATION": "true"}}',
            "resolveConflictsOnCreate": "OVERWRITE",
            "resolveConflictsOnUpdate": "OVERWRITE",
            "tags": TAGS,
        },
        change={"addonVersion": "v1.21.2-eksbuild.1", "tags": RETAGGED},
    ),
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": Case(
        inputs={
            "clusterName": Ref(CLUSTER, "name"),
            "namespace": "kube-system",
            "serviceAccount": "aws-node",
            "roleArn": Ref(ROLE, "arn"),
            "tags": TAGS,
        },
        change={"disableSessionTags": True, "tags": RETAGGED},
    ),
    "aws:iam/instanceProfile:InstanceProfile": Case(
        inputs={"name": "plinth-nodes", "role": Ref(ROLE, "name"), "tags": TAGS},
        change={"tags": RETAGGED},
        drop=("role",),
    ),
}
