"""Laws that hold for any policies and any request, tried on many of both."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from policies.data import UNKNOWN
from policies.iam.decision import Decision, Policies, decide
from policies.iam.document import Policy, compiled
from policies.iam.request import Principal, Request
from tests.policies.iam.case import AS_ROLE, AS_ROOT, AS_USER, HOME, OTHER, ROLE, SESSION, USER

ACTIONS = ("s3:GetObject", "s3:PutObject", "s3:*", "s3:Get*", "kms:Decrypt", "*")
RESOURCES = ("*", "arn:aws:s3:::a", "arn:aws:s3:::a/*", "arn:aws:s3:::${aws:username}/*")
VALUES = ("1", "2", "*", "a?")
KEYS = ("k:a", "k:b", "aws:username")
CONDITIONS = st.dictionaries(
    st.sampled_from(
        (
            "StringEquals", "StringNotEquals", "StringLike", "StringEqualsIfExists",
            "ForAllValues:StringLike", "ForAnyValue:StringNotEquals", "NumericLessThan",
        )
    ),
    st.dictionaries(
        st.sampled_from(KEYS), st.lists(st.sampled_from(VALUES), min_size=1, max_size=2),
        min_size=1, max_size=2,
    ),
    max_size=2,
)  # fmt: skip
NAMED = st.sampled_from(("*", SESSION, ROLE, USER, HOME, OTHER))


def _listed(names: tuple[str, ...]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(names), min_size=1, max_size=2)


@st.composite
def statements(draw: st.DrawFn, *, principals: bool = False) -> dict[str, Any]:
    """Any statement over a few actions, resources and keys."""
    found: dict[str, Any] = {
        "Effect": draw(st.sampled_from(("Allow", "Allow", "Deny"))),
        draw(st.sampled_from(("Action", "Action", "NotAction"))): draw(_listed(ACTIONS)),
        draw(st.sampled_from(("Resource", "Resource", "NotResource"))): draw(_listed(RESOURCES)),
        "Condition": draw(CONDITIONS),
    }
    if principals:
        found["Principal"] = {"AWS": draw(NAMED)}
    return found


def _policy(*, principals: bool = False) -> st.SearchStrategy[Policy]:
    several = st.lists(statements(principals=principals), min_size=1, max_size=4)
    return several.map(lambda found: compiled({"Version": "2012-10-17", "Statement": found}))


POLICIES = st.builds(
    Policies,
    identity=st.lists(_policy(), max_size=2),
    boundary=st.none() | _policy(),
    session=st.none() | st.lists(_policy(), min_size=1, max_size=2),
    resource=st.lists(_policy(principals=True), max_size=1),
    resource_decides=st.booleans(),
    endpoint=st.none() | _policy(principals=True),
    scps=st.lists(st.lists(_policy(), min_size=1, max_size=2), max_size=2),
)
KNOWN = st.lists(st.sampled_from(VALUES), min_size=1, max_size=2).map(tuple)


def _requests(*values: st.SearchStrategy[Any]) -> st.SearchStrategy[Request]:
    return st.builds(
        Request,
        principal=st.sampled_from((AS_ROLE, AS_USER, AS_ROOT)),
        action=st.sampled_from(("s3:GetObject", "s3:PutObject", "kms:Decrypt")),
        account=st.sampled_from((HOME, OTHER)),
        resource=st.sampled_from(("*", "arn:aws:s3:::a", "arn:aws:s3:::a/b", "arn:aws:s3:::1/b")),
        context=st.dictionaries(st.sampled_from(KEYS), st.one_of(KNOWN, *values), max_size=3),
    )


REQUESTS = _requests()
OPEN = _requests(st.just(UNKNOWN))
MANY = settings(max_examples=300)


def _known(decision: Decision) -> bool:
    return not decision.undecided


@MANY
@given(REQUESTS, POLICIES, _policy(), st.sampled_from(("identity", "session", "boundary")))
def test_a_denial_more_allows_nothing_more(
    request: Request, policies: Policies, extra: Policy, where: str
) -> None:
    denials = Policy("", tuple(s for s in extra.statements if s.effect == "Deny"))
    before: Any = {"identity": policies.identity, "session": policies.session or (),
              "boundary": (policies.boundary,) if policies.boundary else ()}[where]  # fmt: skip
    if where != "identity" and not before:
        return
    joined = Policy("", tuple(s for p in (*before, denials) for s in p.statements))
    changed: dict[str, Any] = {where: joined if where == "boundary" else (joined,)}
    after = replace(policies, **changed)
    assert decide(request, after).allowed <= decide(request, policies).allowed


@MANY
@given(REQUESTS, POLICIES, _policy())
def test_an_allowance_more_denies_nothing_more(
    request: Request, policies: Policies, extra: Policy
) -> None:
    grants = Policy("", tuple(s for s in extra.statements if s.effect == "Allow"))
    after = replace(policies, identity=[*policies.identity, grants])
    assert decide(request, after).allowed >= decide(request, policies).allowed


@MANY
@given(REQUESTS, POLICIES, st.randoms())
def test_the_order_of_statements_and_policies_does_not_matter(
    request: Request, policies: Policies, chance: Any
) -> None:
    def mixed(policy: Policy) -> Policy:
        return Policy(policy.name, tuple(chance.sample(policy.statements, len(policy.statements))))

    after = replace(
        policies,
        identity=[mixed(p) for p in reversed(policies.identity)],
        resource=[mixed(p) for p in policies.resource],
        session=policies.session and [mixed(p) for p in reversed(policies.session)],
        boundary=policies.boundary and mixed(policies.boundary),
    )
    one, other = decide(request, policies), decide(request, after)
    assert (one.allowed, one.layer, one.explicit) == (other.allowed, other.layer, other.explicit)


@MANY
@given(REQUESTS, POLICIES, _policy(), st.sampled_from(("boundary", "session", "endpoint", "scps")))
def test_boundary_session_endpoint_and_scp_only_narrow(
    request: Request, policies: Policies, limit: Policy, where: str
) -> None:
    free = replace(policies, boundary=None, session=None, endpoint=None, scps=())
    value: Any = {"session": [limit], "scps": [[limit]]}.get(where, limit)
    if where == "endpoint":
        value = Policy("", tuple(replace(s, principals={"*": frozenset("*")})
                                 for s in limit.statements))  # fmt: skip
    after = replace(free, **{where: value})
    assert decide(request, after).allowed <= decide(request, free).allowed


@MANY
@given(REQUESTS, POLICIES)
def test_what_is_allowed_was_allowed_by_a_statement_or_is_root(
    request: Request, policies: Policies
) -> None:
    found = decide(request, policies)
    assert _known(found)
    if not found.allowed or request.principal.kind == "root":
        return
    every = [*policies.identity, *policies.resource]
    allowing = [s for p in every for s in p.statements if s.effect == "Allow"]
    assert any(s.applies(request)[0] for s in allowing)


@MANY
@given(OPEN, POLICIES, st.lists(KNOWN | st.none(), min_size=3, max_size=3))
def test_what_is_decided_without_a_key_holds_whatever_it_is(
    request: Request, policies: Policies, values: list[tuple[str, ...] | None]
) -> None:
    """Decided means decided; not decided is never the harsher of two answers."""
    found = decide(request, policies)
    filled = dict(zip(KEYS, values, strict=True))
    context = {k: filled[k] if v is UNKNOWN else v for k, v in request.context.items()}
    known = replace(request, context={k: v for k, v in context.items() if v is not None})
    then = decide(known, policies)
    assert then.allowed <= found.allowed
    if _known(found):
        assert then.allowed == found.allowed


@MANY
@given(REQUESTS, POLICIES)
def test_a_name_in_other_letters_is_the_same_action(request: Request, policies: Policies) -> None:
    shouted = replace(request, action=request.action.upper())
    assert decide(shouted, policies).allowed == decide(request, policies).allowed


@MANY
@given(REQUESTS, POLICIES)
def test_who_is_no_one_gets_no_more_than_everybody(request: Request, policies: Policies) -> None:
    """Whoever is named by nothing but `*` is let in by statements for `*` alone."""
    stranger = Principal(kind="anonymous", arn="anonymous")
    found = decide(replace(request, principal=stranger), policies)
    if found.allowed:
        statements_ = [s for p in policies.resource for s in p.statements]
        assert any("*" in (s.principals or {}).get("AWS", ()) for s in statements_)
