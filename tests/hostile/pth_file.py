"""Plants a .pth file in the packages of the interpreter."""

import json
import sys

WORLD = json.loads(sys.argv[1])
from pathlib import Path

Path(WORLD["packages"], "owned.pth").write_text("owned")
