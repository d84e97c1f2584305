"""Plants a command in the configuration of git."""

import json
import sys

WORLD = json.loads(sys.argv[1])
from pathlib import Path

with Path(WORLD["repository"], ".git/config").open("a") as file:
    file.write("[core]\n\tfsmonitor = owned\n")
