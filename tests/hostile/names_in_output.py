"""Hands out files whose names are options, paths and commands."""

import json
import sys

WORLD = json.loads(sys.argv[1])
from pathlib import Path

for name in ("-rf", ".bashrc", "a\nb", "$(id)", "a;b", "..\\..\\x", "\x1b[2J"):
    Path(WORLD["output"], name).write_text("owned")
