"""Plants bytecode beside a module."""

import json
import sys

WORLD = json.loads(sys.argv[1])
from pathlib import Path

Path(WORLD["repository"], "__pycache__").mkdir(exist_ok=True)
Path(WORLD["repository"], "__pycache__/module.pyc").write_text("owned")
