"""Writes a new workload from the template: a package that runs, and a test, to be edited.

The template is files under `pipelines/template/`: `every/` for all kinds, `model/` or `features/`
beside it. A file's path holds `NAME`, its content is a Jinja template.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from infra.errors import UserError
from pipelines.workload import check_name

TEMPLATE = Path(__file__).parent / "template"
SUFFIX = ".jinja"

Kind = Literal["classification", "regression", "features"]
FOLDERS: Mapping[Kind, tuple[str, str]] = {
    "classification": ("every", "model"),
    "regression": ("every", "model"),
    "features": ("every", "features"),
}
TARGETS: Mapping[Kind, str] = {"classification": "failed", "regression": "units", "features": ""}

ANOTHER = "choose another name"

IMPORTS = re.compile(r"(?:^ *from pipelines\.\S+ import [^(\n]+\n){2,}", re.MULTILINE)
"""Lines that stand in the order of their modules, whatever the workload is called."""


def render(name: str, kind: Kind, target_root: Path) -> list[Path]:
    """Write a workload below a root; the files written, relative to it.

    Nothing that exists is overwritten: UserError, and then nothing is written at all.
    """
    check_name(name)
    texts = rendered(name, kind)
    _check_free(name, [*texts, Path("pipelines", f"{name}.py")], target_root)
    for path, text in texts.items():
        (target_root / path).parent.mkdir(parents=True, exist_ok=True)
        (target_root / path).write_text(text)
    return sorted(texts)


def _check_free(name: str, files: Sequence[Path], root: Path) -> None:
    """UserError if something of this name is there, or a workload that would share its names."""
    package = Path("pipelines", name)
    taken = [path for path in (package, *files) if (root / path).exists()]
    if taken:
        raise UserError(f"workload {name!r}: {taken[0]} is there already", fix=ANOTHER)
    others = [path.parent.name for path in sorted(root.glob("pipelines/*/workload.py"))]
    for other in others:
        if f"{other}_".startswith(f"{name}_") or f"{name}_".startswith(f"{other}_"):
            raise UserError(
                f"workload {name!r}: {other} is there, and of two workloads neither's name may"
                " begin with the other's",
                fix=ANOTHER,
            )


def rendered(name: str, kind: Kind) -> dict[Path, str]:
    """The text of every file of a new workload, by its path below the root."""
    import jinja2

    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
    values = {
        "name": name,
        "title": name.replace("_", " "),
        "kind": kind,
        "target": TARGETS[kind],
    }
    found = {}
    for folder in FOLDERS[kind]:
        for path in sorted((TEMPLATE / folder).rglob(f"*{SUFFIX}")):
            place = str(path.relative_to(TEMPLATE / folder)).removesuffix(SUFFIX)
            text = environment.from_string(path.read_text()).render(values)
            found[Path(place.replace("NAME", name))] = _in_order(text) + "\n"
    return found


def _in_order(text: str) -> str:
    def ordered(block: re.Match[str]) -> str:
        lines = block[0].splitlines(keepends=True)
        return "".join(sorted(lines, key=lambda line: line.split()[1]))

    return IMPORTS.sub(ordered, text)
