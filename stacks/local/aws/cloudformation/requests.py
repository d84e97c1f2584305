"""What a request about a stack says beside its template: capabilities, what a failure ends in, and
whether the stack may be deleted.

moto 5.2.5 reads none of them.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from stacks.local.aws.cloudformation import templates

ROLLBACK = "ROLLBACK"
ON_FAILURE: ContextVar[str] = ContextVar("ON_FAILURE", default=ROLLBACK)
"""Of the request under way (CreateStack: OnFailure, DisableRollback)."""

AUTO_EXPAND = "CAPABILITY_AUTO_EXPAND"
IAM = frozenset(
    f"AWS::IAM::{kind}"
    for kind in (
        "AccessKey", "Group", "InstanceProfile", "ManagedPolicy", "Policy", "Role", "User",
        "UserToGroupAddition",
    )
)  # fmt: skip
"""Types that have to be acknowledged (CreateStack: Capabilities)."""


def install() -> None:
    """For the one CloudFormation of this process."""
    from moto.cloudformation.responses import CloudFormationResponse

    for name in ("create_stack", "update_stack"):
        act = getattr(CloudFormationResponse, name)
        setattr(CloudFormationResponse, name, _checking(act))
    CloudFormationResponse.update_termination_protection = update_termination_protection
    CloudFormationResponse.delete_stack = _protecting(CloudFormationResponse.delete_stack)


def update_termination_protection(response: Any) -> Any:
    """UpdateTerminationProtection: whether DeleteStack is refused."""
    from moto.core.responses import ActionResult

    stack = response.cloudformation_backend.get_stack(response._get_param("StackName"))
    stack.enable_termination_protection = response._get_bool_param("EnableTerminationProtection")
    return ActionResult({"StackId": stack.stack_id})


def _protecting(act: Any) -> Any:
    @functools.wraps(act)
    def deletes(response: Any) -> Any:
        name = response._get_param("StackName")
        for one in response.cloudformation_backend.stacks.values():
            if name in (one.name, one.stack_id) and one.enable_termination_protection:
                told = "cannot be deleted while TerminationProtection is enabled"
                raise templates.invalid(f"Stack [{one.name}] {told}")
        return act(response)

    return deletes


def _checking(act: Any) -> Any:
    @functools.wraps(act)
    def acts(response: Any) -> Any:
        text = template_text(response)
        if text is not None:
            check_capabilities(response, text, is_reviewed=False)
        token = ON_FAILURE.set(on_failure(response))
        try:
            return act(response)
        finally:
            ON_FAILURE.reset(token)

    return acts


def template_text(response: Any) -> str | None:
    """The template that a request brings; that of the stack was acknowledged when it came."""
    body, url = response._get_param("TemplateBody"), response._get_param("TemplateURL")
    found: str | None = response._get_stack_from_s3_url(url) if url else body
    return found


def on_failure(response: Any) -> str:
    """What becomes of a stack that cannot be made; ValidationError where a request says both."""
    said = response._get_param("OnFailure") or response._get_param("OnStackFailure")
    is_off = response._get_bool_param("DisableRollback")
    if said and is_off is not None:
        told = "You can specify either DisableRollback or OnFailure, but not both."
        raise templates.invalid(told)
    return said or ("DO_NOTHING" if is_off else ROLLBACK)


def check_capabilities(response: Any, text: str, *, is_reviewed: bool) -> None:
    """InsufficientCapabilities where a template has what the request does not acknowledge.

    `is_reviewed`: by a change set, which shows what a transform makes.
    """
    needed = capabilities(templates.parsed(text)) - ({AUTO_EXPAND} if is_reviewed else set())
    given = set(response._get_param("Capabilities", []))
    if "CAPABILITY_NAMED_IAM" in given:
        given.add("CAPABILITY_IAM")
    if lost := sorted(needed - given):
        error: Any = templates.invalid(f"Requires capabilities : [{', '.join(lost)}]")
        error.code = "InsufficientCapabilitiesException"
        raise error


def capabilities(template: Mapping[str, Any]) -> set[str]:
    """What somebody who deploys a template has to acknowledge."""
    typed = _of_iam(template)
    named = [one for one in typed if _name_of(one["Type"]) in (one.get("Properties") or {})]
    needed = {"CAPABILITY_NAMED_IAM" if named else "CAPABILITY_IAM"} if typed else set()
    return needed | ({AUTO_EXPAND} if template.get("Transform") else set())


def acknowledged_types(template: Mapping[str, Any]) -> list[str]:
    """Types of the resources that take a capability."""
    return sorted({one["Type"] for one in _of_iam(template)})


def _of_iam(template: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    resources = template.get("Resources")
    found = resources.values() if isinstance(resources, Mapping) else ()
    return [one for one in found if isinstance(one, Mapping) and one.get("Type") in IAM]


def _name_of(kind: str) -> str:
    """The property by which a resource of IAM gets a name of one's own; a policy inside of others
    has one always, and no other may know it."""
    stem = kind.rpartition("::")[2]
    return "" if stem == "Policy" else f"{stem}Name"
