"""Leaves a program behind that runs as its owner."""

import json
import sys

WORLD = json.loads(sys.argv[1])
import os
import shutil

shutil.copy("/bin/true", WORLD["output"] + "/true")
os.chmod(WORLD["output"] + "/true", 0o6755)
