"""Plants a line in the profile of the person's shell."""

import json
import sys

WORLD = json.loads(sys.argv[1])
from pathlib import Path

Path(WORLD["home"], ".bashrc").write_text("owned")
