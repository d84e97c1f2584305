"""Reads a private key."""

import json
import sys

WORLD = json.loads(sys.argv[1])
from pathlib import Path

print(Path(WORLD["home"], ".ssh/id_ed25519").read_text())
