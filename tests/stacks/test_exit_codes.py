"""What a person is told of an error that nobody caught."""

import errno
import gc
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
    SSOTokenLoadError,
)

from stacks.cli import main
from stacks.commands.exit_codes import EXIT_BUG, EXIT_USER, failed, of_a_cloud, of_the_machine
from stacks.commands.output import CommandOutput
from stacks.terminal import CONTROL
from tests.conftest import ROOT


def refused(code: str, status: int) -> ClientError:
    answer: Any = {
        "Error": {"Code": code, "Message": "User: arn:aws:iam::1:user/anna is not authorized"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(answer, "UpdateModelPackage")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (refused("AccessDeniedException", 400), EXIT_USER),
        (refused("AccessDenied", 403), EXIT_USER),
        (refused("UnauthorizedOperation", 403), EXIT_USER),
        (refused("KMSAccessDeniedException", 400), EXIT_USER),
        (refused("ExpiredTokenException", 400), EXIT_USER),
        (refused("InvalidClientTokenId", 403), EXIT_USER),
        (NoCredentialsError(), EXIT_USER),
        (SSOTokenLoadError(error_msg="it expired"), EXIT_USER),
        (EndpointConnectionError(endpoint_url="https://x"), EXIT_USER),
        (refused("ValidationException", 400), EXIT_BUG),
        (refused("InternalFailure", 500), EXIT_BUG),
        (ParamValidationError(report="missing"), EXIT_BUG),
        (KeyError("name"), EXIT_BUG),
    ],
    ids=str,
)
def test_a_denial_is_the_persons_to_mend_and_all_else_our_bug(
    error: Exception,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PLINTH_HOME", str(tmp_path))
    assert of_a_cloud(error, ["approve", "local.x", "--json"]) == code
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert told["exit_code"] == code
    assert ("bug of plinth" in told["error"]) == (code == EXIT_BUG)
    assert (tmp_path / "bug.md").exists() == (code == EXIT_BUG)
    if isinstance(error, ClientError) and code == EXIT_USER:
        assert "UpdateModelPackage must be allowed" in said.err
        assert "user/anna is not authorized" in said.err


@pytest.mark.parametrize(
    ("number", "code"),
    [
        *((number, EXIT_USER) for number in (errno.ENOTDIR, errno.EEXIST, errno.EMFILE)),
        *((number, EXIT_USER) for number in (errno.ENAMETOOLONG, errno.EIO, errno.ENOSPC)),
        (errno.EINVAL, EXIT_BUG),
        (errno.EPIPE, EXIT_BUG),
    ],
    ids=lambda number: errno.errorcode.get(number, str(number)),
)
def test_a_fault_of_the_machine_is_the_persons_to_mend(
    number: int, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLINTH_HOME", str(tmp_path))
    assert of_the_machine(OSError(number, os.strerror(number), "/x"), ["up"]) == code


@pytest.mark.parametrize("home", ["a-file", "a-file/below", "n" * 300, "a-circle"])
@pytest.mark.parametrize("command", ["fault list", "state local verify", "logs local"])
def test_a_home_that_is_none_is_told_in_one_line(
    home: str,
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "a-file").write_text("mine")
    (tmp_path / "a-circle").symlink_to(tmp_path / "a-circle")
    monkeypatch.setenv("PLINTH_HOME", str(tmp_path / home))
    with pytest.raises(SystemExit) as ended:
        main(command.split())
    said = capsys.readouterr().err
    assert ended.value.code in (0, EXIT_USER)
    assert "bug of plinth" not in said
    assert (tmp_path / "a-file").read_text() == "mine"


@pytest.mark.parametrize(
    ("redirected", "code", "told"),
    [
        (">&-", 0, ""),
        ("<&- >&- 2>&-", 0, ""),
        ("--json >&-", 0, ""),
        (">/dev/full", EXIT_USER, "No space left on device"),
        ("--json >/dev/full", EXIT_USER, "No space left on device"),
        ("| head -c 1 >/dev/null", 0, ""),
    ],
)
def test_an_output_that_takes_nothing_is_told_in_one_line(
    redirected: str, code: int, told: str, tmp_path: Path
) -> None:
    plinth = f"{sys.executable} -m stacks.cli prices {redirected}"
    done = subprocess.run(
        ["bash", "-c", plinth], capture_output=True, text=True, check=False,
        env={**os.environ, "PLINTH_HOME": str(tmp_path)}, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == code
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_cloud_that_does_not_answer_in_time_is_no_bug(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLINTH_HOME", str(tmp_path))
    error = ReadTimeoutError(endpoint_url="https://x")
    assert isinstance(error, OSError)
    assert of_the_machine(error, ["status"]) == EXIT_USER


def test_a_terminal_obeys_nothing_that_others_wrote(capsys: pytest.CaptureFixture[str]) -> None:
    words = "a\x1b]0;title\x07\x9b2Jb\u202ec\td"
    failed(words, "", EXIT_USER, [])
    out = CommandOutput(as_json=False)
    out.say(words)
    out.note(words)
    out.table("t", {"key": words})
    said = capsys.readouterr()
    assert not CONTROL.search(said.out + said.err)
    assert "\ufffd" in said.out and "c\td" in said.err


def test_what_looks_like_markup_is_a_text_like_any_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = "the job says [/red] of s3://[x]"
    out = CommandOutput(as_json=False)
    out.say(words)
    out.note(words)
    out.table(words, {"key": words})
    with out.stage("name", words) as stage:
        stage.say(words)
        stage.done = words
    said = capsys.readouterr()
    assert (said.out.count(words), said.err.count(words)) == (3, 4)


def test_a_command_in_a_process_of_others_leaves_their_garbage_collector_on() -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert gc.isenabled()
