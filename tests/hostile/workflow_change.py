"""Changes the workflow that the next job runs."""

import json
import sys

WORLD = json.loads(sys.argv[1])
from pathlib import Path

Path(WORLD["repository"], ".github.yml").write_text("owned")
