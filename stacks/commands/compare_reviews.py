"""`plinth compare-reviews`: one change on its way through several environments."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from infra.errors import UserError
from stacks.commands.output import CommandOutput


def compare_reviews(
    files: Sequence[Path], progress: CommandOutput, *, output: Path | None
) -> dict[str, Any]:
    """The JSON reports of several reviews side by side; Markdown where a file is wanted."""
    from policies.review.render import markdown, terminal
    from policies.review.roll_up import rolled

    try:
        section = rolled([json.loads(path.read_text()) for path in files])
    except OSError as error:
        raise UserError(f"{error.filename} must be a file, got {error.strerror}") from None
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
