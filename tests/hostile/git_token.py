"""Reads the token that a checkout leaves in .git/config."""

import json
import sys

WORLD = json.loads(sys.argv[1])
from pathlib import Path

print(Path(WORLD["repository"], ".git/config").read_text())
