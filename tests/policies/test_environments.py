"""The policies of whole environments: each stack by itself, and their sum."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from stacks.cli import main
from stacks.stack_name import environments, stacks_of
from tests.kits.stacks import only_an_account_knows


@pytest.mark.parametrize("env", environments())
def test_every_stack_of_an_environment_passes_its_policies(
    env: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as done:
        main(["policy", env, "--json"])
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert done.value.code == 0
    assert list(result["stacks"]) == sorted(map(str, stacks_of(env)))
    summed: Counter[str] = Counter()
    for said in result["stacks"].values():
        assert said["resources"] > 10
        open_points = [found for found in said["findings"] if found["status"] != "exempt"]
        assert [f for f in open_points if not only_an_account_knows(f)] == []
        summed.update(said["counts"])
    assert result["counts"] == dict(summed)
    assert (result["name"], result["env"], result["blocking"]) == (env, env, 0)


def test_the_controls_of_a_framework_are_those_of_all_stacks_together(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One table: a control fails where it does in any stack."""
    with pytest.raises(SystemExit) as done:
        main(["policy", "local", "--framework", "hipaa"])
    assert done.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    [summary] = [line for line in lines if line.startswith("hipaa: ")]
    assert (
        "13 of 34 listed controls have a rule; here 3 undecided, 8 passed, 2 no resource" in summary
    )
    assert [line for line in lines if line.startswith("local: ")] == [lines[-1]]
    heads = [line for line in lines if line.startswith("control ")]
    assert len(heads) == 1
