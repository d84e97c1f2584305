"""Prints sequences that a terminal obeys."""

import json
import sys

WORLD = json.loads(sys.argv[1])
print("\x1b]52;c;b3duZWQ=\x07\x1b[2J\x1b]0;owned\x07\x9b5n")
