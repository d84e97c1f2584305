"""Which control of a framework the rules decide; see controls.py."""
