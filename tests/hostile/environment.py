"""Reads the credentials of the job from its own environment."""

import json
import sys

WORLD = json.loads(sys.argv[1])
import os

print(dict(os.environ))
