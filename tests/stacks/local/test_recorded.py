"""The recorder: what moto lacks is created, shown, listed, changed, tagged and deleted."""

import threading
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from stacks.local.aws.recorded.recorded import Recorded
from stacks.local.aws.recorded.recorder import Recorder, service_operation
from stacks.local.aws.recorded.table import KINDS

every_kind = pytest.mark.parametrize(
    "kind", KINDS, ids=lambda kind: f"{kind.service}-{kind.name.replace(' ', '-')}"
)


@pytest.fixture(scope="module")
def eks() -> Iterator[Any]:
    fallback = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", 0, Recorder(fallback, "us-east-1"), threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    session = boto3.Session("local", "local", region_name="us-east-1")
    yield session.client("eks", endpoint_url=f"http://127.0.0.1:{server.port}")
    server.shutdown()
    thread.join()


def code(call: Any, **request: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**request)
    return str(caught.value.response["Error"]["Code"])


ADDON = {"clusterName": "c", "addonName": "vpc-cni"}


def test_a_resource_lives_from_its_creation_to_its_deletion(eks: Any) -> None:
    made = eks.create_addon(**ADDON, addonVersion="v1.20.4-eksbuild.2", tags={"a": "1"})["addon"]
    assert made["status"] == "ACTIVE"
    assert made["addonArn"].startswith("arn:aws:eks:us-east-1:123456789012:addon/c/vpc-cni/")
    assert eks.describe_addon(**ADDON)["addon"]["addonVersion"] == "v1.20.4-eksbuild.2"
    assert code(eks.create_addon, **ADDON) == "ResourceInUseException"
    eks.update_addon(**ADDON, addonVersion="v1.21.0-eksbuild.1")
    assert eks.describe_addon(**ADDON)["addon"]["addonVersion"] == "v1.21.0-eksbuild.1"
    assert eks.list_addons(clusterName="c")["addons"] == ["vpc-cni"]
    assert eks.list_addons(clusterName="other")["addons"] == []
    eks.delete_addon(**ADDON)
    assert code(eks.describe_addon, **ADDON) == "ResourceNotFoundException"
    assert code(eks.delete_addon, **ADDON) == "ResourceNotFoundException"


def test_a_tag_is_added_shown_and_removed(eks: Any) -> None:
    arn = eks.create_addon(clusterName="t", addonName="x", tags={"a": "1"})["addon"]["addonArn"]
    eks.tag_resource(resourceArn=arn, tags={"b": "2"})
    eks.untag_resource(resourceArn=arn, tagKeys=["a"])
    assert eks.list_tags_for_resource(resourceArn=arn)["tags"] == {"b": "2"}
    assert eks.describe_addon(clusterName="t", addonName="x")["addon"]["tags"] == {"b": "2"}


def test_a_key_that_aws_invents_is_another_one_each_time(eks: Any) -> None:
    request = {
        "clusterName": "p",
        "namespace": "kube-system",
        "serviceAccount": "karpenter",
        "roleArn": "arn:aws:iam::123456789012:role/r",
    }
    ids = {
        eks.create_pod_identity_association(**request)["association"]["associationId"]
        for _ in range(2)
    }
    assert len(ids) == 2
    found = eks.describe_pod_identity_association(clusterName="p", associationId=min(ids))
    assert found["association"]["serviceAccount"] == "karpenter"


def test_a_list_of_structures_shows_what_matches(eks: Any) -> None:
    arn = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
    who = {"clusterName": "c", "principalArn": "arn:aws:iam::123456789012:role/r"}
    eks.associate_access_policy(**who, policyArn=arn, accessScope={"type": "cluster"})
    [shown] = eks.list_associated_access_policies(**who)["associatedAccessPolicies"]
    assert (shown["policyArn"], shown["accessScope"]) == (arn, {"type": "cluster"})


def test_what_no_kind_has_reaches_moto(eks: Any) -> None:
    assert eks.list_clusters()["clusters"] == []
    assert code(eks.describe_cluster, name="none") == "ResourceNotFoundException"


@every_kind
def test_a_kind_names_operations_and_members_that_aws_has(kind: Recorded) -> None:
    for name in (kind.create, kind.describe, kind.list, *kind.update, kind.delete):
        if name:
            service_operation(kind, name)
    for name in (kind.describe if not kind.listed_by else "", *kind.update, kind.delete):
        if name:
            shape = service_operation(kind, name).input_shape
            for member in kind.key:
                named = {member.split(".")[0], f"New{kind.body}"}
                assert named & set(shape.members), (name, member)


@every_kind
def test_a_kind_shows_what_it_invents(kind: Recorded) -> None:
    shown = service_operation(kind, kind.describe or kind.list).output_shape
    if kind.member or not kind.describe:
        names = {kind.member, f"{kind.member}s", kind.list_member}
        found = [shown.members[name] for name in names & set(shown.members)]
        shown = (
            found[0] if found else next(s for s in shown.members.values() if s.type_name == "list")
        )
    shown = shown.member if shown.type_name == "list" else shown
    tagged = {kind.arn}  # some ARNs are only ever named by tag operations
    for name in {*kind.made, *kind.sets, *kind.times} - tagged:
        assert name in shown.members or name in summary(kind), name


def summary(kind: Recorded) -> set[str]:
    """Members of what a list shows of a kind, where it shows structures."""
    shape = service_operation(kind, kind.list).output_shape if kind.list else None
    lists = [one for one in shape.members.values() if one.type_name == "list"] if shape else []
    found = [one.member for one in lists if one.member.type_name == "structure"]
    return {name for one in found for name in one.members}
