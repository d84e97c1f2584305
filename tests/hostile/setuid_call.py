"""Becomes root by asking."""

import json
import sys

WORLD = json.loads(sys.argv[1])
import os

for call, numbers in ((os.setuid, (0,)), (os.setresuid, (0, 0, 0)), (os.setgid, (0,))):
    try:
        call(*numbers)
        print(WORLD["won"])
    except OSError as error:
        print(error)
