"""Makes a file that is a device."""

import json
import sys

WORLD = json.loads(sys.argv[1])
import os
import stat

for number in (os.makedev(1, 1), os.makedev(254, 0), os.makedev(8, 0)):
    os.mknod(f"/tmp/d{number}", stat.S_IFBLK | 0o600, number)
    print(WORLD["won"])
