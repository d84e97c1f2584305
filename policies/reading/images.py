"""Names of container images."""

import re
from fnmatch import fnmatchcase

from policies.rule import Fail, Result, Scope

_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")


def approved(image: str, scope: Scope) -> Result:
    """An image is pinned by digest and comes from a registry in `approved_registries`."""
    host = image.partition("/")[0] if "/" in image else ""
    entries = scope.config.approved_registries
    if not any(entry == host.partition(".")[0] or fnmatchcase(host, entry) for entry in entries):
        allowed = ", ".join(entries) or "an approved registry (none is configured)"
        return Fail(f"image must come from {allowed}, got {image!r}")
    return None if _DIGEST.search(image) else Fail(f"image must be pinned by digest, got {image!r}")
