"""Reads secrets that lie in the checkout beside the code."""

import json
import sys

WORLD = json.loads(sys.argv[1])
from pathlib import Path

print(Path(WORLD["repository"], ".env").read_text())
