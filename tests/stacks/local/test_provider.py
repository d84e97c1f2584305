"""The local provider speaks Pulumi's protocol, and a create is safe to repeat."""

import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import provider_pb2

from stacks.local.provider.aws.backend import AwsBackend
from stacks.local.provider.backend import UNKNOWN
from stacks.local.provider.secrecy import SECRET, SIGNATURE
from stacks.local.provider.server import UNKNOWNS, pack, unpack
from stacks.local.runtime.keys import Keys
from tests.kits.fake_backend import URN, Engine, FakeBackend, connected, engine_at, plain

SMALL = {"size": "s", "colour": "red"}
LARGE = {"size": "l", "colour": "red"}
BLUE = {"size": "s", "colour": "blue"}
KEYS = Keys(access_key_id="AKIA", secret_access_key="secret", tracking_password="word")
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


@pytest.fixture
def served(backend: FakeBackend) -> Iterator[tuple[Engine, int]]:
    with connected(backend) as engine_and_port:
        yield engine_and_port


@pytest.fixture
def engine(served: tuple[Engine, int]) -> Engine:
    return served[0]


@pytest.fixture(scope="module")
def aws() -> Iterator[Engine]:
    """The AWS backend, for what needs no cloud."""
    with connected(AwsBackend(NOWHERE, "us-east-1", KEYS)) as (engine, _):
        yield engine


def aws_urn(token: str, name: str = "it") -> str:
    return f"urn:pulumi:test::plinth::{token}::{name}"


# -- values ------------------------------------------------------------------------------------


def test_values_keep_their_kinds_over_the_wire() -> None:
    values = {"a": 1, "b": 1.5, "c": True, "d": "x", "e": [1, {"f": "g"}], "h": {}, "i": ""}
    assert unpack(pack(values)) == values


def test_every_spelling_of_unknown_is_unknown() -> None:
    assert unpack(pack({"a": sorted(UNKNOWNS)})) == {"a": [UNKNOWN] * len(UNKNOWNS)}


def test_a_secret_is_what_it_holds() -> None:
    assert unpack(pack({"a": {SIGNATURE: SECRET, "value": ["b"]}})) == {"a": ["b"]}


# -- the plugin itself -------------------------------------------------------------------------


def test_the_plugin_tells_its_version_and_schema(engine: Engine) -> None:
    assert engine.stub.GetPluginInfo(empty_pb2.Empty()).version == "1.2.3"
    schema = engine.stub.GetSchema(provider_pb2.GetSchemaRequest()).schema
    assert schema == '{"name": "fake", "version": "1.2.3"}'


def test_the_plugin_takes_secrets_and_previews(engine: Engine) -> None:
    configured = engine.configure({})
    assert configured.supportsPreview
    assert configured.acceptSecrets and not configured.acceptResources
    shaken = engine.stub.Handshake(provider_pb2.ProviderHandshakeRequest())
    assert shaken.accept_secrets and not shaken.accept_outputs


def test_engines_at_once_keep_their_own_settings(
    backend: FakeBackend, served: tuple[Engine, int]
) -> None:
    first, port = served
    with engine_at(port) as second:
        first.configure({"region": "here"})
        second.configure({"region": "there"})
        for engine in (first, second, first):
            engine.check(SMALL)
    assert [settings["region"] for settings in backend.settings] == ["here", "there", "here"]


def test_an_engine_that_reconnects_finds_the_settings_of_its_stack(
    backend: FakeBackend, served: tuple[Engine, int]
) -> None:
    first, port = served
    first.configure({"region": "here"})
    first.configure({"region": "other"}, stack="other")
    first.configure({"region": "here"})
    with engine_at(port) as again:
        again.check(SMALL)
        again.check(SMALL, urn=URN.replace(":test::", ":unheard::"))
    assert backend.settings == [{"region": "here"}, {}]


def test_nested_settings_arrive_as_values(backend: FakeBackend, engine: Engine) -> None:
    engine.configure({"defaultTags": '{"tags": {"team": "ml"}}', "token": "a"})
    engine.check(SMALL)
    assert backend.settings == [{"defaultTags": {"tags": {"team": "ml"}}, "token": "a"}]


def test_a_setting_without_effect_is_refused(engine: Engine) -> None:
    answer = engine.stub.CheckConfig(provider_pb2.CheckRequest(urn=URN, news=pack({"odd": "1"})))
    assert [failure.property for failure in answer.failures] == ["odd"]


def test_an_error_says_where_what_and_how_to_fix_it(engine: Engine) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        engine.create({"size": "impossible"})
    assert caught.value.details() == (
        'fake:thing/box:Box "box": size must be possible, got it not; fix: choose another'
    )


def test_a_preview_creates_nothing_and_leaves_the_rest_unknown(
    backend: FakeBackend, engine: Engine
) -> None:
    answer = engine.create(SMALL, preview=True)
    assert plain(answer.properties) == {**SMALL, "serial": UNKNOWN}
    assert (answer.id, backend.boxes) == ("", {})


def test_a_difference_says_how_each_property_changes(engine: Engine) -> None:
    id = engine.create(SMALL).id
    kinds = provider_pb2.PropertyDiff.Kind
    answer = engine.diff(id, SMALL, {"size": "l", "colour": "blue", "name": "a"})
    assert {path: kinds.Name(d.kind) for path, d in answer.detailedDiff.items()} == {
        "size": "UPDATE",
        "colour": "UPDATE_REPLACE",
        "name": "UPDATE",
    }
    assert (list(answer.replaces), answer.deleteBeforeReplace) == (["colour"], True)
    unchanged = engine.diff(id, SMALL, SMALL)
    assert unchanged.changes == provider_pb2.DiffResponse.DIFF_NONE
    assert not unchanged.hasDetailedDiff


def test_changes_that_the_program_ignores_are_no_changes(engine: Engine) -> None:
    request = provider_pb2.DiffRequest(
        urn=URN, id="box-9", old_inputs=pack(SMALL), news=pack(LARGE), ignoreChanges=["size"]
    )
    assert engine.stub.Diff(request).changes == provider_pb2.DiffResponse.DIFF_NONE


def test_reading_what_is_gone_answers_without_an_id(engine: Engine) -> None:
    assert engine.read("box-9", SMALL).id == ""


# -- a create whose answer was lost ------------------------------------------------------------


def test_a_lost_create_is_adopted(backend: FakeBackend, engine: Engine) -> None:
    lost = engine.run(SMALL)
    assert engine.run(SMALL) == lost
    assert (backend.created, backend.boxes) == (1, {lost: SMALL})


def test_a_lost_create_is_updated_to_what_the_program_says_now(
    backend: FakeBackend, engine: Engine
) -> None:
    lost = engine.run(SMALL)
    assert engine.run(LARGE) == lost
    assert (backend.created, backend.boxes) == (1, {lost: LARGE})


def test_a_lost_create_that_cannot_be_updated_is_replaced(
    backend: FakeBackend, engine: Engine
) -> None:
    engine.run(SMALL)
    again = engine.run(BLUE)
    assert (backend.created, backend.boxes) == (2, {again: BLUE})


def test_a_lost_create_that_is_gone_is_made_anew(backend: FakeBackend, engine: Engine) -> None:
    backend.boxes.pop(engine.run(SMALL))
    again = engine.run(SMALL)
    assert backend.boxes == {again: SMALL}


def test_a_create_waits_for_the_same_create_of_a_killed_engine(
    backend: FakeBackend, served: tuple[Engine, int]
) -> None:
    second, port = served
    backend.hold = threading.Event()
    with engine_at(port) as killed:
        request = provider_pb2.CreateRequest(urn=URN, properties=pack(SMALL))
        cut_off = killed.stub.Create.future(request)
        assert backend.begun.wait(5)
    assert cut_off.code() == grpc.StatusCode.CANCELLED
    answers: list[str] = []
    waiting = threading.Thread(target=lambda: answers.append(second.run(SMALL)))
    waiting.start()
    waiting.join(0.3)
    assert waiting.is_alive() and backend.created == 1
    backend.hold.set()
    waiting.join(5)
    assert (answers, backend.created) == (["box-1"], 1)


def test_the_new_half_of_a_replacement_does_not_adopt_the_old_half(
    backend: FakeBackend, engine: Engine
) -> None:
    old = engine.run(SMALL)
    new = engine.run(BLUE, SMALL, old)
    assert (new, backend.boxes) == ("box-2", {"box-2": BLUE})
    assert new != old


def test_a_forced_replacement_of_the_same_inputs_makes_a_second_one(
    backend: FakeBackend, engine: Engine
) -> None:
    """`up --target-replace` asks for no difference: the two checks are all that is seen."""
    old = engine.run(SMALL)
    engine.check(SMALL, SMALL)
    engine.check(SMALL)
    assert engine.create(SMALL).id != old
    assert backend.created == 2


def test_the_lost_new_half_of_a_replacement_is_adopted(
    backend: FakeBackend, engine: Engine
) -> None:
    old = engine.run(SMALL)
    engine.check(BLUE, SMALL)
    engine.diff(old, SMALL, BLUE)
    engine.check(BLUE)
    lost = engine.create(BLUE).id  # the engine dies here: its state holds the old one
    assert engine.run(BLUE, SMALL, old) == lost
    assert (backend.created, backend.boxes) == (2, {lost: BLUE})


@pytest.mark.parametrize("new", [{**BLUE, "name": "n"}, {**SMALL, "name": "n"}])
def test_the_lost_new_half_of_a_replacement_that_deletes_first_is_adopted(
    backend: FakeBackend, engine: Engine, new: dict[str, str]
) -> None:
    old_inputs = {**SMALL, "name": "n"}
    old = engine.run(old_inputs)
    engine.check(new, old_inputs)
    engine.diff(old, old_inputs, new)
    engine.check(new)
    engine.delete(old, old_inputs)
    lost = engine.create(new).id  # dies here: the state holds the old inputs, marked deleted
    engine.check(new, old_inputs)
    assert engine.create(new).id == lost
    assert (backend.created, backend.boxes) == (2, {lost: new})


@pytest.mark.parametrize("shown_by", ["diff", "read", "update", "check"])
def test_what_an_engine_knows_is_never_adopted(engine: Engine, shown_by: str) -> None:
    known = engine.create(SMALL).id
    {
        "diff": lambda: engine.diff(known, SMALL, SMALL),
        "read": lambda: engine.read(known, SMALL),
        "update": lambda: engine.update(known, SMALL, SMALL),
        "check": lambda: engine.check(SMALL, SMALL),
    }[shown_by]()
    assert engine.create(SMALL).id != known


def test_a_check_without_old_inputs_does_not_unmark(backend: FakeBackend, engine: Engine) -> None:
    known = engine.create(SMALL).id
    engine.diff(known, SMALL, BLUE)
    engine.check(BLUE)
    assert engine.create(BLUE).id != known


def test_a_renamed_resource_is_not_adopted_under_its_old_name(
    backend: FakeBackend, engine: Engine
) -> None:
    id = engine.create(SMALL).id
    engine.diff(id, SMALL, SMALL, urn=f"{URN}-renamed")
    assert engine.create(SMALL).id != id


def test_stacks_do_not_adopt_from_each_other(backend: FakeBackend, engine: Engine) -> None:
    id = engine.create(SMALL).id
    assert engine.create(SMALL, urn=URN.replace(":test::", ":other::")).id != id


def test_deleting_twice_is_quiet_and_forgets(backend: FakeBackend, engine: Engine) -> None:
    id = engine.create(SMALL).id
    engine.delete(id, SMALL)
    engine.delete(id, SMALL)
    assert engine.create(SMALL).id != id


# -- what AWS programs may say -----------------------------------------------------------------


def failures(engine: Engine, token: str, inputs: dict[str, Any]) -> list[str]:
    return [failure.reason for failure in engine.check(inputs, urn=aws_urn(token)).failures]


def test_an_unknown_type_names_the_row_to_add(aws: Engine) -> None:
    assert failures(aws, "aws:glue/crawler:Crawler", {}) == [
        "aws:glue/crawler:Crawler has no row for the local environment; "
        "add one to stacks/local/provider/aws/rows/glue.py"
    ]


def test_an_unknown_property_is_refused_at_any_depth(aws: Engine) -> None:
    where = "is not served; add it to its row in stacks/local/provider/aws/rows/eks.py"
    inputs = {"name": "a", "computeConfig": {}, "vpcConfig": {"subnetIds": [], "vpcId": "b"}}
    assert failures(aws, "aws:eks/cluster:Cluster", inputs) == [
        f"computeConfig {where}",
        f"vpcConfig.vpcId {where}",
    ]


def test_an_unknown_value_is_not_refused(aws: Engine) -> None:
    inputs = {"vpcConfig": UNKNOWN, "tags": UNKNOWN, "name": UNKNOWN}
    assert failures(aws, "aws:eks/cluster:Cluster", inputs) == []


def test_another_region_is_refused(aws: Engine) -> None:
    assert failures(aws, "aws:ec2/vpc:Vpc", {"region": "us-east-1"}) == []
    assert failures(aws, "aws:ec2/vpc:Vpc", {"region": "eu-west-1"}) == [
        "region must be 'us-east-1' in the local environment, got 'eu-west-1'"
    ]


def test_provider_settings_are_known_by_name(aws: Engine) -> None:
    wanted = {"region": "us-east-1", "defaultTags": "{}", "assumeRoles": "[]", "s3UsePathStyle": ""}
    answer = aws.stub.CheckConfig(
        provider_pb2.CheckRequest(urn=aws_urn("pulumi:providers:aws"), news=pack(wanted))
    )
    assert [failure.property for failure in answer.failures] == ["assumeRoles"]


def test_default_tags_reach_taggable_types_alone() -> None:
    with connected(AwsBackend(NOWHERE, "us-east-1", KEYS)) as (engine, _):
        engine.configure({"defaultTags": '{"tags": {"team": "ml", "stage": "test"}}'})
        vpc = engine.check({"tags": {"team": "data"}}, urn=aws_urn("aws:ec2/vpc:Vpc"))
        policy = engine.check({}, urn=aws_urn("aws:s3/bucketPolicy:BucketPolicy"))
    assert plain(vpc.inputs) == {"tags": {"team": "data", "stage": "test"}}
    assert plain(policy.inputs) == {}


def test_a_name_left_out_is_made_up_once(aws: Engine) -> None:
    def name(old: dict[str, Any], seed: bytes) -> object:
        request = provider_pb2.CheckRequest(
            urn=aws_urn("aws:sns/topic:Topic", "alarms"), olds=pack(old), randomSeed=seed
        )
        return plain(aws.stub.Check(request).inputs)["name"]

    first = name({}, b"\x01\x02\x03\x04")
    assert first == "alarms-0102030"
    assert name({"name": first}, b"\x05\x06\x07\x08") == first
    assert name({}, b"\x05\x06\x07\x08") == "alarms-0506070"


def kinds(engine: Engine, token: str, old: dict[str, Any], new: dict[str, Any]) -> object:
    answer = engine.diff("id", old, new, urn=aws_urn(token))
    name = provider_pb2.PropertyDiff.Kind.Name
    return {path: name(detail.kind) for path, detail in answer.detailedDiff.items()}


def test_a_feature_is_added_in_place_and_removed_by_replacement() -> None:
    """By SageMaker; the official provider, whose word counts by default, replaces either way."""
    for whose, addition in (("aws", "ADD"), ("here", "ADD_REPLACE"), ("official", "ADD_REPLACE")):
        backend = AwsBackend(NOWHERE, "us-east-1", KEYS, whose=whose)  # type: ignore[arg-type]
        with connected(backend) as (engine, _):
            _features_are_added_and_removed(engine, addition)


def _features_are_added_and_removed(aws: Engine, addition: str) -> None:
    token = "aws:sagemaker/featureGroup:FeatureGroup"

    def group(**features: str) -> dict[str, Any]:
        definitions = [{"featureName": n, "featureType": t} for n, t in features.items()]
        return {"featureGroupName": "g", "featureDefinitions": definitions}

    one, two = group(a="String"), group(b="String", a="String")
    assert kinds(aws, token, one, two) == {"featureDefinitions[0]": addition}
    assert kinds(aws, token, two, one) == {"featureDefinitions[0]": "DELETE_REPLACE"}
    assert kinds(aws, token, one, group(a="Integral")) == {
        "featureDefinitions[0].featureType": "UPDATE_REPLACE"
    }
    assert kinds(aws, token, two, group(a="String", b="String")) == {}
    assert aws.diff("g", two, one, urn=aws_urn(token)).deleteBeforeReplace


def test_a_renamed_resource_is_created_before_the_old_one_goes(aws: Engine) -> None:
    token = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"
    old, new = {"name": "a", "kmsKeyArn": "k"}, {"name": "b", "kmsKeyArn": "l"}
    answer = aws.diff("a", old, new, urn=aws_urn(token))
    assert (sorted(answer.replaces), answer.deleteBeforeReplace) == (["kmsKeyArn", "name"], False)


@pytest.mark.parametrize(
    ("token", "old", "new"),
    [
        ("aws:iam/role:Role", {"assumeRolePolicy": '{"a": 1}'}, {"assumeRolePolicy": '{"a":1}'}),
        ("aws:ec2/vpc:Vpc", {}, {"enableDnsSupport": True}),
        ("aws:ec2/vpc:Vpc", {"tags": {}}, {}),
        ("aws:eks/cluster:Cluster", {"version": "1.34"}, {}),
        ("aws:eks/nodeGroup:NodeGroup", {"subnetIds": ["a", "b"]}, {"subnetIds": ["b", "a"]}),
        ("aws:ec2/launchTemplate:LaunchTemplate", {"ebsOptimized": "true"}, {"ebsOptimized": True}),
    ],
)  # fmt: skip
def test_what_aws_takes_for_the_same_is_no_change(
    aws: Engine, token: str, old: dict[str, Any], new: dict[str, Any]
) -> None:
    assert kinds(aws, token, old, new) == {}


def test_an_unknown_value_changes_and_may_replace(aws: Engine) -> None:
    old, new = {"vpcId": "a", "mapPublicIpOnLaunch": True}, {"vpcId": UNKNOWN}
    assert kinds(aws, "aws:ec2/subnet:Subnet", old, new) == {
        "mapPublicIpOnLaunch": "UPDATE",  # to AWS's default
        "vpcId": "UPDATE_REPLACE",
    }


def test_the_order_of_instance_types_counts(aws: Engine) -> None:
    old, new = {"instanceTypes": ["a", "b"]}, {"instanceTypes": ["b", "a"]}
    assert kinds(aws, "aws:eks/nodeGroup:NodeGroup", old, new) == {
        "instanceTypes": "UPDATE_REPLACE"
    }


def test_an_update_leaves_what_it_changes_by_itself_unknown(aws: Engine) -> None:
    old = {"name": "a", "latestVersion": 1, "arn": "arn"}
    request = provider_pb2.UpdateRequest(
        urn=aws_urn("aws:ec2/launchTemplate:LaunchTemplate"),
        id="a", olds=pack(old), news=pack({"name": "a", "imageId": "b"}), preview=True,
    )  # fmt: skip
    planned = plain(aws.stub.Update(request).properties)
    assert planned["latestVersion"] == UNKNOWN and planned["arn"] == "arn"


def test_functions_say_where_one_is_and_others_are_refused(aws: Engine) -> None:
    def invoke(token: str) -> struct_pb2.Struct:
        return getattr(aws.stub.Invoke(provider_pb2.InvokeRequest(tok=token)), "return")

    assert plain(invoke("aws:index/getRegion:getRegion"))["region"] == "us-east-1"
    assert plain(invoke("aws:index/getPartition:getPartition"))["partition"] == "aws"
    with pytest.raises(grpc.RpcError, match="aws:ec2/getAmi:getAmi is not served"):
        invoke("aws:ec2/getAmi:getAmi")
