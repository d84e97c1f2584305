"""A value whose name says that it is secret stands in no error, and in no file that is sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.errors import UserError
from pipelines.executor import parameters
from policies.secret_names import says_secret
from stacks.commands.exit_codes import without_secret
from stacks.paths import ENVIRONMENTS
from stacks.settings import load

CANARY = "canary-7f3a91"


@pytest.mark.parametrize(
    "name",
    (
        "password", "DB_PASSWORD", "passwd", "apiKey", "api_key", "GITHUB_TOKEN", "secret", "pwd",
        "private-key", "credentials", "Credential", "AWS_SECRET_ACCESS_KEY", "auth.token", "dsn",
    ),
)  # fmt: skip
def test_a_name_says_secret(name: str) -> None:
    assert says_secret(name)


@pytest.mark.parametrize(
    "name",
    ["key", "kmsKey", "keyArn", "secretArn", "tokens", "monkey", "bucketKeyEnabled", "tokenizer"],
)
def test_a_name_says_nothing_of_the_kind(name: str) -> None:
    assert not says_secret(name)


SETTINGS = {
    "a secret in place of a number": ("plinth:network", "{nat_gateways: {password: CANARY}}"),
    "a secret in an unknown key": ("plinth:network", "{password: CANARY}"),
    "a list of secrets": ("plinth:network", "{zones: [{name: API_TOKEN, value: CANARY}]}"),
    "a key that is unknown": ("plinth:api_token", "CANARY"),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_a_wrong_setting_is_told_without_the_secret_in_it(case: str, tmp_path: Path) -> None:
    key, text = SETTINGS[case]
    for path in ENVIRONMENTS.glob("*.yaml"):
        (tmp_path / path.name).write_text(path.read_text())
    file = tmp_path / "Pulumi.dev.foundation.yaml"
    lines = [line for line in file.read_text().splitlines() if not line.startswith(f"  {key}:")]
    file.write_text("\n".join([*lines, f"  {key}: {text.replace('CANARY', CANARY)}"]) + "\n")
    with pytest.raises(UserError) as told:
        load.load_foundation("dev", tmp_path)
    assert CANARY not in f"{told.value} {told.value.problem} {told.value.fix}"


def test_a_wrong_parameter_of_a_pipeline_is_told_without_its_value() -> None:
    declared = [
        {"Name": "ApiToken", "Type": "Integer"},
        {"Name": "DbPassword", "Type": "String", "EnumValues": ["a"]},
        {"Name": "Rows", "Type": "Integer"},
    ]
    given = {"ApiToken": CANARY, "DbPassword": CANARY, "Rows": "many"}
    told = parameters.check({"Parameters": declared}, given)
    assert len(told) == 3
    assert CANARY not in "".join(told)
    assert "got 'many'" in told[2]


def test_the_file_about_a_bug_names_no_secret_argument() -> None:
    words = ["run", "local.a", "--param", f"ApiToken={CANARY}", f"--param=DbPassword={CANARY}"]
    assert CANARY not in " ".join(without_secret(words))
    assert without_secret(["--param=TrainEnd=2013-05-01"]) == ["--param=TrainEnd=2013-05-01"]
