"""The workload image's reference: pinned by digest, or by its build context where it is not built.

An environment that runs the image's content from source (`image.digest: context`) names it by the
hash of everything that the Dockerfile copies, so a changed step script is a changed image in the
preview, as it would be after a build.
"""

import hashlib

from infra.naming import IMAGES, Names
from stacks.paths import ROOT
from stacks.settings.models import Image

BUILD_CONTEXT = ("pipelines/toolkit", "serving", "requirements.lock")
"""What `serving/Dockerfile` copies for every workload, beside the workload's own package."""


def image_uri(image: Image, names: Names, workload: str) -> str:
    """`<repository>@sha256:<digest>`."""
    digest = context_digest(workload) if image.digest == "context" else image.digest
    return f"{names.repository_url(IMAGES)}@{digest}"


def context_digest(workload: str) -> str:
    """SHA-256 over names and contents of the files of a workload's build context."""
    total = hashlib.sha256()
    for entry in (f"pipelines/{workload}", *BUILD_CONTEXT):
        path = ROOT / entry
        files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
        for file in files:
            if "__pycache__" in file.parts:
                continue
            total.update(f"{file.relative_to(ROOT)}\0".encode())
            total.update(hashlib.sha256(file.read_bytes()).digest())
    return f"sha256:{total.hexdigest()}"
