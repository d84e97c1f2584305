"""Reads the state from the folder that PLINTH_HOME named."""

import json
import sys

WORLD = json.loads(sys.argv[1])
from pathlib import Path

print(Path(WORLD["state"], "state.json").read_text())
