"""Where this checkout keeps what is edited by hand, and what it makes; anything may read it.

What it makes lies in `.plinth/` (state) and in `~/.cache/plinth` (tools).
"""

import os
from pathlib import Path

from infra.errors import UserError

STACKS = Path(__file__).parent
ROOT = STACKS.parent
ENVIRONMENTS = STACKS / "environments"
"""One file per environment and one per stack."""


def shown(path: Path) -> str:
    """A path as the person sees it: from the root of the repository where it lies inside."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def home() -> Path:
    """State of the environments: `PLINTH_HOME`, by default `.plinth/` in the checkout."""
    return _folder("PLINTH_HOME", str(ROOT / ".plinth"))


def cache() -> Path:
    """What is slow to build and the same for every checkout: `PLINTH_CACHE`."""
    return _folder("PLINTH_CACHE", "~/.cache/plinth")


def _folder(variable: str, default: str) -> Path:
    """What a variable names, all links followed; UserError where its `~` is nobody's."""
    path = os.environ.get(variable) or default
    try:
        path = str(Path(path).expanduser())
    except RuntimeError:
        raise UserError(
            f"{variable} must name a folder, got {path!r}: nobody has that home",
            fix=f"set {variable} to a path from the root",
        ) from None
    return Path(os.path.realpath(path))
