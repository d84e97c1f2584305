"""Where this checkout keeps what is edited by hand, and what it makes; anything may read it.

What it makes lies in `.plinth/` (state) and in `~/.cache/plinth` (tools).
"""

import os
from pathlib import Path

STACKS = Path(__file__).parent
ROOT = STACKS.parent
ENVIRONMENTS = STACKS / "environments"
"""One file per environment and one per stack."""


def shown(path: Path) -> str:
    """A path as the person sees it: from the root of the repository where it lies inside."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def home() -> Path:
    """State of the environments: `PLINTH_HOME`, by default `.plinth/` in the checkout."""
    chosen = os.environ.get("PLINTH_HOME")
    return Path(chosen).expanduser().resolve() if chosen else ROOT / ".plinth"


def cache() -> Path:
    """What is slow to build and the same for every checkout: `PLINTH_CACHE`."""
    chosen = os.environ.get("PLINTH_CACHE")
    return Path(chosen).expanduser().resolve() if chosen else Path.home() / ".cache" / "plinth"
