"""Uses up the inodes of the disk."""

import json
import sys

WORLD = json.loads(sys.argv[1])
from pathlib import Path

for number in range(80_000):
    Path(f"/tmp/f{number}").touch()
print(WORLD["won"])
