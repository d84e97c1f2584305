"""Reads the state of an environment from the checkout."""

import json
import sys

WORLD = json.loads(sys.argv[1])
from pathlib import Path

print(Path(WORLD["repository"], ".plinth/local/state.json").read_text())
