"""Who gets the GPUs: teams, queues and guardrails; then Ray and language models."""

from __future__ import annotations

import pulumi

from infra.access import RoleSpec
from infra.cluster import Cluster, ClusterAccess
from infra.component import ComponentArgs
from infra.guardrails import Guardrails, GuardrailsArgs
from infra.llm_deployment import LlmDeployment, LlmDeploymentArgs
from infra.queues import Queues, QueuesArgs, Share, borrowed
from infra.ray import Ray, RayArgs
from infra.storage import read_objects
from infra.teams import LOCAL_QUEUE, SERVICE_ACCOUNT, Teams, TeamsArgs, TeamSpec
from stacks.composition.base import Base
from stacks.settings import scheduling as configuration
from stacks.settings.model import ClusterSettings
from stacks.settings.scheduling import SYSTEM_NAMESPACES, Team

PODS = "pods.eks.amazonaws.com"


def roles(settings: ClusterSettings) -> dict[str, RoleSpec]:
    """What the pods that serve language models act as; teams start without AWS permissions."""
    return {
        f"llm-{name}": RoleSpec(service=PODS, service_account=f"{server.team}/{name}")
        for name, server in settings.llm_kubernetes.items()
    }


def build(base: Base, settings: ClusterSettings, cluster: Cluster) -> None:
    """Build what decides where pods go, then the workloads of ours."""
    if not settings.teams:
        return
    inside = pulumi.ResourceOptions(providers={"kubernetes": cluster.kubernetes})
    for arn, groups in _members(settings).items():
        cluster.grant_access(
            arn.rpartition("/")[2], ClusterAccess(principal_arn=arn, kubernetes_groups=groups)
        )
    teams = build_teams(base.common, settings, inside)
    after = pulumi.ResourceOptions.merge(inside, pulumi.ResourceOptions(depends_on=[teams]))
    if settings.ray is not None:
        _ray(base, settings, settings.ray, after)
    for name, server in settings.llm_kubernetes.items():
        role = base.access.role(f"llm-{name}")
        may_read = [
            base.access.allow(
                role,
                read_objects(base.names, {"artifacts": [f"{server.model_path}/*"]}),
                base.use_keys("storage"),
            ),
            cluster.pod_identity(role, server.team, name),
        ]
        ready = pulumi.ResourceOptions(depends_on=may_read)
        _llm(base, name, server, pulumi.ResourceOptions.merge(after, ready))


def _members(settings: ClusterSettings) -> dict[str, list[str]]:
    """Role -> the groups of its teams: EKS keeps one access entry per principal."""
    found: dict[str, list[str]] = {}
    for name, team in settings.teams.items():
        for arn in team.member_role_arns:
            found.setdefault(arn, []).append(_group(name, team))
    return found


def _group(name: str, team: Team) -> str:
    return team.group or f"plinth:{name}"


def _ray(
    base: Base, settings: ClusterSettings, chosen: configuration.Ray, opts: pulumi.ResourceOptions
) -> None:
    Ray(
        "ray",
        RayArgs(
            names=base.names,
            tags=base.common.tags,
            operator_version=chosen.operator_version,
            team=chosen.team,
            service_account=SERVICE_ACCOUNT,
            queue=None if settings.queues.kueue_version is None else LOCAL_QUEUE,
            priority_class=chosen.priority,
            image=chosen.image,
            ray_version=chosen.ray_version,
            pool=chosen.pool,
            workers=chosen.workers,
            gpus_per_worker=chosen.gpus_per_worker,
        ),
        opts,
    )


def _llm(
    base: Base, name: str, server: configuration.LlmServer, opts: pulumi.ResourceOptions
) -> None:
    names = base.names
    LlmDeployment(
        name,
        LlmDeploymentArgs(
            names=names,
            tags=base.common.tags,
            team=server.team,
            image=server.image,
            model_uri=f"s3://{names.bucket('artifacts')}/{server.model_path}",
            gpus=server.gpus,
            cpu=server.cpu,
            memory_gib=server.memory_gib,
            pool=server.pool,
            priority_class=server.priority,
            replicas=server.replicas,
            max_replicas=server.max_replicas,
            max_model_len=server.max_model_len,
            client_namespaces=server.client_namespaces,
        ),
        opts,
    )


def build_teams(
    common: ComponentArgs, settings: ClusterSettings, opts: pulumi.ResourceOptions
) -> Teams:
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
                name: _spec(name, team, settings.environment.tags.cost_centre)
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
        group=_group(name, team),
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
