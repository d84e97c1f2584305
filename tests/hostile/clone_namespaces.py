"""Gets privileges in namespaces by clone and clone3."""

import json
import sys

WORLD = json.loads(sys.argv[1])
import ctypes
import os
import platform

libc = ctypes.CDLL(None, use_errno=True)
number = {"x86_64": 56, "aarch64": 220}[platform.machine()]
arguments = (ctypes.c_uint64 * 11)(0x10000000, 0, 0, 0, 17)
for call in (
    (number, 0x10000000 | 17, 0, 0, 0, 0),
    (435, ctypes.byref(arguments), 88),
):
    pid = libc.syscall(*call)
    if pid == 0:
        os._exit(0)
    if pid > 0:
        print(WORLD["won"])
