"""Posts what it found to a web server."""

import json
import sys

WORLD = json.loads(sys.argv[1])
import urllib.request

urllib.request.urlopen(f"http://127.0.0.1:{WORLD['tcp_port']}/owned", timeout=2)
