"""Ends the process group of a process of the person."""

import json
import sys

WORLD = json.loads(sys.argv[1])
import os
import signal

os.killpg(WORLD["victim_pid"], signal.SIGKILL)
