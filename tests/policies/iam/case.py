"""One request and what IAM says to it, with the page of AWS that says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from policies.iam.decision import Decision, Policies, decide
from policies.iam.document import Policy, compiled
from policies.iam.request import Principal, Request, keys

GUIDE = "https://docs.aws.amazon.com/IAM/latest/UserGuide/"
LOGIC = f"{GUIDE}reference_policies_evaluation-logic.html"
DENY_ALLOW = f"{GUIDE}reference_policies_evaluation-logic_policy-eval-denyallow.html"
ACROSS = f"{GUIDE}reference_policies_evaluation-logic-cross-account.html"
BOUNDARIES = f"{GUIDE}access_policies_boundaries.html"
SESSIONS = f"{GUIDE}access_policies.html#policies_session"
OPERATORS = f"{GUIDE}reference_policies_elements_condition_operators.html"
SEVERAL = f"{GUIDE}reference_policies_condition-single-vs-multi-valued-context-keys.html"
VARIABLES = f"{GUIDE}reference_policies_variables.html"
ACTION = f"{GUIDE}reference_policies_elements_action.html"
NOT_ACTION = f"{GUIDE}reference_policies_elements_notaction.html"
RESOURCE = f"{GUIDE}reference_policies_elements_resource.html"
NOT_RESOURCE = f"{GUIDE}reference_policies_elements_notresource.html"
PRINCIPAL = f"{GUIDE}reference_policies_elements_principal.html"
NOT_PRINCIPAL = f"{GUIDE}reference_policies_elements_notprincipal.html"
KEYS = f"{GUIDE}reference_policies_condition-keys.html"
TRUST = f"{GUIDE}id_roles_create_for-service.html"
EXTERNAL = f"{GUIDE}id_roles_common-scenarios_third-party.html"
DEPUTY = f"{GUIDE}confused-deputy.html"
FEDERATION = f"{GUIDE}id_roles_create_for-idp_oidc.html"
PASS_ROLE = f"{GUIDE}id_roles_use_passrole.html"
SCP = "https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps_evaluation.html"
RCP = "https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_rcps_evaluation.html"
KEY_POLICY = "https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html"
KMS_KEYS = "https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html"
GRANTS = "https://docs.aws.amazon.com/kms/latest/developerguide/grants.html"
ENDPOINTS = "https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html"
S3_KEYS = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/amazon-s3-policy-keys.html"

HOME, OTHER = "111122223333", "444455556666"
ROLE = f"arn:aws:iam::{HOME}:role/team/trainer"
SESSION = f"arn:aws:sts::{HOME}:assumed-role/trainer/job-1"
USER = f"arn:aws:iam::{HOME}:user/anna"
OBJECT = "arn:aws:s3:::data/raw/one.csv"

AS_ROLE = Principal(kind="session", arn=SESSION, account=HOME, entity=ROLE)
AS_USER = Principal(kind="user", arn=USER, account=HOME)
AS_ROOT = Principal(kind="root", arn=f"arn:aws:iam::{HOME}:root", account=HOME)
AS_FEDERATED = Principal(
    kind="session", arn=f"arn:aws:sts::{HOME}:federated-user/bob", account=HOME, entity=USER
)
NOBODY = Principal(kind="anonymous", arn="anonymous")


def service(name: str) -> Principal:
    """An AWS service that calls by itself."""
    return Principal(kind="service", arn=f"{name}.amazonaws.com")


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is asked of whom, and the answer."""

    name: str
    source: str
    allowed: bool
    layer: str = ""
    """Kind of policy that decides. Default: the case does not say."""

    explicit: bool = False
    principal: Principal = AS_ROLE
    action: str = "s3:GetObject"
    resource: Any = OBJECT
    owner: str = HOME
    context: Mapping[str, Any] = field(default_factory=dict)
    identity: Sequence[Any] = ()
    boundary: Any = None
    session: Sequence[Any] | None = None
    resource_policy: Sequence[Any] = ()
    grants: Sequence[Policy] = ()
    trust: bool = False
    decides: bool = False
    endpoint: Any = None
    scps: Sequence[Sequence[Any]] = ()
    rcps: Sequence[Any] = ()
    version: str = "2012-10-17"

    def request(self) -> Request:
        return Request(
            principal=self.principal,
            action=self.action,
            resource=self.resource,
            account=self.owner,
            context=keys(self.context),
        )

    def policies(self) -> Policies:
        of = self._compiled
        return Policies(
            identity=[of(self.identity)] if self.identity else [],
            boundary=None if self.boundary is None else of(self.boundary),
            session=None if self.session is None else [of(one) for one in self.session],
            resource=[*([of(self.resource_policy)] if self.resource_policy else []), *self.grants],
            trust=self.trust,
            resource_decides=self.decides or self.trust,
            endpoint=None if self.endpoint is None else of(self.endpoint),
            scps=[[of(one) for one in level] for level in self.scps],
            rcps=[of(one) for one in self.rcps],
        )

    def decided(self) -> Decision:
        return decide(self.request(), self.policies())

    def _compiled(self, statements: Any) -> Policy:
        listed = statements if isinstance(statements, list | tuple) else [statements]
        return compiled({"Version": self.version, "Statement": list(listed)})


def allow(action: Any = "s3:GetObject", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any = "s3:GetObject", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {**allow(action, resource, **more), "Effect": "Deny"}


def to(principal: Any, action: Any = "s3:GetObject", **more: Any) -> dict[str, Any]:
    """A statement of a resource policy that lets somebody in."""
    named = principal if principal == "*" or isinstance(principal, dict) else {"AWS": principal}
    return {**allow(action, **more), "Principal": named}


def trusting(principal: Any, action: Any = "sts:AssumeRole", **more: Any) -> dict[str, Any]:
    """A statement of a trust policy, which names no resource."""
    statement = to(principal, action, **more)
    return {key: value for key, value in statement.items() if key != "Resource"}
