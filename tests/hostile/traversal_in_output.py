"""Hands out a report that points above its folder."""

import json
import sys

WORLD = json.loads(sys.argv[1])
from pathlib import Path

Path(WORLD["output"], "..", "canary.sarif").write_text("owned")
