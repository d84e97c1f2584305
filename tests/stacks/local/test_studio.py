"""Studio's control plane on the local SageMaker: statuses, references and rules of its parts."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from moto.backends import get_backend

from stacks.local.aws.account_id import ACCOUNT_ID
from stacks.local.aws.sagemaker.coverage import coverage
from stacks.local.aws.sagemaker.resource_types import LIVING
from tests.kits.answers import request
from tests.kits.sagemaker_alone import Account

ROLE = "arn:aws:iam::123456789012:role/plinth-test"
OWNED = {
    "OwnershipSettings": {"OwnerUserProfileName": "ann"},
    "SpaceSharingSettings": {"SharingType": "Private"},
}
LAB = {"AppType": "JupyterLab", "AppName": "default"}


@pytest.fixture
def account() -> Account:
    return Account()


def new_domain(account: Account, **more: Any) -> str:
    asked = request("CreateDomain", AuthMode="IAM", DomainName="ours", **more)
    return str(account.call("CreateDomain", **asked)["DomainId"])


@pytest.fixture
def domain(account: Account) -> str:
    return new_domain(account)


@pytest.fixture
def ann(account: Account, domain: str) -> dict[str, str]:
    key = {"DomainId": domain, "UserProfileName": "ann"}
    account.call("CreateUserProfile", **key)
    return key


def script(account: Account, name: str, app_type: str = "JupyterLab") -> str:
    made = {
        "StudioLifecycleConfigName": name,
        "StudioLifecycleConfigContent": "ZWNobwo=",
        "StudioLifecycleConfigAppType": app_type,
    }
    return str(account.call("CreateStudioLifecycleConfig", **made)["StudioLifecycleConfigArn"])


def settings(arn: str) -> dict[str, Any]:
    spec = {"LifecycleConfigArn": arn}
    return {"JupyterLabAppSettings": {"DefaultResourceSpec": spec, "LifecycleConfigArns": [arn]}}


WAYS = {
    "Domain": ("Status", "Pending", "InService", "Updating", "Deleting", "ResourceInUse"),
    "UserProfile": ("Status", "Pending", "InService", "Updating", "Deleting", "ResourceInUse"),
    "Space": ("Status", "Pending", "InService", "Updating", "Deleting", "ResourceInUse"),
    "Image": ("ImageStatus", "CREATING", "CREATED", "UPDATING", "DELETING", "ResourceInUse"),
    "Hub": ("HubStatus", "Creating", "InService", "Updating", "Deleting", "ValidationException"),
}
"""Stem -> member and statuses as the API reference names them, and how a change on the way is
refused."""


@pytest.mark.parametrize("stem", WAYS)
def test_a_resource_passes_through_the_statuses_of_aws(stem: str, account: Account) -> None:
    member, creating, ready, updating, deleting, busy = WAYS[stem]
    keys = {"DomainId": new_domain(account)} if stem in ("UserProfile", "Space") else {}
    account.waits = False
    asked = request(f"Create{stem}", **keys, **({"AuthMode": "IAM"} if stem == "Domain" else {}))
    made = {**asked, **account.call(f"Create{stem}", **asked)}
    named = request(f"Describe{stem}", **{})
    key = {name: made[name] for name in named}

    def status() -> str:
        return str(account.call(f"Describe{stem}", **key)[member])

    assert status() == creating
    assert account.refusal(f"Update{stem}", **key)[0] == busy
    account.later(timedelta(seconds=3))
    assert status() == ready
    account.call(f"Update{stem}", **key)
    assert status() == updating
    account.later(timedelta(seconds=3))
    assert status() == ready
    account.call(f"Delete{stem}", **key)
    assert status() == deleting
    assert account.refusal(f"Delete{stem}", **key)[0] in ("ResourceInUse", busy)
    account.later(timedelta(seconds=3))
    assert account.refusal(f"Describe{stem}", **key)[0] == "ResourceNotFound"


def test_nothing_is_put_into_what_is_not_there_yet(account: Account) -> None:
    account.waits = False
    domain = new_domain(account)
    made = {"DomainId": domain, "UserProfileName": "ann"}
    code, message = account.refusal("CreateUserProfile", **made)
    assert code == "ValidationException" and message == f"Domain {domain} is in an invalid state."
    account.later(timedelta(seconds=3))
    account.call("CreateUserProfile", **made)
    missing = account.refusal("CreateUserProfile", DomainId="d-none", UserProfileName="ann")
    assert missing[0] == "ResourceNotFound" and "d-none" in missing[1]


def homes() -> dict[str, dict[str, str]]:
    """File systems of the account and their tags."""
    efs = get_backend("efs")[ACCOUNT_ID]["us-east-1"]
    return {
        name: {tag["Key"]: tag["Value"] for tag in efs.list_tags_for_resource(name)}
        for name in efs.file_systems_by_id
    }


@pytest.mark.parametrize(("policy", "stays"), [(None, True), ("Retain", True), ("Delete", False)])
def test_a_domain_has_a_file_system_that_outlives_it_unless_told(
    policy: str | None, stays: bool, account: Account, domain: str
) -> None:
    found = account.call("DescribeDomain", DomainId=domain)
    home = found["HomeEfsFileSystemId"]
    assert homes()[home]["ManagedByAmazonSageMakerResource"] == found["DomainArn"]
    assert found["Url"] == f"https://{domain}.studio.us-east-1.sagemaker.aws"
    retention = {"RetentionPolicy": {"HomeEfsFileSystem": policy}} if policy else {}
    account.call("DeleteDomain", DomainId=domain, **retention)
    assert (home in homes()) == stays


def test_a_file_system_can_come_later_and_does_not_go(account: Account) -> None:
    domain = new_domain(account, HomeEfsFileSystemCreation="Disabled")
    assert "HomeEfsFileSystemId" not in account.call("DescribeDomain", DomainId=domain)
    account.call("UpdateDomain", DomainId=domain, HomeEfsFileSystemCreation="Enabled")
    assert account.call("DescribeDomain", DomainId=domain)["HomeEfsFileSystemId"] in homes()
    back = account.refusal("UpdateDomain", DomainId=domain, HomeEfsFileSystemCreation="Disabled")
    assert back[0] == "ValidationException"


@pytest.fixture
def network() -> Iterator[tuple[str, list[str]]]:
    """A VPC and two subnets of it."""
    ec2 = get_backend("ec2")[ACCOUNT_ID]["us-east-1"]
    vpc = ec2.create_vpc("10.7.0.0/16").id
    subnets = [
        ec2.create_subnet(vpc, f"10.7.{number}.0/24", "us-east-1a").id for number in range(2)
    ]
    yield vpc, subnets
    for subnet in subnets:
        ec2.delete_subnet(subnet)
    ec2.delete_vpc(vpc)


def test_a_domain_lies_in_a_network_that_is_there(
    account: Account, network: tuple[str, list[str]]
) -> None:
    vpc, subnets = network
    asked = request("CreateDomain", AuthMode="IAM", AppNetworkAccessType="VpcOnly")
    assert account.refusal("CreateDomain", **asked)[0] == "ValidationException"
    wrong = ({"VpcId": "vpc-0none"}, {"VpcId": vpc, "SubnetIds": ["subnet-0none"]})
    for one in wrong:
        code, message = account.refusal("CreateDomain", **asked, **one)
        assert code == "ValidationException" and "does not exist" in message
    made = account.call("CreateDomain", **asked, VpcId=vpc, SubnetIds=subnets)
    domain = {"DomainId": made["DomainId"]}
    assert account.refusal("UpdateDomain", **domain, VpcId="vpc-0none")[0] == "ValidationException"
    account.call("CreateUserProfile", **domain, UserProfileName="ann")
    app = {**domain, "UserProfileName": "ann", **LAB}
    account.call("CreateApp", **app)
    for change in ({"SubnetIds": subnets[:1]}, {"AppNetworkAccessType": "PublicInternetOnly"}):
        assert account.refusal("UpdateDomain", **domain, **change)[0] == "ResourceInUse"
    account.call("DeleteApp", **app)
    account.call("UpdateDomain", **domain, SubnetIds=subnets[:1])
    assert account.call("DescribeDomain", **domain)["SubnetIds"] == subnets[:1]


def test_an_update_of_settings_leaves_those_that_it_does_not_name(
    account: Account, network: tuple[str, list[str]]
) -> None:
    domain = new_domain(account, DefaultUserSettings={"ExecutionRole": ROLE})
    groups = list(get_backend("ec2")[ACCOUNT_ID]["us-east-1"].groups[network[0]])
    change = {"SecurityGroups": groups[:1]}
    account.call("UpdateDomain", DomainId=domain, DefaultUserSettings=change)
    found = account.call("DescribeDomain", DomainId=domain)
    assert found["DefaultUserSettings"] == {"ExecutionRole": ROLE, **change}


def test_single_sign_on_is_refused_where_there_is_no_identity_center(
    account: Account, domain: str
) -> None:
    sso = request("CreateDomain", AuthMode="SSO")
    code, message = account.refusal("CreateDomain", **sso)
    assert code == "NotEmulated" and "Identity Center" in message
    user = {"DomainId": domain, "UserProfileName": "ann", "SingleSignOnUserValue": "ann"}
    assert account.refusal("CreateUserProfile", **user)[0] == "ValidationException"


def test_homes_of_users_have_ids_that_are_given_once(account: Account, domain: str) -> None:
    def uid(name: str) -> str:
        account.call("CreateUserProfile", DomainId=domain, UserProfileName=name)
        found = account.call("DescribeUserProfile", DomainId=domain, UserProfileName=name)
        return str(found["HomeEfsFileSystemUid"])

    assert (uid("ann"), uid("bob")) == ("200001", "200002")
    account.call("DeleteUserProfile", DomainId=domain, UserProfileName="bob")
    assert uid("cy") == "200003"


def test_what_settings_name_must_be_there(account: Account, domain: str, ann: Any) -> None:
    arn = script(account, "there")
    missing = arn.replace("there", "none")
    for operation, asked, code in (
        ("CreateUserProfile", {"UserProfileName": "bob"}, "ValidationException"),
        ("UpdateUserProfile", {"UserProfileName": "ann"}, "ResourceNotFound"),
    ):
        told = account.refusal(operation, DomainId=domain, **asked, UserSettings=settings(missing))
        assert told == (code, f"StudioLifecycleConfig [{missing}] does not exist.")
    account.call("UpdateUserProfile", **ann, UserSettings=settings(arn))
    image = {"ImageName": "ours", "AppImageConfigName": "kernels"}
    custom = {"KernelGatewayAppSettings": {"CustomImages": [image]}}
    assert "Image [ours]" in account.refusal("UpdateUserProfile", **ann, UserSettings=custom)[1]
    account.call("CreateImage", ImageName="ours", RoleArn=ROLE)
    told = account.refusal("UpdateUserProfile", **ann, UserSettings=custom)
    assert "AppImageConfig [kernels]" in told[1]
    account.call("CreateAppImageConfig", AppImageConfigName="kernels")
    account.call("UpdateUserProfile", **ann, UserSettings=custom)


def test_aws_own_images_are_not_looked_for_here(account: Account, ann: dict[str, str]) -> None:
    theirs = "arn:aws:sagemaker:us-east-1:081325390199:image/jupyter-server-3"
    spec = {"ResourceSpec": {"SageMakerImageArn": theirs}}
    account.call("CreateApp", **ann, AppType="JupyterServer", AppName="default", **spec)
    ours = {"ResourceSpec": {"SageMakerImageArn": theirs.replace("081325390199", ACCOUNT_ID)}}
    app = {"AppType": "JupyterServer", "AppName": "other"}
    assert account.refusal("CreateApp", **ann, **app, **ours)[0] == "ValidationException"


def test_a_lifecycle_configuration_stays_while_somebody_uses_it(
    account: Account, domain: str, ann: dict[str, str]
) -> None:
    arn = script(account, "setup")
    key = {"StudioLifecycleConfigName": "setup"}
    account.call("UpdateUserProfile", **ann, UserSettings=settings(arn))
    code, message = account.refusal("DeleteStudioLifecycleConfig", **key)
    assert code == "ResourceInUse" and "user-profile" in message
    account.call("CreateApp", **ann, **LAB)  # by the default of the profile
    account.call("UpdateUserProfile", **ann, UserSettings={"JupyterLabAppSettings": {}})
    code, message = account.refusal("DeleteStudioLifecycleConfig", **key)
    assert code == "ResourceInUse" and ":app/" in message
    account.call("DeleteApp", **ann, **LAB)
    account.call("DeleteStudioLifecycleConfig", **key)
    assert account.refusal("DescribeStudioLifecycleConfig", **key)[0] == "ResourceNotFound"


def test_a_lifecycle_configuration_is_a_script_for_one_type_of_app(
    account: Account, ann: dict[str, str]
) -> None:
    plain = request("CreateStudioLifecycleConfig", StudioLifecycleConfigContent="echo hello")
    code, message = account.refusal("CreateStudioLifecycleConfig", **plain)
    assert code == "ValidationException" and "base64" in message
    spec = {"ResourceSpec": {"LifecycleConfigArn": script(account, "kernel", "KernelGateway")}}
    code, message = account.refusal("CreateApp", **ann, **LAB, **spec)
    assert code == "ValidationException" and "KernelGateway" in message


def test_an_app_is_of_a_profile_or_a_space_and_stops_slowly(
    account: Account, domain: str, ann: dict[str, str]
) -> None:
    assert account.refusal("CreateApp", DomainId=domain, **LAB)[0] == "ValidationException"
    bob = {"DomainId": domain, "UserProfileName": "bob"}
    assert account.refusal("CreateApp", **bob, **LAB)[0] == "ResourceNotFound"
    account.waits = False
    arn = account.call("CreateApp", **ann, **LAB)["AppArn"]
    assert account.call("DescribeApp", **ann, **LAB)["Status"] == "Pending"
    assert account.refusal("CreateApp", **ann, **LAB)[0] == "ResourceInUse"
    account.later(timedelta(seconds=3))
    found = account.call("DescribeApp", **ann, **LAB)
    assert (found["Status"], found["ResourceSpec"]) == (
        "InService",
        {"InstanceType": "ml.t3.medium"},
    )
    profile = f"arn:aws:sagemaker:us-east-1:{ACCOUNT_ID}:user-profile/{domain}/ann"
    assert account.refusal("DeleteUserProfile", **ann) == (
        "ResourceInUse",
        f"Unable to delete UserProfile [{profile}] because App(s) are associated with it.",
    )
    account.call("AddTags", ResourceArn=arn, Tags=[{"Key": "team", "Value": "flights"}])
    account.call("DeleteApp", **ann, **LAB)
    assert account.call("DescribeApp", **ann, **LAB)["Status"] == "Deleting"
    assert account.refusal("DeleteUserProfile", **ann)[0] == "ResourceInUse"
    account.later(timedelta(seconds=3))
    assert account.call("DescribeApp", **ann, **LAB)["Status"] == "Deleted"
    assert account.refusal("DeleteApp", **ann, **LAB)[0] == "ResourceNotFound"
    account.call("CreateApp", **ann, **LAB)  # again: the same app
    again = account.call("DescribeApp", **ann, **LAB)
    assert (again["Status"], again["CreationTime"]) == ("Pending", found["CreationTime"])


def test_a_deleted_app_is_forgotten_after_a_day_and_holds_nothing(
    account: Account, domain: str, ann: dict[str, str]
) -> None:
    account.call("CreateApp", **ann, **LAB)
    account.call("DeleteApp", **ann, **LAB)
    account.later(timedelta(hours=23))
    (row,) = account.call("ListApps", UserProfileNameEquals="ann")["Apps"]
    assert row["Status"] == "Deleted"
    account.later(timedelta(hours=25))
    assert account.call("ListApps")["Apps"] == []
    assert account.refusal("DeleteDomain", DomainId=domain)[0] == "ResourceInUse"
    account.call("DeleteUserProfile", **ann)
    account.call("DeleteDomain", DomainId=domain)
    assert account.call("ListDomains")["Domains"] == []


def test_a_kernel_needs_an_instance_type_from_somewhere(
    account: Account, domain: str, ann: dict[str, str]
) -> None:
    kernel = {"AppType": "KernelGateway", "AppName": "one"}
    code, message = account.refusal("CreateApp", **ann, **kernel)
    assert code == "ValidationException" and "InstanceType" in message
    spec = {"KernelGatewayAppSettings": {"DefaultResourceSpec": {"InstanceType": "ml.m5.large"}}}
    account.call("UpdateDomain", DomainId=domain, DefaultUserSettings=spec)
    account.call("CreateApp", **ann, **kernel)
    assert account.call("DescribeApp", **ann, **kernel)["ResourceSpec"] == {
        "InstanceType": "ml.m5.large"
    }


def test_a_private_space_has_an_owner_who_stays(
    account: Account, domain: str, ann: dict[str, str]
) -> None:
    key = {"DomainId": domain, "SpaceName": "lab"}
    alone = {"OwnershipSettings": OWNED["OwnershipSettings"]}
    assert account.refusal("CreateSpace", **key, **alone)[0] == "ValidationException"
    code, message = account.refusal("CreateSpace", **key, **OWNED)
    assert "SpaceSettings must be provided" in message
    stranger = {**OWNED, "OwnershipSettings": {"OwnerUserProfileName": "bob"}}
    lab = {"SpaceSettings": {"AppType": "JupyterLab"}}
    assert account.refusal("CreateSpace", **key, **stranger, **lab)[0] == "ResourceNotFound"
    account.call("CreateSpace", **key, **OWNED, **lab)
    (row,) = account.call("ListSpaces", DomainIdEquals=domain)["Spaces"]
    assert row["OwnershipSettingsSummary"] == {"OwnerUserProfileName": "ann"}
    assert row["SpaceSettingsSummary"] == {"AppType": "JupyterLab"}
    code, message = account.refusal("DeleteUserProfile", **ann)
    assert code == "ResourceInUse" and "Space(s)" in message
    editor = {"SpaceSettings": {"AppType": "CodeEditor"}}
    code, message = account.refusal("UpdateSpace", **key, **editor)
    assert message == "Updating AppType for Space is not supported."
    app = {"AppType": "CodeEditor", "AppName": "default"}
    assert account.refusal("CreateApp", **key, **app)[0] == "ValidationException"
    account.call("CreateApp", **key, **LAB)
    assert account.refusal("DeleteSpace", **key)[0] == "ResourceInUse"
    account.call("DeleteApp", **key, **LAB)
    account.call("DeleteSpace", **key)
    account.call("DeleteUserProfile", **ann)


def test_profiles_are_listed_by_domain_sorted_and_in_pages(account: Account, domain: str) -> None:
    other = new_domain(account)
    for name, of in (("ann", domain), ("bob", other), ("cy", domain), ("cyd", domain)):
        account.call("CreateUserProfile", DomainId=of, UserProfileName=name)

    def names(**asked: Any) -> list[str]:
        found = account.call("ListUserProfiles", **asked)["UserProfiles"]
        return [row["UserProfileName"] for row in found]

    assert names(DomainIdEquals=domain) == ["ann", "cy", "cyd"]
    assert names(UserProfileNameContains="cy", SortOrder="Descending") == ["cyd", "cy"]
    first = account.call("ListUserProfiles", MaxResults=3)
    rest = account.call("ListUserProfiles", MaxResults=3, NextToken=first["NextToken"])
    assert [len(page["UserProfiles"]) for page in (first, rest)] == [3, 1]


def test_what_would_start_a_server_is_no_more_than_recorded() -> None:
    rows = {row.operation: row for row in coverage()}
    assert {rows[name].fidelity for name in ("CreateApp", "CreateNotebookInstance")} == {"recorded"}
    assert rows["CreatePresignedDomainUrl"].fidelity == "refused"
    assert {rows[f"Describe{stem}"].fidelity for stem in WAYS} == {"behaves"}
    assert "DefaultUserSettings.ExecutionRole" in rows["CreateDomain"].recorded
    assert {"domain", "app", "project", "hub content"} < {*LIVING}
