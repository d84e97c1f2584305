"""Reaches the state by a link in the checkout."""

import json
import sys

WORLD = json.loads(sys.argv[1])
from pathlib import Path

print(Path(WORLD["repository"], "link/state.json").read_text())
