"""Mounts a folder of the machine elsewhere."""

import json
import sys

WORLD = json.loads(sys.argv[1])
import ctypes

libc = ctypes.CDLL(None, use_errno=True)
if libc.mount(b"/", b"/tmp", None, 4096, None) == 0 or libc.umount2(b"/proc", 2) == 0:
    print(WORLD["won"])
