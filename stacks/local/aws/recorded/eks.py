"""EKS: what a cluster has beside node groups. Only who is let in matters to anything else."""

from stacks.local.aws.recorded.recorded import Recorded

ARN = "arn:aws:eks:{region}:{account}:"

ENTRY = Recorded(
    service="eks",
    name="access entry",
    create="CreateAccessEntry",
    describe="DescribeAccessEntry",
    list="ListAccessEntries",
    update=("UpdateAccessEntry",),
    delete="DeleteAccessEntry",
    key={"clusterName": "clusterName", "principalArn": "principalArn"},
    member="accessEntry",
    made={"accessEntryArn": ARN + "access-entry/{clusterName}/{hash}"},
    sets={"type": "STANDARD", "kubernetesGroups": []},
    times=("createdAt", "modifiedAt"),
    arn="accessEntryArn",
)
"""Whom a cluster lets in; `eks/entries.py` fills it in and `eks/access.py` reads it."""

ASSOCIATION = Recorded(
    service="eks",
    name="access policy association",
    create="AssociateAccessPolicy",
    list="ListAssociatedAccessPolicies",
    delete="DisassociateAccessPolicy",
    key={
        "clusterName": "clusterName",
        "principalArn": "principalArn",
        "policyArn": "policyArn",
    },
    member="associatedAccessPolicy",
    times=("associatedAt", "modifiedAt"),
    exists="",  # associated once more, a policy has the new scope (EKS User Guide, access policies)
)
"""What the policies of EKS let an entry do."""

POD_IDENTITY = Recorded(
    service="eks",
    name="pod identity association",
    create="CreatePodIdentityAssociation",
    describe="DescribePodIdentityAssociation",
    list="ListPodIdentityAssociations",
    update=("UpdatePodIdentityAssociation",),
    delete="DeletePodIdentityAssociation",
    key={"clusterName": "clusterName", "associationId": "associationId"},
    member="association",
    made={
        "associationId": "a-{hash}",
        "associationArn": ARN + "podidentityassociation/{clusterName}/a-{hash}",
    },
    times=("createdAt", "modifiedAt"),
    arn="associationArn",
)
"""Which role the pods of a service account have; `eks/pod_identity.py` reads it."""

ADDON = Recorded(
    service="eks",
    name="addon",
    create="CreateAddon",
    describe="DescribeAddon",
    list="ListAddons",
    update=("UpdateAddon",),
    delete="DeleteAddon",
    key={"clusterName": "clusterName", "addonName": "addonName"},
    member="addon",
    made={"addonArn": ARN + "addon/{clusterName}/{addonName}/{hash}"},
    sets={"status": "ACTIVE", "health": {"issues": []}},
    times=("createdAt", "modifiedAt"),
    arn="addonArn",
)
"""What `eks/joining.py` looks up the role of the network plugin in."""

KINDS = (
    ENTRY,
    ASSOCIATION,
    ADDON,
    POD_IDENTITY,
)
