"""What each environment consists of, and that it passes its policies, without any engine."""

from collections.abc import Callable

import pytest

from policies.offline import evaluate
from stacks.commands.deploy import policy_config
from stacks.settings.load import environments, load
from stacks.synth import of_json, synthesize, to_json

NO_PIPELINE = {"training": '{"Version": "2020-12-01", "Steps": []}'}
LEFT_TO_PEOPLE = {"ML-MD-008"}
"""Advice that stands until somebody acts: a model card is a draft until a person approves it."""
PACKAGE = "arn:aws:sagemaker:us-east-1:{}:model-package/plinth-{}-flight-delay/7"


@pytest.mark.parametrize("env", environments())
def test_an_environment_consists_of_what_was_accepted(
    env: str, golden: Callable[[str, str], None]
) -> None:
    """Names are contract: a line that changes here is a resource that is replaced."""
    found = synthesize(env, load(env), NO_PIPELINE)
    lines = [
        f"{item.type} {item.name}{' protected' if item.options.protect else ''}" for item in found
    ]
    golden(f"stacks/{env}.txt", "\n".join(sorted(lines)) + "\n")


@pytest.mark.parametrize("env", environments())
def test_an_environment_that_serves_a_model_passes_its_policies(env: str) -> None:
    settings = load(env)
    arn = PACKAGE.format(settings.account.account_id, env)
    endpoint = settings.endpoint.model_copy(update={"model_package_arn": arn})
    settings = settings.model_copy(update={"endpoint": endpoint})
    findings = evaluate(synthesize(env, settings, NO_PIPELINE), policy_config(settings))
    judged = {finding.rule_id for finding in findings if finding.status == "pass"}
    open_points = [f for f in findings if f.status in ("fail", "error", "unknown")]
    assert [f for f in open_points if f.blocks or f.rule_id not in LEFT_TO_PEOPLE] == []
    assert judged >= {"ML-EP-001", "ML-EP-006", "ML-EP-008", "PF-S3-001", "PF-IAM-001", "FO-001"}


def test_only_protected_environments_keep_their_data() -> None:
    kept = {
        env: any(item.options.protect for item in synthesize(env, load(env), NO_PIPELINE))
        for env in environments()
    }
    assert kept == {env: load(env).protect for env in environments()}


def test_a_synth_reads_back_as_it_was_written() -> None:
    found = synthesize("prod", load("prod"), NO_PIPELINE)
    assert of_json(to_json(found)) == found
