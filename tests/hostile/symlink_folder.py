"""Makes the output folder's file a link that the next write follows."""

import json
import sys

WORLD = json.loads(sys.argv[1])
import os

os.symlink(WORLD["shared"], WORLD["output"] + "/folder")
os.symlink(WORLD["shared"] + "/canary", WORLD["output"] + "/canary")
