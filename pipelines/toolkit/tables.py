"""CSV tables of the landing zone as data frames."""

from pathlib import Path
from typing import IO

import pandas as pd

ABSENT = ("", "NA")
"""How the source writes a missing value; nothing else means missing."""


def read(source: Path | IO[bytes]) -> pd.DataFrame:
    return pd.read_csv(source, keep_default_na=False, na_values=list(ABSENT), low_memory=False)
