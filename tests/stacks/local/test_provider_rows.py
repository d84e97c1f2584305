"""Every row of the local provider does what the engine asks of it, against a live endpoint."""

from collections.abc import Iterator

import pytest

from stacks.local.provider.aws.table import ROWS
from tests.kits.local_cloud import running_cloud
from tests.kits.provider import Cloud, changed, serve_program, subject
from tests.stacks.local.provider_cases.cases import CASES


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    folder = tmp_path_factory.mktemp("bin")
    with running_cloud(tmp_path_factory.mktemp("home")) as local:
        yield Cloud(local.backend(), serve_path=serve_program(folder))


@pytest.fixture
def cloud(running: Cloud) -> Iterator[Cloud]:
    yield running
    running.clear()


def test_every_row_has_a_case() -> None:
    assert sorted(CASES) == sorted(ROWS)


@pytest.mark.parametrize("token", sorted(CASES), ids=lambda token: token.rpartition(":")[2])
def test_a_row_creates_reads_changes_and_deletes(cloud: Cloud, token: str) -> None:
    case, backend, it = CASES[token], cloud.backend, subject(token)
    program = cloud.resolve(case.inputs)
    inputs, failures = backend.check(it, program, {}, b"seed")
    assert failures == [] and inputs == program

    made = cloud.keep(token, inputs)
    assert made.id and {key: made.outputs[key] for key in inputs} == inputs

    found = backend.read(it, made.id, inputs)
    assert found is not None
    assert found.inputs == inputs, "a refresh right after the creation sees drift"
    assert backend.diff(it, found.inputs, inputs).changes == ()

    imported = backend.read(it, made.id, None)
    assert imported is not None
    kept = {"content", *ROWS[token].write_only, *ROWS[token].provider_only}
    remembered = {name: value for name, value in inputs.items() if name in kept}
    difference = backend.diff(it, {**imported.inputs, **remembered}, inputs)
    assert difference.changes == (), "an import differs from the program that made it"

    new = changed(case, inputs, cloud.resolve)
    difference = backend.diff(it, inputs, new)
    assert difference.changes and difference.replaces == case.replaces
    if not case.replaces:
        updated = backend.update(it, made.id, inputs, new)
        assert {key: updated.outputs[key] for key in new} == new
        after = backend.read(it, made.id, new)
        assert after is not None and after.inputs == new
        inputs = new

    backend.delete(it, made.id, inputs)
    backend.delete(it, made.id, inputs)
    assert case.stays or backend.read(it, made.id, inputs) is None
