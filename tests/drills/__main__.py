"""Runs one drill by the name of its module: `python -m tests.drills NAME [ARGUMENTS]`."""

import importlib
import sys
from pathlib import Path

NAMES = sorted(
    path.stem for path in Path(__file__).parent.glob("[a-z]*.py") if path.stem != "__main__"
)


def main(words: list[str]) -> int:
    if not words or words[0] not in NAMES:
        sys.stderr.write(f"NAME must be one of {', '.join(NAMES)}\n")
        return 2
    code: int = importlib.import_module(f"tests.drills.{words[0]}").run(words[1:])
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
