"""Reads the disk and the memory of the machine."""

import json
import sys

WORLD = json.loads(sys.argv[1])
import glob

for path in [
    "/dev/mem",
    "/dev/kmsg",
    "/proc/kcore",
    *glob.glob("/dev/[svx]d*"),
    *glob.glob("/dev/nvme*"),
]:
    try:
        with open(path, "rb") as file:
            file.read(1)
        print(path, WORLD["won"])
    except OSError as error:
        print(error)
