"""Prints commands that a runner obeys."""

import json
import sys

WORLD = json.loads(sys.argv[1])
print("::add-mask::a")
print("  ::set-output name=a::b")
print("x ##[command]y")
print("\r::stop-commands::z")
print("a\x0b::error::b\x0c::error::c\u2028::error::d")
