"""Plants a module that every Python starts with, in the checkout."""

import json
import sys

WORLD = json.loads(sys.argv[1])
from pathlib import Path

Path(WORLD["repository"], "sitecustomize.py").write_text("owned")
