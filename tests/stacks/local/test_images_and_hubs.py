"""Images with their versions, and private hubs with their contents, on the local SageMaker."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from moto.backends import get_backend

from stacks.local.aws.account_id import ACCOUNT_ID
from tests.kits.deliveries import open_queue
from tests.kits.local_cloud import Cloud, trusted_role
from tests.kits.path import wait_until
from tests.kits.sagemaker_alone import Account

ROLE = "arn:aws:iam::123456789012:role/plinth-test"
REGISTRY = f"{ACCOUNT_ID}.dkr.ecr.us-east-1.amazonaws.com"
REPOSITORY = "studio-images"
THEIRS = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.2"
FLIGHTS = {"HubName": "ours", "HubContentType": "Model", "HubContentName": "flights"}
DOCUMENT = {"DocumentSchemaVersion": "2.0.0", "HubContentDocument": "{}"}


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.fixture
def digest() -> Iterator[str]:
    """Of the image `1.0` in a repository of the account."""
    ecr = get_backend("ecr")[ACCOUNT_ID]["us-east-1"]
    ecr.create_repository(REPOSITORY, None, None, None, "MUTABLE", [])
    manifest = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "schemaVersion": 2}
    yield str(ecr.put_image(REPOSITORY, json.dumps(manifest), "1.0").get_image_digest())
    del ecr.repositories[REPOSITORY]


def new_version(account: Account, token: int, base: str = THEIRS, **more: Any) -> str:
    made = {"ImageName": "ours", "BaseImage": base, "ClientToken": f"{token:032}", **more}
    return str(account.call("CreateImageVersion", **made)["ImageVersionArn"])


def version(account: Account, **which: Any) -> dict[str, Any]:
    return account.call("DescribeImageVersion", ImageName="ours", **which)


def listed(account: Account, operation: str, **asked: Any) -> list[Any]:
    (rows,) = [v for v in account.call(operation, **asked).values() if isinstance(v, list)]
    return rows


def test_a_version_is_of_a_container_image_in_ecr(account: Account, digest: str) -> None:
    account.call("CreateImage", ImageName="ours", RoleArn=ROLE)
    account.waits = False
    for token, base in enumerate(("1.0", "2.0"), 1):
        new_version(account, token, f"{REGISTRY}/{REPOSITORY}:{base}")
        assert version(account, Version=token)["ImageVersionStatus"] == "CREATING"
    account.later(timedelta(seconds=3))
    good, wrong = (version(account, Version=number) for number in (1, 2))
    assert good["ImageVersionStatus"] == "CREATED"
    assert good["ContainerImage"] == f"{REGISTRY}/{REPOSITORY}@{digest}"
    assert wrong["ImageVersionStatus"] == "CREATE_FAILED" and "ContainerImage" not in wrong
    assert f"{REPOSITORY}:2.0 does not exist" in wrong["FailureReason"]
    by_digest = new_version(account, 3, good["ContainerImage"])
    new_version(account, 4, "our-image:1.0")
    account.later(timedelta(seconds=3))
    assert version(account, Version=3)["ContainerImage"] == good["ContainerImage"]
    assert by_digest.endswith(":image-version/ours/3")
    assert "Amazon ECR image URI" in version(account, Version=4)["FailureReason"]


def test_a_version_needs_an_image_that_is_made(account: Account) -> None:
    asked = {"ImageName": "ours", "BaseImage": THEIRS, "ClientToken": "t" * 32}
    assert account.refusal("CreateImageVersion", **asked)[0] == "ResourceNotFound"
    account.waits = False
    account.call("CreateImage", ImageName="ours", RoleArn=ROLE)
    assert account.refusal("CreateImageVersion", **asked) == (
        "ValidationException",
        "Image ours is in an invalid state.",
    )
    assert account.refusal("CreateImage", ImageName="ours", RoleArn=ROLE) == (
        "ResourceInUse",
        "The Image with ImageName ours already exists. Please use a different ImageName.",
    )


def test_a_token_makes_one_version(account: Account) -> None:
    account.call("CreateImage", ImageName="ours", RoleArn=ROLE)
    assert new_version(account, 1) == new_version(account, 1) != new_version(account, 2)
    assert len(listed(account, "ListImageVersions", ImageName="ours")) == 2


def test_versions_are_in_the_order_of_their_numbers(account: Account) -> None:
    account.call("CreateImage", ImageName="ours", RoleArn=ROLE)
    for token in range(11):
        new_version(account, token)
    account.call("DeleteImageVersion", ImageName="ours", Version=11)
    new_version(account, 12)
    asked = {"ImageName": "ours", "SortBy": "VERSION", "SortOrder": "ASCENDING"}
    rows = listed(account, "ListImageVersions", **asked)
    assert [row["Version"] for row in rows] == [*range(1, 11), 12]
    none = account.refusal("ListImageVersions", ImageName="none")
    assert none[0] == "ResourceNotFound"


def test_versions_of_an_image_are_numbered_and_have_aliases(account: Account) -> None:
    account.call("CreateImage", ImageName="ours", RoleArn=ROLE)
    for number, aliases in enumerate((["stable"], ["next"], [])):
        new_version(account, number, f"{THEIRS}{number}", Aliases=aliases)

    def base(**which: Any) -> str:
        return str(version(account, **which)["BaseImage"]).removeprefix(THEIRS)

    assert (base(), base(Version=1), base(Alias="next")) == ("2", "0", "1")
    move = {"ImageName": "ours", "Version": 3, "AliasesToAdd": ["stable"]}
    assert account.refusal("UpdateImageVersion", **move)[0] == "ResourceInUse"
    account.call("UpdateImageVersion", ImageName="ours", Version=1, AliasesToDelete=["stable"])
    account.call("UpdateImageVersion", **move)
    assert base(Alias="stable") == "2"
    assert listed(account, "ListAliases", ImageName="ours") == ["next", "stable"]
    account.call("DeleteImageVersion", ImageName="ours", Version=3)
    assert account.refusal("DescribeImageVersion", ImageName="ours", Alias="stable")[0] == (
        "ResourceNotFound"
    )
    account.call("DeleteImage", ImageName="ours")
    assert account.refusal("ListAliases", ImageName="ours")[0] == "ResourceNotFound"


def test_a_hub_keeps_every_version_of_a_content(account: Account) -> None:
    account.call("CreateHub", HubName="ours", HubDescription="models")
    of = {"HubName": "ours", "HubContentType": "Model"}
    for version in ("1.0.0", "1.10.0", "1.9.0"):
        content = {"HubContentName": "flights", "HubContentVersion": version}
        document = {"DocumentSchemaVersion": "2.0.0", "HubContentDocument": "{}"}
        account.call("ImportHubContent", **of, **content, **document)
    found = account.call("DescribeHubContent", **of, HubContentName="flights")
    assert found["HubContentVersion"] == "1.10.0"
    (row,) = listed(account, "ListHubContents", **of)
    assert row["HubContentVersion"] == "1.10.0"
    assert listed(account, "ListHubContents", **of, MaxSchemaVersion="1.0.0") == []
    newer = listed(
        account, "ListHubContentVersions", **of, HubContentName="flights", MinVersion="1.9.0"
    )
    assert {row["HubContentVersion"] for row in newer} == {"1.9.0", "1.10.0"}
    assert account.refusal("DeleteHub", HubName="ours")[0] == "ResourceInUse"
    account.call("DeleteHubContent", **of, HubContentName="flights", HubContentVersion="1.10.0")
    found = account.call("DescribeHubContent", **of, HubContentName="flights")
    assert found["HubContentVersion"] == "1.9.0"


def test_a_content_is_imported_changed_and_deleted_by_the_clock(account: Account) -> None:
    account.waits = False
    account.call("CreateHub", HubName="ours", HubDescription="models")
    one = {**FLIGHTS, "HubContentVersion": "1.0.0"}
    assert account.refusal("ImportHubContent", **one, **DOCUMENT)[0] == "ValidationException"
    account.later(timedelta(seconds=3))
    account.call("ImportHubContent", **one, **DOCUMENT)
    assert account.call("DescribeHubContent", **one)["HubContentStatus"] == "Importing"
    for operation in ("UpdateHubContent", "DeleteHubContent"):
        assert account.refusal(operation, **one)[0] == "ResourceInUse"
    assert account.refusal("ImportHubContent", **one, **DOCUMENT)[0] == "ResourceInUse"
    account.later(timedelta(seconds=3))
    account.call("UpdateHubContent", **one, SupportStatus="Deprecated")
    found = account.call("DescribeHubContent", **one)
    assert (found["HubContentStatus"], found["SupportStatus"]) == ("Available", "Deprecated")
    account.call("DeleteHubContent", **one)
    assert account.call("DescribeHubContent", **one)["HubContentStatus"] == "Deleting"
    assert account.refusal("DeleteHub", HubName="ours")[0] == "ResourceInUse"
    account.later(timedelta(seconds=3))
    assert account.refusal("DescribeHubContent", **one)[0] == "ResourceNotFound"
    account.call("DeleteHub", HubName="ours")


def test_an_import_of_what_is_no_document_fails(account: Account) -> None:
    account.call("CreateHub", HubName="ours", HubDescription="models")
    broken = {**DOCUMENT, "HubContentDocument": "{"}
    account.call("ImportHubContent", **FLIGHTS, HubContentVersion="1.0.0", **broken)
    found = account.call("DescribeHubContent", **FLIGHTS)
    assert found["HubContentStatus"] == "ImportFailed" and "JSON" in found["FailureReason"]


def test_the_public_hub_is_refused_by_name(account: Account) -> None:
    """JumpStart looks its models up there; `not found` would say that AWS has none."""
    public = "arn:aws:sagemaker:us-east-1:aws:hub/SageMakerPublicHub"
    for hub in ("SageMakerPublicHub", public):
        code, message = account.refusal("DescribeHubContent", **{**FLIGHTS, "HubName": hub})
        assert code == "NotEmulated" and "no public hub" in message


def test_contents_are_searched_by_hub_and_tag(account: Account) -> None:
    for hub, team in (("ours", "flights"), ("theirs", "hotels")):
        account.call("CreateHub", HubName=hub, HubDescription="models")
        tags = [{"Key": "team", "Value": team}]
        account.call("ImportHubContent", **{**FLIGHTS, "HubName": hub}, **DOCUMENT, Tags=tags)
    wanted = {"Filters": [{"Name": "HubContentName", "Operator": "Equals", "Value": "flights"}]}
    found = account.call("Search", Resource="HubContent", SearchExpression=wanted)
    assert len(found["Results"]) == 2
    arn = found["Results"][0]["HubContent"]["HubContentArn"]
    assert len(account.call("ListTags", ResourceArn=arn)["Tags"]) == 1


def test_rules_hear_how_an_image_and_its_version_come_to_be(cloud: Cloud, sm: Any) -> None:
    """Events that SageMaker AI sends to Amazon EventBridge (developer guide)."""
    events, sqs = cloud.client("events"), cloud.client("sqs")
    queue = open_queue(sqs, "images")
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    told = {"detail-type": [{"prefix": "SageMaker Image"}]}
    events.put_rule(Name="images", EventPattern=json.dumps(told))
    events.put_targets(Rule="images", Targets=[{"Id": "queue", "Arn": arn["QueueArn"]}])
    trusted_role(cloud.client("iam"), "imager")
    sm.create_image(ImageName="told", RoleArn=ROLE.replace("plinth-test", "imager"))
    heard: list[tuple[str, str]] = []

    def hears(*wanted: tuple[str, str]) -> None:
        def is_heard() -> bool:
            for message in sqs.receive_message(QueueUrl=queue).get("Messages", []):
                event = json.loads(message["Body"])
                (status,) = (v for name, v in event["detail"].items() if name.endswith("Status"))
                heard.append((event["detail-type"], status))
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            return wanted[-1] in heard

        wait_until(is_heard)
        assert heard == [one for one in wanted if one in heard]  # in this order, each once

    image = "SageMaker Image State Change"
    hears((image, "CREATING"), (image, "CREATED"))
    sm.create_image_version(ImageName="told", BaseImage=f"{REGISTRY}/none:1", ClientToken="t" * 32)
    version = "SageMaker Image Version State Change"
    hears(
        (image, "CREATING"),
        (image, "CREATED"),
        (version, "CREATING"),
        (version, "CREATE_FAILED"),
    )
    sm.add_tags(
        ResourceArn=sm.describe_image(ImageName="told")["ImageArn"],
        Tags=[{"Key": "team", "Value": "flights"}],
    )
    rows = cloud.client("resourcegroupstaggingapi").get_resources(
        TagFilters=[{"Key": "team", "Values": ["flights"]}]
    )["ResourceTagMappingList"]
    assert [row["ResourceARN"].rpartition("/")[2] for row in rows] == ["told"]
