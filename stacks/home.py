"""Where this checkout keeps what it makes: `.plinth/` for state, `~/.cache/plinth` for tools."""

import os
from pathlib import Path

from stacks.paths import ROOT


def home() -> Path:
    """State of the environments: `PLINTH_HOME`, by default `.plinth/` in the checkout."""
    chosen = os.environ.get("PLINTH_HOME")
    return Path(chosen).expanduser().resolve() if chosen else ROOT / ".plinth"


def cache() -> Path:
    """What is slow to build and the same for every checkout: `PLINTH_CACHE`."""
    chosen = os.environ.get("PLINTH_CACHE")
    return Path(chosen).expanduser().resolve() if chosen else Path.home() / ".cache" / "plinth"
