"""The workload image's reference: pinned by digest, or by its build context where it is not built.

An environment that runs the image's content from source (`image.digest: context`) names it by the
hash of everything that the Dockerfile copies, so a changed step script is a changed image in the
preview, as it would be after a build.
"""

import hashlib

from infra.naming import IMAGES, Names
from stacks.paths import ROOT
from stacks.settings.models import Image

BUILD_CONTEXT = ("pipelines/steps", "serving", "requirements.lock")
"""What `serving/Dockerfile` copies."""


def image_uri(image: Image, names: Names) -> str:
    """`<repository>@sha256:<digest>`."""
    digest = context_digest() if image.digest == "context" else image.digest
    return f"{names.repository_url(IMAGES)}@{digest}"


def context_digest() -> str:
    """SHA-256 over names and contents of the files of the build context."""
    total = hashlib.sha256()
    for entry in BUILD_CONTEXT:
        path = ROOT / entry
        files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
        for file in files:
            if "__pycache__" in file.parts:
                continue
            total.update(f"{file.relative_to(ROOT)}\0".encode())
            total.update(hashlib.sha256(file.read_bytes()).digest())
    return f"sha256:{total.hexdigest()}"
