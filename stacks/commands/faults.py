"""`plinth fault inject|list|clear`: requests to the local cloud that fail on purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra.errors import UserError
from stacks.paths import home

if TYPE_CHECKING:
    from stacks.commands.output import CommandOutput


def inject(kind: Any, service: str, report: CommandOutput, **asked: Any) -> dict[str, Any]:
    """Let a share of the requests to a service fail from now on; UserError where none can."""
    from stacks.local.aws.faults import Fault, read, told, write

    _check(kind, service, asked["operation"])
    fault = Fault(kind=kind, service=service, **asked)
    here = home()
    kept = [one for one in read(here) if one.name != fault.name]
    write(here, [*kept, fault])
    report.say(f"{_said(fault)}; it holds until `plinth fault clear`")
    return _listed([*kept, fault], told(here))


def listed(report: CommandOutput) -> dict[str, Any]:
    """The faults that hold, and how often each happened."""
    from stacks.local.aws.faults import read, told

    found, counts = read(home()), told(home())
    for fault in found:
        report.say(f"{_said(fault)}: {counts.get(fault.name, 0)} times so far")
    if not found:
        report.say("no fault is injected")
    return _listed(found, counts)


def clear(report: CommandOutput) -> dict[str, Any]:
    """Let everything work again."""
    from stacks.local.aws.faults import read, told, write

    found, counts = read(home()), told(home())
    write(home(), [])
    for fault in found:
        report.say(f"cleared: {_said(fault)}")
    if not found:
        report.say("no fault was injected")
    return {"cleared": _listed(found, counts)["faults"]}


def _check(kind: str, service: str, operation: str) -> None:
    from fnmatch import filter as matching

    from botocore.exceptions import UnknownServiceError

    from stacks.local.aws.faults import operations

    try:
        known = operations(kind, service)  # type: ignore[arg-type]
    except UnknownServiceError as error:
        raise UserError(
            f"SERVICE must be one that boto3 knows, got {service!r}",
            fix="name it as boto3.client does: sagemaker, s3, sagemaker-runtime, dynamodb",
        ) from error
    if not known:
        raise UserError(
            f"no operation of {service} fails by {kind}",
            fix="inject throttle, 5xx or latency, which every service knows",
        )
    if not matching(known, operation):
        raise UserError(
            f"--operation must be one of {service} that fails by {kind}, got {operation!r}",
            fix=f"name one of {', '.join(known[:8])}{' ...' if len(known) > 8 else ''}",
        )


def _said(fault: Any) -> str:
    late = f" by {fault.seconds:g} s" if fault.kind == "latency" else ""
    what = fault.service if fault.operation == "*" else f"{fault.operation} of {fault.service}"
    return f"{fault.kind}{late}: {fault.rate:.0%} of the requests for {what}, seed {fault.seed}"


def _listed(found: list[Any], counts: dict[str, int]) -> dict[str, Any]:
    from dataclasses import asdict

    return {"faults": [{**asdict(one), "happened": counts.get(one.name, 0)} for one in found]}
