"""What rows do when the cloud disagrees: drift, failures, leftovers."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.errors import UserError
from stacks.local.provider.backend import UNKNOWN
from tests.kits.local_cloud import OWN_IMAGE, running_cloud
from tests.kits.local_cloud import Cloud as LocalCloud
from tests.kits.provider import Cloud, serve_program, subject
from tests.stacks.local.provider_cases.case import BUCKET, ROLE, ROUTES, VPC
from tests.stacks.local.provider_cases.cases import CASES, CONFIGURATION, MODEL

ENDPOINT = "aws:sagemaker/endpoint:Endpoint"
GROUP = "aws:sagemaker/featureGroup:FeatureGroup"
OBJECT = "aws:s3/bucketObjectv2:BucketObjectv2"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cloud, LocalCloud]]:
    folder = tmp_path_factory.mktemp("bin")
    with running_cloud(tmp_path_factory.mktemp("home")) as local:
        yield Cloud(local.backend(), serve_path=serve_program(folder)), local


@pytest.fixture
def cloud(running: tuple[Cloud, LocalCloud]) -> Iterator[Cloud]:
    yield running[0]
    running[0].clear()


@pytest.fixture
def behind(running: tuple[Cloud, LocalCloud]) -> LocalCloud:
    """Looks behind the provider's back."""
    return running[1]


def broken_configuration(cloud: Cloud) -> str:
    """The name of an endpoint configuration whose container dies at once."""
    broken = {
        **cloud.need(MODEL).inputs,
        "name": "broken",
        "primaryContainer": {"image": OWN_IMAGE, "environment": {"PATH": "/nowhere"}},
    }
    configuration = {**cloud.need(CONFIGURATION).inputs, "name": "broken"}
    variant = {**configuration["productionVariants"][0], "modelName": "broken"}
    configuration["productionVariants"] = [variant]
    cloud.keep(MODEL, broken)
    return cloud.keep(CONFIGURATION, configuration).id


def test_an_endpoint_that_does_not_come_up_leaves_nothing(cloud: Cloud, behind: LocalCloud) -> None:
    inputs = {"name": "plinth-broken", "endpointConfigName": broken_configuration(cloud)}
    with pytest.raises(UserError, match=r'"it": plinth-broken must become InService, got Failed: '):
        cloud.backend.create(subject(ENDPOINT), inputs)
    assert behind.client("sagemaker").list_endpoints()["Endpoints"] == []


def test_an_endpoint_whose_creation_was_cut_off_is_deleted_once_it_stands(
    cloud: Cloud, behind: LocalCloud
) -> None:
    sagemaker = behind.client("sagemaker")
    inputs = {"name": "plinth-cut-off", "endpointConfigName": cloud.need(CONFIGURATION).id}
    sagemaker.create_endpoint(
        EndpointName="plinth-cut-off", EndpointConfigName=inputs["endpointConfigName"]
    )
    with pytest.raises(ClientError, match="in-progress"):
        sagemaker.delete_endpoint(EndpointName="plinth-cut-off")
    cloud.backend.delete(subject(ENDPOINT), "plinth-cut-off", inputs)
    assert sagemaker.list_endpoints()["Endpoints"] == []


def test_a_provider_of_another_account_is_refused_by_name(behind: LocalCloud) -> None:
    backend = behind.backend()
    assert backend.check_settings({"allowedAccountIds": ["123456789012"]}) == []
    [refused] = backend.check_settings({"allowedAccountIds": ["111111111111", "222222222222"]})
    assert refused.property == "allowedAccountIds"
    told = "AWS account ID not allowed: 123456789012; allowed: 111111111111, 222222222222"
    assert refused.reason == told
    assert backend.check_settings({"allowedAccountIds": UNKNOWN}) == []


def test_an_endpoint_update_that_fails_says_why_and_can_be_taken_back(cloud: Cloud) -> None:
    backend, it = cloud.backend, subject(ENDPOINT)
    good = cloud.resolve(CASES[ENDPOINT].inputs)
    made = cloud.keep(ENDPOINT, good)
    bad = {**good, "endpointConfigName": broken_configuration(cloud)}
    with pytest.raises(UserError, match="endpointConfigName must be 'broken', got 'plinth-config"):
        backend.update(it, made.id, good, bad)
    after = backend.read(it, made.id, good)
    assert after is not None and after.inputs == good


def test_a_feature_update_that_was_cut_off_is_finished(cloud: Cloud, behind: LocalCloud) -> None:
    backend, it = cloud.backend, subject(GROUP)
    old = cloud.resolve(CASES[GROUP].inputs)
    made = cloud.keep(GROUP, old)
    new = {**old, **cloud.resolve(CASES[GROUP].change)}
    backend.update(it, made.id, old, new)
    backend.update(it, made.id, old, new)
    shown = behind.client("sagemaker").describe_feature_group(FeatureGroupName=made.id)
    assert [f["FeatureName"] for f in shown["FeatureDefinitions"]] == ["id", "at", "distance"]


def test_a_refresh_sees_what_changed_behind_its_back(cloud: Cloud, behind: LocalCloud) -> None:
    backend, it, made = cloud.backend, subject(VPC), cloud.need(VPC)
    ec2 = behind.client("ec2")
    ec2.create_tags(Resources=[made.id], Tags=[{"Key": "team", "Value": "other"}])
    ec2.modify_vpc_attribute(VpcId=made.id, EnableDnsHostnames={"Value": False})
    found = backend.read(it, made.id, made.inputs)
    assert found is not None
    drift = {change.path for change in backend.diff(it, found.inputs, made.inputs).changes}
    assert drift == {"tags.team", "enableDnsHostnames"}


def test_a_role_that_was_deleted_behind_its_back_is_missing(
    cloud: Cloud, behind: LocalCloud
) -> None:
    made = cloud.need(ROLE)
    behind.client("iam").delete_role(RoleName=made.id)
    assert cloud.backend.read(subject(ROLE), made.id, made.inputs) is None
    with pytest.raises(UserError, match="fix: type `pulumi refresh`"):
        cloud.backend.update(
            subject(ROLE), made.id, made.inputs, {**made.inputs, "description": "x"}
        )


def test_a_bucket_with_objects_goes_only_by_force(cloud: Cloud, behind: LocalCloud) -> None:
    backend, it, s3 = cloud.backend, subject(BUCKET), behind.client("s3")
    inputs = {"bucket": "plinth-test-full"}
    made = backend.create(it, inputs)
    s3.put_bucket_versioning(Bucket=made.id, VersioningConfiguration={"Status": "Enabled"})
    for body in (b"1", b"2"):
        s3.put_object(Bucket=made.id, Key="a", Body=body)
    with pytest.raises(UserError, match="DeleteBucket must succeed, got BucketNotEmpty"):
        backend.delete(it, made.id, inputs)
    backend.delete(it, made.id, {**inputs, "forceDestroy": True})
    assert backend.read(it, made.id, inputs) is None


@pytest.mark.nightly
def test_a_bucket_goes_by_force_though_one_listing_does_not_hold_all_of_it(
    cloud: Cloud, behind: LocalCloud
) -> None:
    backend, it, s3 = cloud.backend, subject(BUCKET), behind.client("s3")
    inputs = {"bucket": "plinth-test-crowded", "forceDestroy": True}
    made = backend.create(it, inputs)
    for number in range(1001):
        s3.put_object(Bucket=made.id, Key=f"{number}", Body=b"")
    assert s3.list_object_versions(Bucket=made.id)["IsTruncated"]
    backend.delete(it, made.id, inputs)
    assert backend.read(it, made.id, inputs) is None


@pytest.mark.parametrize(
    ("source", "bytes_kept"),
    [
        ({"content": "b"}, b"b"),
        ({"contentBase64": "AAE="}, b"\x00\x01"),
        ({"source": {"text": "c", "hash": "1"}}, b"c"),
    ],
)
def test_an_object_holds_what_the_program_says(
    cloud: Cloud, behind: LocalCloud, source: dict[str, Any], bytes_kept: bytes
) -> None:
    old = cloud.resolve(CASES[OBJECT].inputs)
    made = cloud.keep(OBJECT, old)
    new = {**{name: value for name, value in old.items() if name != "content"}, **source}
    cloud.backend.update(subject(OBJECT), made.id, old, new)
    held = behind.client("s3").get_object(Bucket=new["bucket"], Key=new["key"])
    assert held["Body"].read() == bytes_kept


def test_a_gateway_endpoint_goes_after_its_route_tables_changed(cloud: Cloud) -> None:
    backend, it = cloud.backend, subject("aws:ec2/vpcEndpoint:VpcEndpoint")
    first, second = (cloud.keep(ROUTES, cloud.resolve(CASES[ROUTES].inputs)).id for _ in range(2))
    old = {
        "vpcId": cloud.need(VPC).id,
        "serviceName": "com.amazonaws.us-east-1.s3",
        "vpcEndpointType": "Gateway",
        "routeTableIds": [first],
    }
    made = backend.create(it, old)
    new = {**old, "routeTableIds": [second]}
    backend.update(it, made.id, old, new)
    backend.delete(it, made.id, new)
    assert backend.read(it, made.id, new) is None
