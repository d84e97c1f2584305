"""Who gets the GPUs: teams, queues and guardrails."""

from __future__ import annotations

import pulumi

from infra.access import RoleSpec
from infra.component import ComponentArgs
from infra.guardrails import Guardrails, GuardrailsArgs
from infra.queues import Queues, QueuesArgs, Share, borrowed
from infra.teams import Teams, TeamsArgs, TeamSpec
from stacks.settings import Settings
from stacks.settings.scheduling import SYSTEM_NAMESPACES, Team

KEY_PURPOSES = ()


def roles(settings: Settings) -> dict[str, RoleSpec]:
    """None: teams start without AWS permissions."""
    return {}


def build_teams(common: ComponentArgs, settings: Settings, opts: pulumi.ResourceOptions) -> Teams:
    """Build what every pod of a team meets, in the order in which it must be there."""
    names, tags = common.names, common.tags
    queues = Queues(
        "queues",
        QueuesArgs(
            names=names,
            tags=tags,
            priorities=settings.queues.priorities,
            shares={name: _shares(team) for name, team in settings.teams.items()},
            kueue_version=settings.queues.kueue_version,
            system_node_labels={"plinth.dev/pool": "system"},
        ),
        opts,
    )
    guardrails = Guardrails(
        "guardrails",
        GuardrailsArgs(
            names=names,
            tags=tags,
            system_namespaces=(*SYSTEM_NAMESPACES, *settings.guardrails.system_namespaces),
            approved_registries=(
                f"{names.account_id}.dkr.ecr.{names.region}.amazonaws.com",
                *settings.guardrails.approved_registries,
            ),
        ),
        opts,
    )
    return Teams(
        "teams",
        TeamsArgs(
            names=names,
            tags=tags,
            teams={
                name: _spec(name, team, settings.tags.cost_centre)
                for name, team in settings.teams.items()
            },
            queued=settings.queues.kueue_version is not None,
        ),
        pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[queues, guardrails])),
    )


def _shares(team: Team) -> dict[str, Share]:
    pools = dict.fromkeys((*team.nominal_gpus, *team.borrowing_gpus))
    return {
        pool: Share(
            nominal=team.nominal_gpus.get(pool, 0), borrowing=team.borrowing_gpus.get(pool, 0)
        )
        for pool in pools
    }


def _spec(name: str, team: Team, cost_centre: str) -> TeamSpec:
    return TeamSpec(
        group=team.group or f"plinth:{name}",
        cost_centre=team.cost_centre or cost_centre,
        guaranteed_classes=team.priorities,
        borrowed_classes=[borrowed(priority) for priority in team.priorities],
        guaranteed_gpus=sum(team.nominal_gpus.values()),
        borrowed_gpus=sum(team.borrowing_gpus.values()),
        cpu=team.cpu,
        memory_gib=team.memory_gib,
        storage_gib=team.storage_gib,
        max_pods=team.max_pods,
        pod_security=team.pod_security,
    )
