"""Writes a state of its own."""

import json
import sys

WORLD = json.loads(sys.argv[1])
from pathlib import Path

Path(WORLD["repository"], ".plinth/local/state.json").write_text("owned")
