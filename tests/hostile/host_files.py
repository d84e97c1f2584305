"""Writes where everybody may write."""

import json
import sys

WORLD = json.loads(sys.argv[1])
from pathlib import Path

Path(WORLD["shared"], "canary").write_text("owned")
