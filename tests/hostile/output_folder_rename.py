"""Moves the output folder and puts a link in its place."""

import json
import sys

WORLD = json.loads(sys.argv[1])
import os

os.rename(WORLD["output"], WORLD["output"] + "2")
os.symlink(WORLD["shared"], WORLD["output"])
with open(WORLD["output"] + "/canary", "w") as file:
    file.write("owned")
