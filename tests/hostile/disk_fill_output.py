"""Fills the disk by way of the output folder."""

import json
import sys

WORLD = json.loads(sys.argv[1])
from pathlib import Path

for number in range(64):
    Path(WORLD["output"], f"fill{number}").write_bytes(b"x" * (1 << 20))
print(WORLD["won"])
