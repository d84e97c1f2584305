"""The policies of whole environments: each stack by itself, and their sum."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from stacks.cli import main
from stacks.stack_name import environments, stacks_of


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
        assert [found for found in said["findings"] if found["status"] != "exempt"] == []
        summed.update(said["counts"])
    assert result["counts"] == dict(summed)
    assert (result["name"], result["env"], result["blocking"]) == (env, env, 0)
