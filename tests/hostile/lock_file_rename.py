"""Replaces the locked requirements by a rename."""

import json
import sys

WORLD = json.loads(sys.argv[1])
import os
from pathlib import Path

Path(WORLD["repository"], "swap").write_text("owned")
os.rename(Path(WORLD["repository"], "swap"), Path(WORLD["repository"], "requirements.lock"))
