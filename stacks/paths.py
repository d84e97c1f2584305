"""Where this checkout keeps what people edit; imports nothing, so that anything may read it."""

from pathlib import Path

STACKS = Path(__file__).parent
ROOT = STACKS.parent
ENVIRONMENTS = STACKS / "environments"
"""One file per environment and one per stack."""


def shown(path: Path) -> str:
    """A path as the person sees it: from the root of the repository where it lies inside."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
