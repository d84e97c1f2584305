"""Reads the AWS credentials of the person who runs it."""

import json
import sys

WORLD = json.loads(sys.argv[1])
from pathlib import Path

print(Path(WORLD["home"], ".aws/credentials").read_text())
