"""Image repositories."""

from stacks.local.provider.aws.row import Call, Missing, Row, Tags, named

MISSING = (Missing("RepositoryNotFoundException"),)

ROWS = (
    Row(
        token="aws:ecr/lifecyclePolicy:LifecyclePolicy",
        service="ecr",
        cfn="",  # there, a property of the repository
        create=Call("PutLifecyclePolicy"),
        read=Call("GetLifecyclePolicy"),
        update=(Call("PutLifecyclePolicy", ("policy",)),),
        delete=Call("DeleteLifecyclePolicy"),
        identity=named("repository"),
        rename={"repository": "repositoryName", "policy": "lifecyclePolicyText"},
        replace_on=("repository",),
        outputs={"registryId": "registryId"},
        missing=(*MISSING, Missing("LifecyclePolicyNotFoundException")),
        fidelity="recorded by moto: no image expires",
    ),
    Row(
        token="aws:ecr/repository:Repository",
        service="ecr",
        cfn="AWS::ECR::Repository",
        create=Call("CreateRepository"),
        read=Call(
            "DescribeRepositories", key={"repositoryNames": ["{id}"]}, result="repositories[0]"
        ),
        also=(Call("ListTagsForResource", key={"resourceArn": "{repositoryArn}"}),),
        update=(
            Call(
                "PutImageTagMutability",
                ("imageTagMutability", "imageTagMutabilityExclusionFilters"),
            ),
            Call("PutImageScanningConfiguration", ("imageScanningConfiguration",)),
        ),
        delete=Call("DeleteRepository", ("forceDelete",), rename={"forceDelete": "force"}),
        identity=named("name"),
        rename={"name": "repositoryName", "encryptionConfigurations[0]": "encryptionConfiguration"},
        autoname="name",
        write_only=("forceDelete",),
        defaults={
            "imageScanningConfiguration": {"scanOnPush": False},
            "imageScanningConfiguration.scanOnPush": False,
            "imageTagMutability": "MUTABLE",
        },
        computed=("encryptionConfigurations",),
        replace_on=("encryptionConfigurations", "name"),
        outputs={
            "arn": "repositoryArn",
            "registryId": "registryId",
            "repositoryUrl": "repositoryUri",
        },
        tags=Tags(
            create="tags",
            add="TagResource",
            remove="UntagResource",
            member="tags",
            keys="tagKeys",
            key={"resourceArn": "{repositoryArn}"},
            path="tags",
        ),
        missing=MISSING,
        fidelity="recorded by moto: no registry answers pushes and pulls",
    ),
    Row(
        token="aws:ecr/repositoryPolicy:RepositoryPolicy",
        service="ecr",
        cfn="",  # there, a property of the repository
        create=Call("SetRepositoryPolicy", omits=("force",)),
        read=Call("GetRepositoryPolicy"),
        update=(Call("SetRepositoryPolicy", ("policy",)),),
        delete=Call("DeleteRepositoryPolicy"),
        identity=named("repository"),
        rename={"repository": "repositoryName", "policy": "policyText"},
        replace_on=("repository",),
        outputs={"registryId": "registryId"},
        missing=(*MISSING, Missing("RepositoryPolicyNotFoundException")),
        fidelity="behaves: IAM decides by it",
    ),
)
