"""`plinth compare-reviews`: one change on its way through several environments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from infra.errors import UserError
from stacks.commands.output import CommandOutput
from stacks.reading import json_of


def compare_reviews(
    files: Sequence[Path], progress: CommandOutput, *, output: Path | None
) -> dict[str, Any]:
    """The JSON reports of several reviews side by side; Markdown where a file is wanted."""
    from policies.review.render import markdown, terminal
    from policies.review.roll_up import rolled

    try:
        section = rolled([json_of(path) for path in files])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"every FILE must be the JSON report of a review: {error}",
            fix="write each with `plinth review ENV --format json --output FILE`",
        ) from None
    if output is not None:
        output.write_text(markdown.of_section(section))
    elif not progress.as_json:
        terminal.show_section(section, progress.out)
    return dict(section.data)
