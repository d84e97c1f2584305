"""An answer that the provider may not have got is given once more, to it alone."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from stacks.local.provider.aws.kept_answers import OPERATION_HEADER, URN_HEADER, Answers

OWN = "AKIAOWN"
URN = "urn:pulumi:local.foundation::plinth::aws:iam/policy:Policy::a"


class Counting:
    """An application that answers how often it was asked, and fails the first times."""

    def __init__(self, failures: int = 0) -> None:
        self.asked = 0
        self.failures = failures

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        self.asked += 1
        failed = self.asked <= self.failures
        start("500 Internal Server Error" if failed else "200 OK", [("X-Count", str(self.asked))])
        return [str(self.asked).encode()]


def ask(application: Any, *, call: str, urn: str = URN, key: str = OWN, creates: str = "") -> str:
    environ = {
        "HTTP_AUTHORIZATION": f"AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/iam/x",
        "HTTP_AMZ_SDK_INVOCATION_ID": call,
        f"HTTP_{URN_HEADER.upper().replace('-', '_')}": urn,
        f"HTTP_{OPERATION_HEADER.upper().replace('-', '_')}": creates,
    }
    return b"".join(application(environ, lambda *_: None)).decode()


def test_a_repeated_call_gets_the_first_answer_and_another_its_own() -> None:
    kept = Answers().kept_by(Counting(), OWN)
    assert [ask(kept, call=call) for call in ("a", "a", "b", "a")] == ["1", "1", "2", "1"]


def test_what_failed_is_done_again() -> None:
    kept = Answers().kept_by(Counting(failures=2), OWN)
    assert [ask(kept, call="a") for _ in range(4)] == ["1", "2", "3", "3"]


@pytest.mark.parametrize("other", [{"key": "AKIAOTHER"}, {"urn": ""}])
def test_nobody_else_gets_an_answer_that_was_kept(other: dict[str, str]) -> None:
    kept = Answers().kept_by(Counting(), OWN)
    assert ask(kept, call="a", creates="CreatePolicy") == "1"
    assert ask(kept, call="a", creates="CreatePolicy", **other) == "2"


def test_a_creation_whose_end_nobody_saw_is_answered_as_before_until_it_is_seen() -> None:
    answers = Answers()
    kept = answers.kept_by(Counting(), OWN)
    with pytest.raises(ConnectionError), answers.creation(URN, {"name": "a"}):
        ask(kept, call="a", creates="CreatePolicy")
        raise ConnectionError
    assert answers.unseen(URN) == {"name": "a"}
    with answers.creation(URN, {"name": "a"}):
        assert ask(kept, call="b", creates="CreatePolicy") == "1"
    assert answers.unseen(URN) is None
    assert ask(kept, call="c", creates="CreatePolicy") == "2"


def test_a_creation_that_never_reached_aws_is_not_taken_for_one_that_did() -> None:
    answers = Answers()
    with pytest.raises(ConnectionError), answers.creation(URN, {"name": "a"}):
        raise ConnectionError
    assert answers.unseen(URN) is None
