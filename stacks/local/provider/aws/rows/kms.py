"""Keys and their aliases."""

from stacks.local.provider.aws.row import Call, Missing, Row, Tags, named, returned

ROWS = (
    Row(
        token="aws:kms/alias:Alias",
        service="kms",
        cfn="AWS::KMS::Alias",
        create=Call("CreateAlias"),
        read=Call(
            "ListAliases", key={}, fixed={"Limit": 1000}, result="Aliases[?AliasName=='{id}'] | [0]"
        ),
        update=(Call("UpdateAlias", ("targetKeyId",)),),
        delete=Call("DeleteAlias"),
        identity=named("name"),
        rename={"name": "AliasName"},
        replace_on=("name",),
        refuses=("namePrefix",),
        outputs={
            "arn": "AliasArn",
            "targetKeyArn": "arn:aws:kms:{region}:{account}:key/{targetKeyId}",
        },
        missing=(Missing("NotFoundException"),),
        fidelity="behaves: a name for a key",
    ),
    Row(
        token="aws:kms/key:Key",
        service="kms",
        cfn="AWS::KMS::Key",
        create=Call("CreateKey", omits=("keySpec", "origin")),
        read=Call("DescribeKey", result="KeyMetadata"),
        also=(
            Call("GetKeyPolicy", fixed={"PolicyName": "default"}),
            Call("GetKeyRotationStatus"),
            Call("ListResourceTags"),
        ),
        then=(
            Call(
                "EnableKeyRotation",
                ("enableKeyRotation", "rotationPeriodInDays"),
                when={"enableKeyRotation": True},
            ),
            Call("DisableKeyRotation", ("enableKeyRotation",), when={"enableKeyRotation": False}),
            Call("EnableKey", ("isEnabled",), when={"isEnabled": True}),
            Call("DisableKey", ("isEnabled",), when={"isEnabled": False}),
        ),
        update=(
            Call("UpdateKeyDescription", ("description",)),
            Call("PutKeyPolicy", ("policy",), fixed={"PolicyName": "default"}),
        ),
        delete=Call(
            "ScheduleKeyDeletion",
            ("deletionWindowInDays",),
            rename={"deletionWindowInDays": "PendingWindowInDays"},
        ),
        identity=returned("KeyMetadata.KeyId"),
        key={"KeyId": "{id}"},
        reads={"enableKeyRotation": "KeyRotationEnabled", "isEnabled": "Enabled"},
        write_only=("bypassPolicyLockoutSafetyCheck", "deletionWindowInDays"),
        computed=("policy", "rotationPeriodInDays"),
        defaults={
            "customerMasterKeySpec": "SYMMETRIC_DEFAULT",
            "description": "",
            "enableKeyRotation": False,
            "isEnabled": True,
            "keyUsage": "ENCRYPT_DECRYPT",
            "multiRegion": False,
        },
        replace_on=("customKeyStoreId", "customerMasterKeySpec", "keyUsage", "multiRegion"),
        refuses=("xksKeyId",),
        outputs={"arn": "Arn", "keyId": "KeyId", "policy": "Policy"},
        tags=Tags(add="TagResource", remove="UntagResource", key={"KeyId": "{id}"}),
        missing=(
            Missing("NotFoundException"),
            Missing("KMSInvalidStateException", "pending deletion"),
        ),
        gone="KeyState == 'PendingDeletion'",
        fidelity="behaves: encrypts and decrypts; IAM decides by its policy and grants",
    ),
)
