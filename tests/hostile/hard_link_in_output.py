"""Hands out a second name of a file."""

import json
import sys

WORLD = json.loads(sys.argv[1])
import os

os.link(WORLD["repository"] + "/requirements.lock", WORLD["output"] + "/lock")
