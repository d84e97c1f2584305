"""Plants a hook that runs at the next commit."""

import json
import sys

WORLD = json.loads(sys.argv[1])
from pathlib import Path

Path(WORLD["repository"], ".git/hooks/pre-commit").write_text("owned")
