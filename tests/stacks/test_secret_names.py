"""A value whose name says that it is secret stands in no error, and in no file that is sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.errors import UserError
from pipelines.executor import parameters
from pipelines.executor.cache import differences
from policies.secret_names import says_secret, without_secrets
from stacks.commands.exit_codes import bug, without_secret
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


IN_TEXTS = {
    "a URL": "postgres://me:CANARY@host/db",
    "a variable": "DB_PASSWORD=CANARY python train.py",
    "a variable in quotes": "export API_TOKEN='CANARY and more'",
    "JSON": '{"days": 7, "dbPassword": "CANARY"}',
    "JSON in JSON": r'{"definition": "{\"dbPassword\": \"CANARY\"}"}',
    "an option": "train --api-token CANARY --days 7",
    "an option with its value": "train --api-token=CANARY",
    "a list of arguments as Python writes it": "['--password', 'CANARY']",
    "a header": "curl -H 'Authorization: Bearer CANARY'",
    "a query": "https://host/?token=CANARY&days=7",
    "a property": "spring.datasource.password=CANARY",
    "a provider's key": "found ghp_" + "a" * 36 + "CANARY in it",
    "a private key": "-----BEGIN RSA PRIVATE KEY-----\nCANARY\n-----END RSA PRIVATE KEY----- end",
}


@pytest.mark.parametrize("case", IN_TEXTS)
def test_a_secret_in_a_text_is_left_out_of_it(case: str) -> None:
    text = IN_TEXTS[case].replace("CANARY", CANARY)
    assert CANARY in text
    told = without_secrets(text)
    assert CANARY not in told
    assert "[secret]" in told
    assert told[:3] == text[:3] or told.startswith("[secret]"), "what stands around it is told"


@pytest.mark.parametrize(
    "text",
    (
        "arn:aws:secretsmanager:us-east-1:123456789012:secret:one", "TOKEN=$T", "PASSWORD=${P}",
        "tokenizer=bert", "token: must be a text", "secretArn=arn:aws:iam::1:role/a", "a_tokens=5",
        "authorization: AWS_IAM", "https://host:8080/path", "key=value", "a --days 7",
    ),
)  # fmt: skip
def test_what_is_no_secret_stays_as_it_is(text: str) -> None:
    assert without_secrets(text) == text


def test_a_line_of_settings_is_one_only_where_settings_are() -> None:
    assert without_secrets(f"a: 1\npassword: {CANARY}\n", settings=True) == (
        "a: 1\npassword: [secret]\n"
    )
    assert "must be" in without_secrets("token: must be a text\n")


def test_what_a_cache_says_of_arguments_holds_no_secret() -> None:
    def arguments(one: str) -> dict[str, list[str]]:
        return {"ContainerArguments": ["--api-token", one, f"--password={one}", f"s://me:{one}@h"]}

    told = list(differences(arguments(f"{CANARY}-1"), arguments(f"{CANARY}-2")))
    assert len(told) == 3
    assert all("is another (a secret is not shown)" in line for line in told)
    assert CANARY not in "".join(told)


def test_a_problem_and_the_file_about_a_bug_hold_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PLINTH_HOME", str(tmp_path))
    try:
        raise ValueError(f"cannot connect to postgres://me:{CANARY}@host")
    except ValueError as error:
        bug(error, ["run", "local.a", "--token", CANARY, "--json"])
    told = capsys.readouterr()
    report = (tmp_path / "bug.md").read_text()
    assert "cannot connect to postgres://me:[secret]@host" in report
    assert CANARY not in told.out + told.err + report


def test_the_file_about_a_bug_names_no_secret_argument() -> None:
    words = ["run", "local.a", "--param", f"ApiToken={CANARY}", f"--param=DbPassword={CANARY}"]
    assert CANARY not in " ".join(without_secret(words))
    assert without_secret(["--param=TrainEnd=2013-05-01"]) == ["--param=TrainEnd=2013-05-01"]
