"""Becomes root by asking."""

import json
import sys

WORLD = json.loads(sys.argv[1])
import os

for call in (lambda: os.setuid(0), lambda: os.setresuid(0, 0, 0), lambda: os.setgid(0)):
    try:
        call()
        print(WORLD["won"])
    except OSError as error:
        print(error)
