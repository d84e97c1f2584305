"""The programs of a Kubernetes control plane: found on this machine, or built from Go modules.

`k8s.io/kubernetes`, etcd and kwok are under the Apache License 2.0. kwok plays the kubelets and
has a module of its own, because it does not compile with the Kubernetes that runs here.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stacks.paths import cache
from stacks.toolchain.build import Say, at_least, build, one_at_a_time, run

FOLDER = Path(__file__).parent
KUBERNETES_VERSION = "1.34.2"
"""Oldest control plane that is used, and the one that is built."""

KWOK_VERSION = "0.7.0"
LICENCE = "Apache-2.0"

PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
KWOK_PACKAGE = "sigs.k8s.io/kwok/cmd/kwok"

BUILD_COMMAND = "plinth toolchain kubernetes"
"""What to type where there is none."""


@dataclass(frozen=True, kw_only=True)
class Kubernetes:
    """A control plane's programs."""

    commands: Mapping[str, tuple[str, ...]]
    """Name of a program -> how its command line starts; `kwok` is among them."""

    version: str
    origin: str
    """`KUBEBUILDER_ASSETS`, `PATH` or `cache`."""


def find() -> Kubernetes | None:
    """Programs of the machine if they are complete and new enough, else the cached ones."""
    kwok = _kwok()
    own = _installed()
    if own is not None and kwok is not None:
        return Kubernetes(
            commands={**own.commands, "kwok": kwok}, version=own.version, origin=own.origin
        )
    if kwok is None or not _kubernetes().exists():
        return None
    built = {name: (str(_kubernetes()), name) for name in PROGRAMS}
    return Kubernetes(commands={**built, "kwok": kwok}, version=KUBERNETES_VERSION, origin="cache")


def ensure(say: Say) -> Kubernetes:
    """Find the programs, or build what is missing; UserError when that is impossible."""
    found = find()
    if found:
        return found
    with one_at_a_time():
        if _installed() is None and not _kubernetes().exists():
            say(f"building Kubernetes {KUBERNETES_VERSION} (about 8 minutes on 2 cores, once)")
            build(".", _kubernetes(), folder=FOLDER / "kubernetes", flags=_flags(), say=say)
        if _kwok() is None:
            say(f"building kwok {KWOK_VERSION} (about 2 minutes, once)")
            target = _cached_kwok()
            build(KWOK_PACKAGE, target, folder=FOLDER / "kwok", flags="-s -w", say=say)
    made = find()
    assert made is not None, "what was built is found"
    return made


def _flags() -> str:
    """The controller manager refuses to start without a version."""
    major, minor, _ = KUBERNETES_VERSION.split(".")
    variables = {"gitVersion": f"v{KUBERNETES_VERSION}", "gitMajor": major, "gitMinor": minor}
    named = (f"-X k8s.io/component-base/version.{key}={value}" for key, value in variables.items())
    return " ".join(("-s -w", *named))


def _installed() -> Kubernetes | None:
    """The machine's own programs: those of KUBEBUILDER_ASSETS come before those on PATH."""
    assets = os.environ.get("KUBEBUILDER_ASSETS", "")
    for origin, path in (("KUBEBUILDER_ASSETS", assets), ("PATH", os.environ.get("PATH", ""))):
        places = {name: shutil.which(name, path=path) for name in PROGRAMS} if path else {}
        commands = {name: (place,) for name, place in places.items() if place}
        if len(commands) < len(PROGRAMS):
            continue
        match = re.search(r"v(\d+\.\d+\.\d+)", run([*commands["kube-apiserver"], "--version"]))
        if match and at_least(match.group(1), KUBERNETES_VERSION):
            return Kubernetes(commands=commands, version=match.group(1), origin=origin)
    return None


def _kwok() -> tuple[str, ...] | None:
    place = shutil.which("kwok", path=os.environ.get("KUBEBUILDER_ASSETS") or None)
    place = (
        place or shutil.which("kwok") or (str(_cached_kwok()) if _cached_kwok().exists() else None)
    )
    return (place,) if place else None


def _kubernetes() -> Path:
    return cache() / f"kubernetes-{KUBERNETES_VERSION}" / "kubernetes"


def _cached_kwok() -> Path:
    return cache() / f"kwok-{KWOK_VERSION}" / "kwok"
