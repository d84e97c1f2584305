"""A way into the cluster for whoever deploys it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.checks.cluster_access import caller_access
from stacks.targets.aws_clients import Clients

if TYPE_CHECKING:
    from stacks.commands.output import CommandOutput
    from stacks.settings.model import ClusterSettings


def with_caller(
    settings: ClusterSettings, clients: Clients, report: CommandOutput
) -> ClusterSettings:
    """The settings, with an access entry of the caller where the file names no administrator."""
    found = caller_access(settings, clients)
    if not found:
        return settings
    report.note(f"{settings.names.of('cluster')} lets you in, as {found['caller']}")
    cluster = settings.cluster.model_copy(update={"admin_role_arns": found})
    return settings.model_copy(update={"cluster": cluster})
