"""moto's Glue: what it calls started and does not do runs, or is refused by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.glue import commands, crawls, job_runs

REFUSED: Mapping[str, str] = {
    "create_dev_endpoint": "no machine is there to develop on",
    "create_session": "no interactive session runs",
    "start_trigger": "no trigger fires",
    "start_workflow_run": "no workflow runs",
}
"""Operation of moto's that answers success -> why it is refused."""


def install(emulator: Emulator) -> None:
    from moto.glue.responses import GlueResponse

    job_runs.install(emulator)
    crawls.install(emulator)
    for name, why in REFUSED.items():
        setattr(GlueResponse, name, _refusing(name, why))
    create = GlueResponse.create_trigger

    def created(response: Any) -> Any:
        if response._get_param("StartOnCreation"):
            raise commands.not_emulated("StartOnCreation of CreateTrigger", "no trigger fires")
        return create(response)

    GlueResponse.create_trigger = created


def _refusing(name: str, why: str) -> Callable[[Any], Any]:
    operation = "".join(word.capitalize() for word in name.split("_"))

    def refuse(response: Any) -> Any:
        raise commands.not_emulated(f"{operation} of Glue", why)

    refuse.__name__ = name
    return refuse
