"""AWS's decision over all policies that a request meets.

Sources: IAM user guide, "Policy evaluation logic", "How AWS enforcement code logic evaluates
requests", "Cross-account policy evaluation logic", "Permissions boundaries for IAM entities",
"AWS JSON policy elements: Principal"; KMS developer guide, "Key policies in AWS KMS".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from policies.iam.document import AS_ACCOUNT, AS_ENTITY, NAMED, Policy, Statement
from policies.iam.request import Request

Layer = Literal[
    "service control policy",
    "resource control policy",
    "resource-based policy",
    "role trust policy",
    "identity-based policy",
    "permissions boundary",
    "session policy",
    "VPC endpoint policy",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Policies:
    """Every policy that may have a say in a request."""

    identity: Sequence[Policy] = ()
    boundary: Policy | None = None
    session: Sequence[Policy] | None = None
    """None: the session was made without a policy of its own."""

    resource: Sequence[Policy] = ()
    """The resource's policy; of a key also what its grants say (see `grants`)."""

    trust: bool = False
    """Whether the resource's policy is a role's trust policy."""

    resource_decides: bool = False
    """Whether the resource's policy must allow what IAM policies allow: trust and key policies."""

    endpoint: Policy | None = None
    """Policy of the VPC endpoint that the request comes through. Default: it comes through none."""

    scps: Sequence[Sequence[Policy]] = ()
    """Service control policies by level of the organization, each of which must allow."""

    rcps: Sequence[Policy] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a request is allowed, and what decided it."""

    allowed: bool
    layer: Layer
    explicit: bool = False
    """Whether a statement denied it; False: none allowed it."""

    policy: str = ""
    sid: str = ""
    undecided: frozenset[str] = frozenset()
    """What would have to be known: condition keys, or `resource`. Then `allowed` is what holds if
    it is for the caller's good. Default: nothing."""

    def message(self, request: Request) -> str:
        """AWS's text of a denial (IAM user guide, "Troubleshoot access denied error messages")."""
        on = f" on resource: {request.resource}" if isinstance(request.resource, str) else ""
        head = f"User: {request.principal.arn} is not authorized to perform: {request.action}{on}"
        if not self.explicit:
            return f"{head} because no {self.layer} allows the {request.action} action"
        return f"{head} with an explicit deny in {_article(self.layer)} {self.layer}"


def _article(layer: Layer) -> str:
    if layer == "role trust policy":
        return "the"
    return "an" if layer.startswith("i") else "a"


@dataclass(slots=True)
class _Heard:
    """What the statements of one layer say of a request."""

    allows: int = 0
    may_allow: int = 0
    denied: tuple[Policy, Statement] | None = None
    may_deny: tuple[Policy, Statement] | None = None
    allowed: tuple[Policy, Statement] | None = None


def _hear(
    policies: Iterable[Policy], request: Request, open_: set[str], *, bounded: bool
) -> _Heard:
    heard = _Heard()
    for policy in policies:
        for statement in policy.statements:
            applies, named = statement.applies(request, bounded=bounded)
            if applies is False:
                continue
            if applies is None:
                open_ |= statement.unknowns(request) or {"resource"}
            if statement.effect == "Deny":
                heard.may_deny = (policy, statement)
                if applies:
                    heard.denied = heard.denied or (policy, statement)
                continue
            heard.may_allow = max(heard.may_allow, named)
            if applies and named > heard.allows:
                heard.allows, heard.allowed = named, (policy, statement)
    return heard


@dataclass(slots=True)
class _Case:
    """A request with what each layer says of it, read once for or against what is not known."""

    request: Request
    policies: Policies
    layers: dict[Layer, _Heard]
    scps: list[_Heard]
    hopeful: bool = True

    def level(self, layer: Layer) -> int:
        heard = self.layers[layer]
        return heard.may_allow if self.hopeful else heard.allows

    def denies(self, heard: _Heard) -> tuple[Policy, Statement] | None:
        return heard.denied if self.hopeful else heard.may_deny

    @property
    def resource_layer(self) -> Layer:
        return "role trust policy" if self.policies.trust else "resource-based policy"


def decide(request: Request, policies: Policies) -> Decision:
    """What IAM decides. What is not known of the request is told where it matters."""
    open_: set[str] = set()
    bounded = policies.boundary is not None
    trust: Layer = "role trust policy" if policies.trust else "resource-based policy"
    held: tuple[tuple[Layer, Iterable[Policy]], ...] = (
        ("resource control policy", policies.rcps),
        (trust, policies.resource),
        ("identity-based policy", policies.identity),
        ("permissions boundary", (policies.boundary,) if policies.boundary else ()),
        ("session policy", policies.session or ()),
        ("VPC endpoint policy", (policies.endpoint,) if policies.endpoint else ()),
    )
    case = _Case(
        request,
        policies,
        {layer: _hear(found, request, open_, bounded=bounded) for layer, found in held},
        [_hear(level, request, open_, bounded=bounded) for level in policies.scps],
    )
    hopeful = _decided(case)
    if not open_:
        return hopeful
    case.hopeful = False
    if _decided(case).allowed == hopeful.allowed:
        return hopeful
    return Decision(
        hopeful.allowed,
        hopeful.layer,
        hopeful.explicit,
        hopeful.policy,
        hopeful.sid,
        frozenset(open_),
    )


def _decided(case: _Case) -> Decision:
    if (found := _denied(case)) is not None:
        return found
    if not case.request.principal.service_linked and case.request.principal.account:
        for heard in case.scps:
            if not (heard.may_allow if case.hopeful else heard.allows):
                return Decision(False, "service control policy")
    if case.policies.endpoint is not None and not case.level("VPC endpoint policy"):
        return Decision(False, "VPC endpoint policy")
    if case.request.principal.kind in ("service", "federated", "anonymous"):
        return _by(case, case.resource_layer, case.level(case.resource_layer) > 0)
    if case.request.principal.account != case.request.account:
        return _across_accounts(case)
    return _within_account(case)


def _denied(case: _Case) -> Decision | None:
    """The first explicit denial."""
    if not case.request.principal.service_linked:
        for heard in case.scps:
            if found := case.denies(heard):
                return Decision(False, "service control policy", True, found[0].name, found[1].sid)
    for layer, heard in case.layers.items():
        if found := case.denies(heard):
            return Decision(False, layer, True, found[0].name, found[1].sid)
    return None


def _within_account(case: _Case) -> Decision:
    """A resource policy alone is enough; how it names the caller decides what limits it."""
    level = case.level(case.resource_layer)
    if level == NAMED:
        return _by(case, case.resource_layer, True)
    if level == AS_ENTITY:
        return _limited(case) or _by(case, case.resource_layer, True)
    if case.policies.resource_decides and level < AS_ACCOUNT:
        return Decision(False, case.resource_layer)
    return _by_identity(case)


def _across_accounts(case: _Case) -> Decision:
    """Both accounts must allow it."""
    own = _by_identity(case)
    if not own.allowed:
        return own
    return _by(case, case.resource_layer, case.level(case.resource_layer) > 0)


def _by_identity(case: _Case) -> Decision:
    """What the caller's own policies say; a root user is allowed everything by itself."""
    if case.request.principal.kind == "root":
        return Decision(True, "identity-based policy")
    if not case.level("identity-based policy"):
        return Decision(False, "identity-based policy")
    return _limited(case) or _by(case, "identity-based policy", True)


def _limited(case: _Case) -> Decision | None:
    """The implicit denial of a boundary or of a session's policies."""
    if case.policies.boundary is not None and not case.level("permissions boundary"):
        return Decision(False, "permissions boundary")
    if case.policies.session is not None and not case.level("session policy"):
        return Decision(False, "session policy")
    return None


def _by(case: _Case, layer: Layer, allowed: bool) -> Decision:
    found = case.layers[layer].allowed if allowed else None
    if found is None:
        return Decision(allowed, layer)
    return Decision(allowed, layer, False, found[0].name, found[1].sid)
