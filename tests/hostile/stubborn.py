"""Ignores every signal that asks it to end."""

import json
import sys

WORLD = json.loads(sys.argv[1])
import signal
import time

for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
time.sleep(60)
print(WORLD["won"])
