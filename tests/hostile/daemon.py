"""Goes on in the background when the job is over."""

import json
import sys

WORLD = json.loads(sys.argv[1])
import os
import time
from pathlib import Path

if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in (0, 1, 2):
            os.close(number)
        time.sleep(1)
        Path(WORLD["output"], "canary").write_text("owned")
        Path(WORLD["shared"], "canary").write_text("owned")
    os._exit(0)
