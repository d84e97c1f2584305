"""Gets privileges in namespaces of its own."""

import json
import sys

WORLD = json.loads(sys.argv[1])
import ctypes

libc = ctypes.CDLL(None, use_errno=True)
if libc.unshare(0x10000000 | 0x20000) == 0:
    print(WORLD["won"])
