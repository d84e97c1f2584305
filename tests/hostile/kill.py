"""Ends a process of the person."""

import json
import sys

WORLD = json.loads(sys.argv[1])
import os
import signal

os.kill(WORLD["victim_pid"], signal.SIGKILL)
