"""The two exceptions that a person, not a developer, is meant to read."""

from collections.abc import Mapping
from typing import Any


class UserError(Exception):
    """Something the person at the keyboard can put right: exit code 2, no traceback.

    `problem` names where, what must hold and what it got; `fix` is one imperative, or empty when
    the problem already says it.
    """

    def __init__(self, problem: str, *, fix: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.problem}\n  fix: {self.fix}" if self.fix else self.problem


class CheckFailed(Exception):
    """A check said no (a policy, a pipeline step, a deployment): exit code 1, no traceback.

    `data` is what the command found out before it failed; `--json` prints it with the error.
    """

    def __init__(
        self, problem: str, *, fix: str = "", data: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(problem)
        self.problem = problem
        self.fix = fix
        self.data = dict(data or {})

    def __str__(self) -> str:
        return f"{self.problem}\n  fix: {self.fix}" if self.fix else self.problem
