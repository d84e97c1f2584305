"""Roles and their policies."""

from collections.abc import Mapping
from typing import Any

from stacks.local.aws_row import Call, Missing, Row, Scene, Tags, named, parts

MISSING = (Missing("NoSuchEntity"),)
UNCHECKED = "recorded by moto: no call is authorised against it"


def boundary(scene: Scene) -> Mapping[str, Any] | None:
    """PutRolePermissionsBoundary applies only when there is one."""
    return {} if scene.new.get("permissionsBoundary") else None


def detach(scene: Scene) -> None:
    """Take policies away that other programs attached, when this program says so."""
    if not scene.old.get("forceDetachPolicies"):
        return
    attached = scene.client.list_attached_role_policies(RoleName=scene.id)["AttachedPolicies"]
    for policy in attached:
        scene.client.detach_role_policy(RoleName=scene.id, PolicyArn=policy["PolicyArn"])


ROWS = (
    Row(
        token="aws:iam/role:Role",
        service="iam",
        cfn="AWS::IAM::Role",
        create=Call("CreateRole"),
        read=Call("GetRole", result="Role"),
        update=(
            Call("UpdateRole", ("description", "maxSessionDuration")),
            Call(
                "UpdateAssumeRolePolicy",
                ("assumeRolePolicy",),
                rename={"assumeRolePolicy": "PolicyDocument"},
            ),
            Call("PutRolePermissionsBoundary", ("permissionsBoundary",), build=boundary),
            Call(
                "DeleteRolePermissionsBoundary",
                ("permissionsBoundary",),
                when={"permissionsBoundary": None},
            ),
        ),
        delete=Call("DeleteRole"),
        before_delete=detach,
        identity=named("name"),
        rename={"name": "RoleName", "assumeRolePolicy": "AssumeRolePolicyDocument"},
        reads={"permissionsBoundary": "PermissionsBoundary.PermissionsBoundaryArn"},
        provider_only=("forceDetachPolicies",),
        autoname="name",
        defaults={"maxSessionDuration": 3600, "path": "/"},
        replace_on=("name", "path"),
        refuses=("inlinePolicies", "managedPolicyArns", "namePrefix"),
        outputs={
            "arn": "Arn",
            "createDate": "CreateDate",
            "name": "RoleName",
            "uniqueId": "RoleId",
        },
        tags=Tags(add="TagRole", remove="UntagRole", key={"RoleName": "{id}"}),
        missing=MISSING,
        fidelity=UNCHECKED,
    ),
    Row(
        token="aws:iam/rolePolicy:RolePolicy",
        service="iam",
        cfn="AWS::IAM::RolePolicy",
        create=Call("PutRolePolicy"),
        read=Call("GetRolePolicy"),
        update=(Call("PutRolePolicy", ("policy",)),),
        delete=Call("DeleteRolePolicy"),
        identity=parts(":", "role", "name"),
        rename={"role": "RoleName", "name": "PolicyName", "policy": "PolicyDocument"},
        autoname="name",
        replace_on=("name", "role"),
        refuses=("namePrefix",),
        missing=MISSING,
        fidelity=UNCHECKED,
    ),
    Row(
        token="aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        service="iam",
        cfn="",
        create=Call("AttachRolePolicy"),
        read=Call(
            "ListAttachedRolePolicies",
            result="AttachedPolicies[?PolicyArn=='{policyArn}'] | [0]",
        ),
        delete=Call("DetachRolePolicy"),
        identity=parts("/", "role", "policyArn"),
        rename={"role": "RoleName"},
        replace_on=("policyArn", "role"),
        missing=MISSING,
        fidelity=UNCHECKED,
    ),
)
