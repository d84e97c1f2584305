"""Changes the locked requirements that a later job installs."""

import json
import sys

WORLD = json.loads(sys.argv[1])
from pathlib import Path

Path(WORLD["repository"], "requirements.lock").write_text("owned")
