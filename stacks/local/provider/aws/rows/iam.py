"""Roles and their policies."""

from collections.abc import Mapping
from typing import Any

from stacks.local.provider.aws.row import (
    Call,
    HookContext,
    Missing,
    Row,
    Tags,
    named,
    parts,
    returned,
)

MISSING = (Missing("NoSuchEntity"),)
MOST_VERSIONS = 5
UNCHECKED = "behaves: IAM decides calls of roles and users by it"


def boundary(scene: HookContext) -> Mapping[str, Any] | None:
    """PutRolePermissionsBoundary applies only when there is one."""
    return {} if scene.new.get("permissionsBoundary") else None


def detach(scene: HookContext) -> None:
    """Take policies away that other programs attached, when this program says so."""
    if not scene.old.get("forceDetachPolicies"):
        return
    attached = scene.client.list_attached_role_policies(RoleName=scene.id)["AttachedPolicies"]
    for policy in attached:
        scene.client.detach_role_policy(RoleName=scene.id, PolicyArn=policy["PolicyArn"])


def make_room(scene: HookContext) -> Mapping[str, Any]:
    """A policy has five versions: the oldest makes room for the one to come."""
    versions = scene.client.list_policy_versions(PolicyArn=scene.id)["Versions"]
    spare = sorted(
        (version for version in versions if not version["IsDefaultVersion"]),
        key=lambda version: int(version["VersionId"][1:]),
    )
    if len(versions) == MOST_VERSIONS:
        scene.client.delete_policy_version(PolicyArn=scene.id, VersionId=spare[0]["VersionId"])
    return {}


def delete_versions(scene: HookContext) -> None:
    """A policy goes only when its default version is the only one."""
    if scene.describe() is None:
        return
    for version in scene.client.list_policy_versions(PolicyArn=scene.id)["Versions"]:
        if not version["IsDefaultVersion"]:
            scene.client.delete_policy_version(PolicyArn=scene.id, VersionId=version["VersionId"])


def roles_of_profile(scene: HookContext) -> None:
    """An instance profile goes only when no role is in it."""
    for role in (scene.describe() or {}).get("Roles", []):
        scene.client.remove_role_from_instance_profile(
            InstanceProfileName=scene.id, RoleName=role["RoleName"]
        )


def role_of_profile(scene: HookContext) -> Mapping[str, Any] | None:
    """An instance profile has room for one role: the old one leaves before the new one comes."""
    roles_of_profile(scene)
    return {"RoleName": scene.new["role"]} if scene.new.get("role") else None


ROWS = (
    Row(
        token="aws:iam/instanceProfile:InstanceProfile",
        service="iam",
        cfn="AWS::IAM::InstanceProfile",
        create=Call("CreateInstanceProfile"),
        read=Call("GetInstanceProfile", result="InstanceProfile"),
        then=(Call("AddRoleToInstanceProfile", ("role",), build=role_of_profile),),
        delete=Call("DeleteInstanceProfile"),
        before_delete=roles_of_profile,
        identity=named("name"),
        key={"InstanceProfileName": "{id}"},
        rename={"name": "InstanceProfileName", "role": "RoleName"},
        reads={"role": "Roles[0].RoleName"},
        defaults={"path": "/"},
        autoname="name",
        replace_on=("name", "path"),
        refuses=("namePrefix",),
        outputs={"arn": "Arn", "createDate": "CreateDate", "uniqueId": "InstanceProfileId"},
        tags=Tags(
            add="TagInstanceProfile",
            remove="UntagInstanceProfile",
            key={"InstanceProfileName": "{id}"},
        ),
        missing=MISSING,
        fidelity="recorded by moto: no instance gets credentials",
    ),
    Row(
        token="aws:iam/openIdConnectProvider:OpenIdConnectProvider",
        service="iam",
        cfn="AWS::IAM::OIDCProvider",
        create=Call("CreateOpenIDConnectProvider"),
        read=Call("GetOpenIDConnectProvider"),
        update=(Call("UpdateOpenIDConnectProviderThumbprint", ("thumbprintLists",)),),
        delete=Call("DeleteOpenIDConnectProvider"),
        identity=returned("OpenIDConnectProviderArn"),
        key={"OpenIDConnectProviderArn": "{id}"},
        reads={"url": "https://{tail}"},  # AWS tells it without the scheme
        computed=("thumbprintLists",),
        replace_on=("clientIdLists", "url"),
        # added and removed in place (terraform-provider-aws, iam/openid_connect_provider.go)
        official={"clientIdLists": False},
        occupies=("url",),
        outputs={"arn": "{id}"},
        tags=Tags(
            add="TagOpenIDConnectProvider",
            remove="UntagOpenIDConnectProvider",
            key={"OpenIDConnectProviderArn": "{id}"},
        ),
        missing=MISSING,
        fidelity="recorded by moto: no token is verified",
    ),
    Row(
        token="aws:iam/policy:Policy",
        service="iam",
        cfn="AWS::IAM::ManagedPolicy",
        create=Call("CreatePolicy"),
        read=Call("GetPolicy", result="Policy"),
        also=(
            Call(
                "GetPolicyVersion",
                key={"PolicyArn": "{id}", "VersionId": "{DefaultVersionId}"},
                result="PolicyVersion.{PolicyDocument: Document}",
            ),
        ),
        update=(
            Call("CreatePolicyVersion", ("policy",), fixed={"SetAsDefault": True}, build=make_room),
        ),
        delete=Call("DeletePolicy"),
        before_delete=delete_versions,
        identity=returned("Policy.Arn"),
        key={"PolicyArn": "{id}"},
        rename={"name": "PolicyName", "policy": "PolicyDocument"},
        provider_only=("delayAfterPolicyCreationInMs",),
        autoname="name",
        defaults={"path": "/"},
        replace_on=("description", "name", "path"),
        refuses=("namePrefix",),
        outputs={"arn": "Arn", "policyId": "PolicyId"},
        tags=Tags(add="TagPolicy", remove="UntagPolicy", key={"PolicyArn": "{id}"}),
        missing=MISSING,
        fidelity=UNCHECKED,
    ),
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
