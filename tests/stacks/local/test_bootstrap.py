"""What an account must have before its first stack, made in the local cloud."""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.errors import UserError
from stacks.bootstrap import account, identity, key
from stacks.bootstrap import bucket as buckets
from stacks.bootstrap.account import needs
from stacks.bootstrap.need import NOT_THERE, Need, contains
from stacks.commands import bootstrap
from stacks.commands.output import CommandOutput
from stacks.service_linked_roles import ROLES
from stacks.settings.load import load_environment, yaml_reader
from stacks.settings.pin import write_backend_url
from stacks.stack_name import environments, stacks_of
from stacks.synth import synth_of
from stacks.targets.state_place import backend_url, secrets_provider
from tests.conftest import ROOT
from tests.kits.local_cloud import Cloud, running_cloud

NAMES = load_environment("local").names
SYNTH_OF = cache(synth_of)
BUCKET, ALIAS = NAMES.bucket("state"), "alias/plinth-local-pulumi"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def cloud(home: Path) -> Iterator[Cloud]:
    with running_cloud(home) as made:
        yield made


@pytest.fixture
def out(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[CommandOutput]:
    """A command's output; bucket and key are gone after the test."""
    monkeypatch.setenv("PLINTH_HOME", str(cloud.home))
    monkeypatch.setattr(account, "synth_of", SYNTH_OF)
    report = CommandOutput(as_json=True)
    yield report
    bootstrap.undo("local", report, confirmed="local")


def test_it_makes_a_place_for_the_state_and_the_second_time_nothing(
    cloud: Cloud, out: CommandOutput
) -> None:
    made = bootstrap.bootstrap("local", out, yes=True)
    assert made["made"][:2] == [f"key {ALIAS}", f"bucket {BUCKET}"]
    s3 = cloud.client("s3")
    assert s3.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
    blocked = s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"]
    assert set(blocked.values()) == {True}
    assert len(blocked) == 4
    arn = cloud.client("kms").describe_key(KeyId=ALIAS)["KeyMetadata"]["Arn"]
    [rule] = s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"] == arn
    statements = json.loads(s3.get_bucket_policy(Bucket=BUCKET)["Policy"])["Statement"]
    assert [s["Condition"] for s in statements if "Condition" in s] == [
        {"Bool": {"aws:SecureTransport": "false"}}
    ]
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.delete_bucket(Bucket=BUCKET)
    again = bootstrap.bootstrap("local", out, yes=True)
    assert again["made"] == []
    assert again["backend_url"] == f"s3://{BUCKET}?region=us-east-1&awssdk=v2"


def test_a_dry_run_and_an_unanswered_question_make_nothing(
    cloud: Cloud, out: CommandOutput
) -> None:
    said = bootstrap.bootstrap("local", out, dry_run=True)
    assert {need["name"]: need["missing"] for need in said["needs"]}[f"bucket {BUCKET}"] == [
        NOT_THERE
    ]
    assert said["made"] == []
    with pytest.raises(UserError, match="must be agreed to") as refused:
        bootstrap.bootstrap("local", out)
    assert "--yes" in refused.value.fix
    assert BUCKET not in [one["Name"] for one in cloud.client("s3").list_buckets()["Buckets"]]


def open_to_all(cloud: Cloud) -> None:
    cloud.client("s3").delete_public_access_block(Bucket=BUCKET)


def without_policy(cloud: Cloud) -> None:
    cloud.client("s3").delete_bucket_policy(Bucket=BUCKET)


def suspended(cloud: Cloud) -> None:
    s3 = cloud.client("s3")
    s3.delete_bucket_policy(Bucket=BUCKET)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})


def by_s3s_own_key(cloud: Cloud) -> None:
    own = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    cloud.client("s3").put_bucket_encryption(
        Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": [own]}
    )


def not_rotated(cloud: Cloud) -> None:
    kms = cloud.client("kms")
    kms.disable_key_rotation(KeyId=kms.describe_key(KeyId=ALIAS)["KeyMetadata"]["KeyId"])


def without_alias(cloud: Cloud) -> None:
    """As a bootstrap leaves it that was killed in between."""
    cloud.client("kms").delete_alias(AliasName=ALIAS)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (open_to_all, "public access block is not as it must be"),
        (without_policy, "policy is not as it must be"),
        (suspended, "versioning is not as it must be"),
        (by_s3s_own_key, "encryption is not as it must be"),
        (not_rotated, "rotation is off"),
        (without_alias, NOT_THERE),
    ],
)
def test_what_somebody_changed_is_named_and_mended(
    cloud: Cloud, out: CommandOutput, change: Callable[[Cloud], None], says: str
) -> None:
    bootstrap.bootstrap("local", out, yes=True)
    arn = key.key_arn(cloud.client("kms"), "local")
    change(cloud)
    seen = bootstrap.bootstrap("local", out, dry_run=True)
    assert says in [line for need in seen["needs"] for line in need["missing"]]
    bootstrap.bootstrap("local", out, yes=True)
    looked = bootstrap.bootstrap("local", out, dry_run=True)
    assert [need["missing"] for need in looked["needs"] if need["missing"]] == []
    assert key.key_arn(cloud.client("kms"), "local") == arn  # no second key


def test_a_key_that_is_to_be_deleted_is_said_and_not_replaced(
    cloud: Cloud, out: CommandOutput
) -> None:
    bootstrap.bootstrap("local", out, yes=True)
    kms = cloud.client("kms")
    own = kms.describe_key(KeyId=ALIAS)["KeyMetadata"]["KeyId"]
    kms.schedule_key_deletion(KeyId=own)
    try:
        with pytest.raises(UserError, match="PendingDeletion") as refused:
            bootstrap.bootstrap("local", out, yes=True)
        assert f"cancel-key-deletion --key-id {own}" in refused.value.fix
    finally:
        kms.cancel_key_deletion(KeyId=own)
        kms.enable_key(KeyId=own)


def test_it_is_not_undone_while_a_stack_is_in_it_nor_unconfirmed(
    cloud: Cloud, out: CommandOutput
) -> None:
    bootstrap.bootstrap("local", out, yes=True)
    s3, place = cloud.client("s3"), f"{buckets.STACKS}local.foundation.json"
    s3.put_object(Bucket=BUCKET, Key=place, Body=b"{}")
    with pytest.raises(UserError, match=r"must have no stacks, got local\.foundation"):
        bootstrap.undo("local", out, confirmed="local")
    with pytest.raises(ClientError, match="AccessDenied"):
        version = s3.list_object_versions(Bucket=BUCKET)["Versions"][0]["VersionId"]
        s3.delete_object(Bucket=BUCKET, Key=place, VersionId=version)
    s3.delete_object(Bucket=BUCKET, Key=place)
    with pytest.raises(UserError, match="confirmed by its name, got 'prod'"):
        bootstrap.undo("local", out, confirmed="prod")
    gone = bootstrap.undo("local", out, confirmed="local")["deleted"]
    assert gone[f"bucket {BUCKET}"] == "deleted, with 2 versions of what was in it"
    assert "30 days" in gone[f"key {ALIAS}"]


def test_service_linked_roles_that_nobody_makes_on_the_way_are_needed(cloud: Cloud) -> None:
    found = {need.name for need in needs("dev", cloud.client)}
    assert "role AWSServiceRoleForEC2Spot" in found
    assert "role AWSServiceRoleForAmazonEKS" not in found  # EKS makes it


def test_a_service_linked_role_is_made_once(cloud: Cloud) -> None:
    iam = cloud.client("iam")
    [role] = [role for role in ROLES if role.service == "kafka.amazonaws.com"]
    made_once(identity.service_role(iam, role))
    path = iam.get_role(RoleName="AWSServiceRoleForKafka")["Role"]["Path"]
    assert path == "/aws-service-role/kafka.amazonaws.com/"


def test_githubs_provider_is_made_once(cloud: Cloud) -> None:
    made_once(identity.github_provider(cloud.client("iam"), NAMES, {"project": "plinth"}))


def test_a_provider_that_is_not_for_sts_is_made_so() -> None:
    class Iam:
        """The two operations, of which moto knows one."""

        clients: tuple[str, ...] = ("another",)

        def get_open_id_connect_provider(self, **request: str) -> Any:
            return {"ClientIDList": [*self.clients]}

        def add_client_id_to_open_id_connect_provider(self, **request: str) -> None:
            self.clients = (*self.clients, request["ClientID"])

    need = identity.github_provider(Iam(), NAMES, {})
    assert need.missing() == ["is not for AWS STS"]
    need.make()
    assert need.missing() == []


def made_once(need: Need) -> None:
    assert need.missing() == [NOT_THERE]
    need.make()
    need.make()
    assert need.missing() == []


def test_a_bucket_that_another_account_has_is_said() -> None:
    class Elsewhere:
        def head_bucket(self, **request: str) -> None:
            answer: Any = {
                "Error": {"Code": "403", "Message": "Forbidden"},
                "ResponseMetadata": {"HTTPStatusCode": 403},
            }
            raise ClientError(answer, "HeadBucket")

    need = buckets.state_bucket(Elsewhere(), NAMES, lambda: "", {})
    with pytest.raises(UserError, match="must be this account's to see, got 403"):
        need.missing()


@pytest.mark.parametrize(
    ("got", "wanted", "fits"),
    [
        ({"a": 1, "added": 2}, {"a": 1}, True),
        ({"a": [{"b": 1, "added": 2}]}, {"a": [{"b": 1}]}, True),
        ({"a": [{"b": 1}, {"b": 2}]}, {"a": [{"b": 1}]}, False),
        ({}, {"a": 1}, False),
        (None, {"a": 1}, False),
        ({"a": None}, {"a": [1]}, False),
    ],
)
def test_an_answer_contains_what_is_wanted(got: Any, wanted: Any, fits: bool) -> None:
    assert contains(got, wanted) == fits


def test_every_file_names_the_key_of_its_environment_with_its_region() -> None:
    found: Mapping[str, set[str]] = {
        env: {
            yaml_reader().load(stack.file.read_text())["secretsprovider"]
            for stack in stacks_of(env)
        }
        for env in environments()
        if env != "local"
    }
    assert len(found) >= 3
    for env, named in found.items():
        region = load_environment(env).account.region
        assert named == {secrets_provider(env, region)}


def test_the_place_for_the_state_is_written_and_taken_out_again(tmp_path: Path) -> None:
    source = ROOT / "stacks" / "environments" / "dev.yaml"
    (tmp_path / "dev.yaml").write_text(source.read_text())
    url = backend_url(load_environment("dev").names)
    write_backend_url("dev", url, tmp_path)
    assert load_environment("dev", tmp_path).account.backend_url == url
    write_backend_url("dev", None, tmp_path)
    assert (tmp_path / "dev.yaml").read_text() == source.read_text()
