"""What a person is told of an error that nobody caught."""

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    SSOTokenLoadError,
)

from stacks.commands.exit_codes import EXIT_BUG, EXIT_USER, of_a_cloud


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
