"""Fills the disk by way of the scratch folder."""

import json
import sys

WORLD = json.loads(sys.argv[1])
with open("/tmp/fill", "wb") as file:
    for _ in range(64):
        file.write(b"x" * (1 << 20))
print(WORLD["won"])
