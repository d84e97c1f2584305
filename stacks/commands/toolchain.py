"""`plinth toolchain`: what takes minutes to build, built when it is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stacks.commands.output import CommandOutput


def kubernetes(report: CommandOutput) -> dict[str, Any]:
    """Find or build the programs of a Kubernetes control plane."""
    from stacks.toolchain import control_plane

    with report.stage("kubernetes", "Kubernetes control plane") as stage:
        found = control_plane.ensure(stage.say)
        stage.done = f"{found.version} ({found.origin})"
    programs = {name: command[0] for name, command in found.commands.items()}
    result = {
        "version": found.version,
        "kwok_version": control_plane.KWOK_VERSION,
        "origin": found.origin,
        "programs": programs,
        "licence": control_plane.LICENCE,
        "seconds": report.seconds,
    }
    shown = {"folders": sorted({str(Path(place).parent) for place in programs.values()})}
    report.table("Kubernetes", {**result, "programs": ", ".join(programs), **shown, "seconds": ""})
    return result
