"""`python -m tests.clients NAME`: one module of this folder; it prints counts."""

import importlib
import sys

NAMES = ("aws_cli", "feast_store", "moto_sagemaker", "notebooks", "ranking", "sdk_v2", "sdk_v3")


def main(arguments: list[str]) -> int:
    """Run one; 0 where it could be run, whatever it counted."""
    if not arguments or arguments[0] not in NAMES:
        sys.stderr.write(f"usage: python -m tests.clients NAME, one of {', '.join(NAMES)}\n")
        return 2
    return int(importlib.import_module(f"tests.clients.{arguments[0]}").run(arguments[1:]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
