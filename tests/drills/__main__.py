"""`python -m tests.drills NAME [ARGUMENTS]`: every module here is a drill and has a `main`."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Sequence

from tests import drills


def names() -> list[str]:
    """Every drill."""
    found = [module.name for module in pkgutil.iter_modules(drills.__path__)]
    return sorted(name for name in found if not name.startswith("_"))


def main(arguments: Sequence[str]) -> int:
    """Run the drill that is named; its exit code, or 2 where there is none of the name."""
    if not arguments or arguments[0] not in names():
        got = arguments[0] if arguments else "nothing"
        sys.stderr.write(f"drill: must be one of {', '.join(names())}, got {got}\n")
        sys.stderr.write("  fix: python -m tests.drills NAME\n")
        return 2
    drill = importlib.import_module(f"{drills.__name__}.{arguments[0]}")
    return int(drill.main(arguments[1:]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
