"""Prints until the log is full."""

import json
import sys

WORLD = json.loads(sys.argv[1])
for _ in range(600):
    sys.stdout.write(WORLD["long"] * 1000 + "\n")
