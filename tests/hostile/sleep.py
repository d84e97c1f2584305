"""Never ends."""

import json
import sys

WORLD = json.loads(sys.argv[1])
import time

time.sleep(60)
print(WORLD["won"])
