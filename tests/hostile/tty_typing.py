"""Types into the terminal of the person."""

import json
import sys

WORLD = json.loads(sys.argv[1])
import fcntl
import os

for path in ("/dev/tty", "/proc/self/fd/0", "/dev/pts/0", "/dev/console"):
    try:
        fd = os.open(path, os.O_RDWR)
        fcntl.ioctl(fd, 0x5412, b"x")
        print(WORLD["won"])
    except OSError as error:
        print(error)
