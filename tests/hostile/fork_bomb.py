"""Starts more processes than anybody needs."""

import json
import sys

WORLD = json.loads(sys.argv[1])
import os
import time

made = 0
for _ in range(600):
    try:
        if os.fork() == 0:
            time.sleep(5)
            os._exit(0)
        made += 1
    except OSError:
        break
print(WORLD["won"] if made >= 600 else made)
