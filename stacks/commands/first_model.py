"""`plinth up ENV --with-model`: from nothing to a served, scored first model."""

from __future__ import annotations

from typing import Any

from infra.errors import UserError
from stacks.commands import deploy, model, status
from stacks.commands.output import CommandOutput
from stacks.settings.load import load
from stacks.workload import PIPELINE


def up_with_model(env: str, report: CommandOutput, *, port: int | None = None) -> dict[str, Any]:
    """Deploy; train, approve, promote and serve a model if none is served; score it; sum up.

    Approving without a person is only for environments that are not protected.
    """
    if load(env).protect:
        raise UserError(
            f"--with-model approves by itself, so {env} must not be protected, got protect: true",
            fix=f"type `plinth up {env}`, then run, approve and promote as separate people",
        )
    result: dict[str, Any] = {"deployments": [deploy.up(env, report, port=port)]}
    if status.served(env)["endpoint_status"] is None:
        result["run"] = model.run(env, PIPELINE, {}, report)
        result["approve"] = model.approve(env, None, "first model of this environment", report)
        result["promote"] = model.promote(env, None, report)
        result["deployments"].append(deploy.up(env, report, port=port))
    result["predict"] = model.predict(env, report)
    result["status"] = status.status(env, report)
    totals = {name: f"{seconds:.1f} s" for name, seconds in report.seconds.items()}
    report.table("time per stage", {**totals, "total": f"{sum(report.seconds.values()):.1f} s"})
    report.say(
        f"next: plinth run {env} training · plinth approve {env} · plinth promote {env} · "
        f"plinth up {env} · plinth destroy {env} --yes"
    )
    last = result["deployments"][-1]
    changes = {
        name: sum(deployment["changes"][name] for deployment in result["deployments"])
        for name in last["changes"]
    }
    changes["same"] = last["changes"]["same"]
    return {
        **result,
        "env": env,
        "changes": changes,
        "policy": last["policy"],
        "seconds": report.seconds,
    }
