"""Adopt: what exists becomes the program's own under its id; nothing is replaced on the way."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from infra.errors import CheckFailed, UserError
from stacks.adoption import adopt, load_adopted, save_adopted
from stacks.commands.adopt import AdoptionResult, judge
from stacks.local.daemon import environment
from stacks.stack_name import StackName
from stacks.synth import recorded
from stacks.targets.engine import Changes, Stack
from stacks.toolchain import pulumi as toolchain

BUCKET = "aws:s3/bucket:Bucket::mine"
DEV = StackName("dev", "foundation")


def test_what_is_written_down_is_read_again(tmp_path: Path) -> None:
    path = save_adopted(DEV, {BUCKET: "b", "aws:iam/role:Role::r": "r"}, tmp_path / "a" / "dev")
    assert load_adopted(DEV, path) == {BUCKET: "b", "aws:iam/role:Role::r": "r"}
    assert load_adopted(DEV, tmp_path / "none") == {}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- a", "must map"),
        ("aws:s3/bucket:Bucket: b", "must map"),
        (f"{BUCKET}: 12", "must map"),
        ("a: [", "must be YAML"),
    ],
)
def test_a_wrong_file_is_refused(text: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "dev.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=problem):
        load_adopted(DEV, path)


def step(op: str, *, old: str | None = None, **diff: Any) -> dict[str, Any]:
    return {
        "op": op,
        "urn": "urn:pulumi:dev::plinth::plinth:infra:Storage$aws:s3/bucket:Bucket::mine",
        "oldState": {"id": old, "inputs": {key: a for key, (a, _) in diff.items()}},
        "newState": {"id": "", "inputs": {key: b for key, (_, b) in diff.items()}},
        "detailedDiff": {key: {"kind": "update"} for key in diff},
    }


@pytest.mark.parametrize(
    ("steps", "refused", "changed"),
    [
        ([step("import")], [], []),
        ([step("same", old="b")], [], []),
        ([step("same", old="other")], [f"{BUCKET} is other already, not b"], []),
        (
            [step("import"), step("update", old="b", acl=("x", "y"))],
            [],
            [f"{BUCKET}: acl is 'x', must be 'y'"],
        ),
        ([step("import"), step("replace", old="b")], [f"{BUCKET} would replace b"], []),
        ([step("import-replacement", old="b")], [f"{BUCKET} would import-replacement b"], []),
        ([], [f"{BUCKET} would do nothing"], []),
    ],
)
def test_only_an_import_that_changes_nothing_is_an_adoption(
    steps: list[dict[str, Any]], refused: list[str], changed: list[str]
) -> None:
    verdict = judge({BUCKET: "b"}, steps)
    assert (verdict.refused, verdict.changed) == (refused, changed)


TAGS = {"owner": "you"}
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "ec2.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}


class Platform(pulumi.ComponentResource):
    """Resources below a component, as all of ours are."""

    def __init__(self, bucket: str, tags: Mapping[str, str]) -> None:
        super().__init__("plinth:infra:Platform", "platform")
        child = pulumi.ResourceOptions(parent=self)
        aws.s3.Bucket("mine", bucket=bucket, tags=tags, opts=child)
        aws.iam.Role(
            "mine", name="mine", assume_role_policy=json.dumps(POLICY), tags=TAGS, opts=child
        )
        aws.kms.Key("mine", description="mine", tags=TAGS, opts=child)


def program(
    adopted: Mapping[str, str], bucket: str = "mine", tags: Mapping[str, str] = TAGS
) -> Callable[[], None]:
    def run() -> None:
        adopt(adopted)
        Platform(bucket, tags)

    return run


def test_a_program_without_anything_to_adopt_is_the_same_program() -> None:
    plain = [(item.urn, item.inputs) for item in recorded(program({}))]
    adopting = [(item.urn, item.inputs) for item in recorded(program({BUCKET: "mine"}))]
    assert plain == adopting


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, pulumi_cli: Path) -> Iterator[Stack]:
    """The real engine on a local cloud of its own."""
    from stacks.local.daemon import client as session

    home = tmp_path_factory.mktemp("adopt")
    local = environment.start(home, None, lambda text: None)
    pulumi_ = toolchain.ensure(lambda text: None)
    yield Stack(
        name="local.foundation",
        pulumi_root=pulumi_.root,
        pulumi_home=home / "pulumi",
        environment=local.engine(),
        secrets_provider="passphrase",
        policy_pack=None,
    )
    session.stop(home)


def run(stack: Stack, operation: Any, what: Callable[[], None]) -> Changes:
    return stack.run(operation, what, lambda count, name: None)


@pytest.fixture(scope="module")
def existing(stack: Stack) -> dict[str, str]:
    """A bucket, a role and a key that somebody made by hand; their ids by resource."""
    import boto3

    def client(service: str) -> Any:
        url = stack.environment["AWS_ENDPOINT_URL"]
        session = boto3.Session(
            stack.environment["AWS_ACCESS_KEY_ID"],
            stack.environment["AWS_SECRET_ACCESS_KEY"],
            region_name="us-east-1",
        )
        return session.client(service, endpoint_url=url)

    pairs = [{"Key": key, "Value": value} for key, value in TAGS.items()]
    client("s3").create_bucket(Bucket="mine")
    client("s3").put_bucket_tagging(Bucket="mine", Tagging={"TagSet": pairs})
    client("iam").create_role(
        RoleName="mine", AssumeRolePolicyDocument=json.dumps(POLICY), Tags=pairs
    )
    key = client("kms").create_key(
        Description="mine", Tags=[{"TagKey": k, "TagValue": v} for k, v in TAGS.items()]
    )
    return {
        BUCKET: "mine",
        "aws:iam/role:Role::mine": "mine",
        "aws:kms/key:Key::mine": key["KeyMetadata"]["KeyId"],
    }


@pytest.mark.engine
def test_differences_are_shown_before_anything_is_adopted(
    stack: Stack, existing: dict[str, str]
) -> None:
    other = run(stack, "preview", program(existing, tags={"owner": "other"}))
    verdict = judge(existing, other.steps)
    assert verdict.refused == []
    assert [line.partition(" is ")[0] for line in verdict.changed] == [f"{BUCKET}: tags.owner"]


@pytest.mark.engine
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the SDK's own
def test_a_resource_that_does_not_exist_is_not_adopted(
    stack: Stack, existing: dict[str, str]
) -> None:
    with pytest.raises(CheckFailed, match="nobodys"):
        run(stack, "preview", program({**existing, BUCKET: "nobodys"}, bucket="nobodys"))


@pytest.mark.engine
def test_what_exists_is_adopted_under_its_id_and_nothing_is_created_or_replaced(
    stack: Stack, existing: dict[str, str]
) -> None:
    shown = run(stack, "preview", program(existing))
    assert judge(existing, shown.steps) == AdoptionResult(refused=[], changed=[])
    run(stack, "up", program(existing))
    again = run(stack, "preview", program(existing))
    kept = [step for step in again.steps if step["op"] == "same" and "$aws:" in step["urn"]]
    ids = {step["urn"].partition("$")[2]: step["oldState"]["id"] for step in kept}
    assert ids == existing
    assert {name for name, count in again.counts.items() if count} == {"same"}
