"""Drills: a whole environment is put to a question that no single test asks. `python -m
tests.drills` lists them."""
