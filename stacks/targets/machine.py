"""What `plinth doctor` asks of this machine: what an environment needs here, and how to get it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from infra.errors import UserError
from stacks.local.daemon import client as daemon
from stacks.paths import home
from stacks.settings.load import load_environment
from stacks.toolchain import control_plane, pulumi


@dataclass(frozen=True)
class Need:
    """One thing that an environment needs of the machine."""

    what: str
    ok: bool
    got: str
    fix: str
    """Empty where it is there, or where one can do without it."""


def _need(what: str, ok: bool, got: str, fix: str) -> Need:
    return Need(what, ok, got, "" if ok else fix)


def python() -> Need:
    """The interpreter that runs this, for every environment."""
    version = sys.version.split()[0]
    return _need("Python 3.11.2 or newer", sys.version_info >= (3, 11, 2), version, "install it")


def _local_cloud() -> Need:
    try:
        found = daemon.find(home())
    except UserError as error:
        return _need("local cloud", False, error.problem, error.fix)
    return Need(
        "local cloud",
        True,
        found.endpoint_url if found else "not running, `plinth up local` starts it",
        "",
    )


def of_local_cloud() -> list[Need]:
    """For an environment that lives on this machine."""
    free_gib = shutil.disk_usage(home().parent).free / 2**30
    unshare = shutil.which("unshare")
    return [
        _local_cli(),
        Need(
            "mount namespaces for jobs",
            True,  # a machine without them runs the same jobs, less faithfully
            unshare or "no unshare (util-linux): jobs run with rewritten paths",
            "",
        ),
        _control_plane(),
        _need("2 GiB of disk", free_gib > 2, f"{free_gib:.0f} GiB free", "free some"),
        _local_cloud(),
    ]


def _local_cli() -> Need:
    found = pulumi.find()
    can_build = found or shutil.which("go") or shutil.which("uv")
    return _need(
        f"Pulumi CLI {pulumi.PULUMI_VERSION} or newer",
        bool(can_build),
        f"{found.version} ({found.origin})" if found else "none yet, `plinth up local` gets it",
        "install Pulumi, or Go 1.24 so that it can be built",
    )


def _control_plane() -> Need:
    found = control_plane.find()
    without = "none: objects are only checked and recorded, "
    return Need(
        f"Kubernetes control plane {control_plane.KUBERNETES_VERSION} or newer",
        True,  # a machine without one checks and records the objects
        f"{found.version} ({found.origin})"
        if found
        else f"{without}`{control_plane.BUILD_COMMAND}` builds it",
        "",
    )


def of_account(
    env: str, has_credentials: bool, variables: Mapping[str, str] = os.environ
) -> list[Need]:
    """For an environment in an AWS account."""
    found = pulumi.find()
    official = found.version if found and found.origin == "PATH" else None
    backend = load_environment(env).account.backend_url or variables.get("PULUMI_BACKEND_URL")
    return [
        _need(
            "official Pulumi CLI on PATH",
            official is not None,
            official or "none",
            "install Pulumi from pulumi.com",
        ),
        _need(
            "AWS CLI on PATH",
            shutil.which("aws") is not None,
            shutil.which("aws") or "none: without it nobody gets a token for the cluster",
            "install the AWS CLI, version 2",
        ),
        _need(
            "AWS credentials",
            has_credentials,
            "found" if has_credentials else "none",
            f"log in to the account of {env}; for an instance role on EC2 set "
            "AWS_EC2_METADATA_DISABLED=false",
        ),
        _need(
            "place for the state",
            backend is not None,
            backend or "none",
            f"type `plinth bootstrap {env}`, or set PULUMI_BACKEND_URL",
        ),
    ]
