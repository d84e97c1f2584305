"""Names of container images."""

import re
from fnmatch import fnmatchcase
from functools import partial

from policies.rule import Fail, Result, Scope

_ECR = re.compile(r"(\d{12})\.dkr[.-]ecr(-fips)?\.[a-z0-9-]+\.(amazonaws\.com(\.cn)?|on\.aws)")
"""Hosts of ECR's private registries: an account's number alone names none."""

PINNED = re.compile(r"@sha256:[0-9a-f]{64}$")


def by_digest(image: object) -> object:
    """The image without a tag, where a digest says which it is: the tag is ignored then.

    Source: the OCI's distribution specification, "Pulling manifests"; Kubernetes' documentation,
    "Image names".
    """
    name = str(image)
    pinned = PINNED.search(name)
    if pinned is None:
        return image
    path, _, last = name[: pinned.start()].rpartition("/")
    return f"{path}/{last.partition(':')[0]}{pinned[0]}"


def approved(image: str, scope: Scope) -> Result:
    """An image is pinned by digest and comes from a registry in `approved_registries`."""
    host = image.partition("/")[0] if "/" in image else ""
    entries = scope.config.approved_registries
    if not any(map(partial(_is_of, host), entries)):
        allowed = ", ".join(entries) or "an approved registry (none is configured)"
        return Fail(f"image must come from {allowed}, got {image!r}")
    return None if PINNED.search(image) else Fail(f"image must be pinned by digest, got {image!r}")


def _is_of(host: str, entry: str) -> bool:
    """Whether a host is that of an entry: the ECR of an account, or a pattern of hosts."""
    if entry.isdigit():
        found = _ECR.fullmatch(host)
        return found is not None and found[1] == entry
    return fnmatchcase(host, entry)
