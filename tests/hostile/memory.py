"""Takes more memory than it is given, in many processes."""

import json
import sys

WORLD = json.loads(sys.argv[1])
import os
import time

for _ in range(4):
    if os.fork() == 0:
        held = []
        for _ in range(40):
            held.append(b"x" * (16 << 20))
            time.sleep(0.02)
        time.sleep(5)
        os._exit(0)
time.sleep(6)
print(WORLD["won"])
