"""The table of decisions, and what IAM refuses to store."""

from __future__ import annotations

from typing import Any

import pytest

from policies.data import UNKNOWN
from policies.iam.decision import decide
from policies.iam.document import MalformedPolicy, compiled
from tests.policies.iam import across, elements, logic, operators, resources
from tests.policies.iam.case import HOME, ROLE, SESSION, Case, allow, deny, to

CASES = [*operators.CASES, *elements.CASES, *logic.CASES, *across.CASES, *resources.CASES]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_iam_decides(case: Case) -> None:
    found = case.decided()
    assert found.allowed == case.allowed, f"{found} but see {case.source}"
    assert not found.undecided
    if case.layer:
        assert (found.layer, found.explicit) == (case.layer, case.explicit), case.source


def test_the_table_is_large_and_every_case_has_its_page() -> None:
    assert len(CASES) >= 150
    assert len({case.name for case in CASES}) > len(CASES) * 0.95
    assert {case.source.split("/")[2] for case in CASES} == {"docs.aws.amazon.com"}
    verdicts = [case.allowed for case in CASES]
    assert min(verdicts.count(True), verdicts.count(False)) > len(CASES) * 0.4


MESSAGES: dict[str, dict[str, Any]] = {
    "because no identity-based policy allows the s3:GetObject action": {},
    "because no permissions boundary allows the s3:GetObject action": {
        "identity": [allow()],
        "boundary": [allow("kms:*")],
    },
    "because no session policy allows the s3:GetObject action": {
        "identity": [allow()],
        "session": [allow("kms:*")],
    },
    "because no VPC endpoint policy allows the s3:GetObject action": {
        "identity": [allow()],
        "endpoint": [to("*", "kms:*")],
    },
    "because no service control policy allows the s3:GetObject action": {"scps": [[]]},
    "because no resource-based policy allows the s3:GetObject action": {
        "identity": [allow()],
        "owner": "444455556666",
    },
    "with an explicit deny in an identity-based policy": {"identity": [deny()]},
    "with an explicit deny in a permissions boundary": {"boundary": [deny()]},
    "with an explicit deny in a session policy": {"session": [deny()]},
    "with an explicit deny in a resource-based policy": {
        "resource_policy": [{**to("*"), "Effect": "Deny"}]
    },
    "with an explicit deny in a VPC endpoint policy": {"endpoint": [{**to("*"), "Effect": "Deny"}]},
    "with an explicit deny in a service control policy": {"scps": [[deny()]]},
    "with an explicit deny in a resource control policy": {"rcps": [{**to("*"), "Effect": "Deny"}]},
    "with an explicit deny in the role trust policy": {
        "resource_policy": [{**to("*"), "Effect": "Deny"}],
        "trust": True,
    },
}
"""IAM user guide, "Troubleshoot access denied error messages" -> a request that is told so."""


@pytest.mark.parametrize("ending", MESSAGES)
def test_a_denial_has_the_text_of_aws(ending: str) -> None:
    case = Case(name="", source="", allowed=False, **MESSAGES[ending])
    assert case.decided().message(case.request()) == (
        f"User: {SESSION} is not authorized to perform: s3:GetObject on resource: "
        f"arn:aws:s3:::data/raw/one.csv {ending}"
    )


REFUSED: dict[str, Any] = {
    "Effect": {**allow(), "Effect": "allow"},
    "Action or NotAction, got Action and NotAction": {**allow(), "NotAction": "s3:*"},
    "Action or NotAction, got neither": {"Effect": "Allow", "Resource": "*"},
    "Resource or NotResource": {**allow(), "NotResource": "*"},
    "operators of IAM over keys, got StringIs": allow(Condition={"StringIs": {"a": "b"}}),
    "got ForEachValue:StringEquals": allow(Condition={"ForEachValue:StringEquals": {"a": "b"}}),
    "got NullIfExists": allow(Condition={"NullIfExists": {"a": "true"}}),
    "Principal must be": {**allow(), "Principal": "arn:aws:iam::1:root"},
    "must be an object": "Allow",
}


@pytest.mark.parametrize("said", REFUSED)
def test_what_iam_would_not_store_is_refused(said: str) -> None:
    with pytest.raises(MalformedPolicy, match=said):
        compiled({"Version": "2012-10-17", "Statement": [REFUSED[said]]}, "mine")


def test_what_is_no_policy_is_refused() -> None:
    for text in ("", "[]", "{}", "{"):
        with pytest.raises(MalformedPolicy):
            compiled(text)


WHEN = {"StringEquals": {"k:a": "1"}}
OPEN: tuple[tuple[str, dict[str, Any], bool, set[str]], ...] = (
    ("an allowance hangs on it", {"identity": [allow(Condition=WHEN)]}, True, {"k:a"}),
    ("a denial hangs on it", {"identity": [allow(), deny(Condition=WHEN)]}, True, {"k:a"}),
    ("another allowance holds", {"identity": [allow(), allow(Condition=WHEN)]}, True, set()),
    ("nothing allows it", {"identity": [allow("kms:*", Condition=WHEN)]}, False, set()),
    ("another denial holds", {"identity": [deny(), deny(Condition=WHEN)]}, False, set()),
    (
        "the resource is not known",
        {"identity": [allow(resource="arn:a")], "resource": UNKNOWN},
        True,
        {"resource"},
    ),
    ("any resource will do", {"identity": [allow()], "resource": UNKNOWN}, True, set()),
    (
        "a variable is not known",
        {"identity": [allow(resource="arn:aws:s3:::${k:a}")], "resource": "arn:aws:s3:::b"},
        True,
        {"resource"},
    ),
    (
        "a boundary hangs on it",
        {"identity": [allow()], "boundary": [allow(Condition=WHEN)]},
        True,
        {"k:a"},
    ),
    (
        "another condition is not met",
        {"identity": [allow(Condition={**WHEN, "Bool": {"k:b": "true"}})]},
        False,
        set(),
    ),
)


@pytest.mark.parametrize(("name", "more", "allowed", "asked"), OPEN, ids=[row[0] for row in OPEN])
def test_what_hangs_on_something_unknown_is_told(
    name: str, more: dict[str, Any], allowed: bool, asked: set[str]
) -> None:
    """The decision is then the one for the caller's good, and says that it is none."""
    found = Case(name=name, source="", allowed=allowed, context={"k:a": UNKNOWN}, **more).decided()
    assert (found.allowed, set(found.undecided)) == (allowed, asked)


def test_a_decision_names_the_statement() -> None:
    case = Case(name="", source="", allowed=True, resource_policy=[to(ROLE, Sid="TrainersRead")])
    assert case.decided().sid == "TrainersRead"
    policies = case.policies()
    assert decide(case.request(), policies).layer == "resource-based policy"
    assert HOME in ROLE


def test_a_negated_operator_over_several_values_holds_where_none_of_them_matches() -> None:
    """AWS leaves open what an operator without a set prefix makes of several values."""
    when = {"StringNotEquals": {"aws:TagKeys": "a"}}
    for values, allowed in ((["b", "c"], True), (["a", "c"], False)):
        case = Case(
            name="",
            source="",
            allowed=allowed,
            context={"aws:TagKeys": values},
            identity=[allow(Condition=when)],
        )
        assert case.decided().allowed == allowed
