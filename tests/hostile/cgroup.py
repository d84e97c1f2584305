"""Asks the kernel to run a program of the machine when a group is empty."""

import json
import sys

WORLD = json.loads(sys.argv[1])
import glob

for path in glob.glob("/sys/fs/cgroup/*/release_agent") + ["/sys/fs/cgroup/cgroup.procs"]:
    with open(path, "a"):
        print(WORLD["won"])
open("/sys/fs/cgroup/cgroup.procs")
