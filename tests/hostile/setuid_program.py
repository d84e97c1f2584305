"""Runs the programs that make anybody root."""

import json
import sys

WORLD = json.loads(sys.argv[1])
import subprocess

for command in (
    ["su", "-c", "id -u"],
    ["sudo", "-n", "id", "-u"],
    ["mount", "-t", "tmpfs", "x", "/mnt"],
):
    try:
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    except OSError as error:
        print(error)
        continue
    print(WORLD["won"] if done.returncode == 0 else done.stderr)
