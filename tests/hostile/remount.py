"""Makes the checkout writable again."""

import json
import sys

WORLD = json.loads(sys.argv[1])
import ctypes

libc = ctypes.CDLL(None, use_errno=True)
if libc.mount(None, WORLD["repository"].encode(), None, 32 | 4096, None) == 0:
    print(WORLD["won"])
