"""Leaves a pipe for which the next reader waits for ever."""

import json
import sys

WORLD = json.loads(sys.argv[1])
import os

os.mkfifo(WORLD["output"] + "/comment.md")
