"""`python -m policies.frameworks` writes the JSON files beside it from the crosswalk and rules."""

from policies.frameworks.controls import HERE
from policies.frameworks.crosswalk import files
from policies.review.deltas import DELTAS
from policies.rules import RULES

for name, text in files(RULES, DELTAS).items():
    (HERE / name).write_text(text)
