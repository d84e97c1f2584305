"""`python -m tests.drills NAME`: one module of this folder; it prints counts."""

import importlib
import sys
from pathlib import Path

NAMES = sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py"))


def main(arguments: list[str]) -> int:
    """Run one drill; 0 where nothing broke."""
    if not arguments or arguments[0] not in NAMES:
        sys.stderr.write(f"usage: python -m tests.drills NAME, one of {', '.join(NAMES)}\n")
        return 2
    drill = importlib.import_module(f"tests.drills.{arguments[0]}")
    return int(drill.run(arguments[1:]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
