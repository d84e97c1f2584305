"""The CrossGuard pack under the real engine; the rest about it is in test_policies_pack.py."""

from __future__ import annotations

import gc
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pulumi
import pulumi.automation as auto
import pulumi_aws as aws
import pytest

from policies.config import PolicyConfig
from policies.data import UNKNOWN, Resource
from policies.offline import evaluate
from policies.pack import CONFIG_VARIABLE
from policies.rules import RULES
from stacks.policy_config import policy_config
from stacks.synth import recorded
from tests.kits.crossguard import mutated
from tests.kits.echo_provider import EchoProvider, echo_provider
from tests.policies.cases.access import FAIL, TRAIN, holds, pipeline, validate
from tests.policies.cases.case import KEY, feature_group
from tests.policies.cases.platform import bucket, node_group
from tests.policies.test_policies import CASES
from tests.stacks.test_settings_policies import written

pytestmark = [
    pytest.mark.engine,
    # Where the engine stops early, the SDK drops the inline program's coroutine unfinished
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

ROOT = Path(__file__).parents[2]
LAUNCHER = ROOT / "stacks" / "toolchain" / "bin"
RULE_IDS = {f"{rule.id}-{rule.name}": rule.id for rule in RULES}
"""Name of a policy of the pack -> the rule that it is."""

Seen = set[tuple[str, str, str]]
"""Rule, URN, `mandatory` or `advisory`."""


@dataclass
class Engine:
    """A throw-away stack under the real engine and a provider that creates nothing."""

    provider: EchoProvider
    folder: Path
    environment: dict[str, str]

    def run(self, operation: str, program: Callable[[], Any], config: PolicyConfig) -> Run:
        path = self.folder / "policies.json"
        path.write_text(json.dumps(config.to_dict()))
        stack = auto.create_or_select_stack(
            stack_name="test",
            project_name="plinth",
            program=program,
            opts=auto.LocalWorkspaceOptions(
                work_dir=str(self.folder),
                env_vars={**self.environment, CONFIG_VARIABLE: str(path)},
            ),
        )
        run = Run()
        try:
            getattr(stack, operation)(
                policy_packs=[str(ROOT / "policies")], on_event=run.events.append
            )
        except auto.CommandError as error:
            run.error = str(error)
        gc.collect()  # destroy that coroutine here: elsewhere it can break an import (CPython 3.11)
        return run


class Run:
    """What one operation reported."""

    def __init__(self) -> None:
        self.events: list[auto.EngineEvent] = []
        self.error = ""

    def policies(self) -> Seen:
        seen = set()
        for event in self.events:
            if (found := event.policy_event) is None:
                continue
            rule_id = RULE_IDS.get(found.policy_name, found.policy_name)
            # An undecided stack policy is one line at the stack that names its resources
            named = re.findall(r"(urn:pulumi:\S+): not known", found.message)
            for urn in named or [found.resource_urn]:
                seen.add((rule_id, urn, found.enforcement_level))
        return seen


@pytest.fixture
def engine(pulumi_cli: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    path = os.pathsep.join([str(LAUNCHER), str(pulumi_cli.parent), os.environ["PATH"]])
    monkeypatch.setenv("PATH", path)  # the Automation API looks for the CLI there
    with echo_provider() as (provider, port):
        environment = {
            "PATH": path,
            "PLINTH_PYTHON": sys.executable,
            "PULUMI_HOME": str(tmp_path / "home"),
            "PULUMI_BACKEND_URL": tmp_path.as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_DEBUG_PROVIDERS": f"aws:{port}",
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield Engine(provider, tmp_path, environment)


def configuration(name: str, **changes: Any) -> None:
    plain = {"variant_name": "v", "model_name": "m", "instance_type": "ml.m5.large"}
    variant: Any = {**plain, **changes.pop("variant", {})}
    aws.sagemaker.EndpointConfiguration(name, name=name, production_variants=[variant], **changes)


def mixed() -> None:
    """Resources that pass, fail, are undecided or not applicable, for rules of each kind."""
    key = aws.kms.Key("key")
    configuration("fails")
    configuration("passes", kms_key_arn=KEY)
    configuration("undecided", kms_key_arn=key.arn)
    shape = {
        "instance_type": None,
        "serverless_config": {"max_concurrency": 1, "memory_size_in_mb": 1024},
    }
    configuration("serverless", variant=shape)
    document = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    aws.iam.RolePolicy("broad", role="role", policy=json.dumps({"Statement": [document]}))
    aws.iam.RolePolicy("later", role="role", policy=key.arn)
    node_group(taint=None)
    pipeline("ungated", validate(), TRAIN)
    pipeline("gated", validate(), holds([TRAIN], [FAIL]))
    for protect in (True, False):
        feature_group(protect=protect, name=f"protected-{protect}")
    bucket(name="good", by_id=True)
    bucket(name="bad", by_id=True, without=("versions",))
    bucket(name="later", by_id=True, policy=key.arn)


def test_the_engine_and_the_offline_evaluator_agree(engine: Engine) -> None:
    config = PolicyConfig(production=True)
    run = engine.run("preview", mixed, config)
    expected = {
        (finding.rule_id, finding.urn, finding.level if finding.status == "fail" else "advisory")
        for finding in evaluate(recorded(mixed, preview=True), config)
        if finding.status in ("fail", "unknown")
    }
    assert run.policies() == expected
    assert run.error
    refused = {(rule, urn.rpartition("::")[2]) for rule, urn, _ in expected}
    assert {("ML-EP-001", "undecided"), ("ML-PL-001", "ungated")} <= refused
    assert {("ML-FS-003", "protected-False"), ("PF-S3-001", "later")} <= refused


def test_both_go_by_the_thresholds_of_the_environments_file(engine: Engine, tmp_path: Path) -> None:
    lines = ("gpus_per_pool_max: 1", "endpoint_instance_types: [ml.c5.*]", "production: true")
    config = policy_config(written(tmp_path, *lines))

    def program() -> None:
        configuration("other-type", kms_key_arn=KEY)
        configuration("allowed-type", kms_key_arn=KEY, variant={"instance_type": "ml.c5.large"})
        node_group(scaling={"min_size": 0, "desired_size": 0, "max_size": 2})

    def judged(config: PolicyConfig) -> set[tuple[str, str]]:
        found = evaluate(recorded(program, preview=True), config)
        return {(item.rule_id, item.urn) for item in found if item.status == "fail"}

    run = engine.run("preview", program, config)
    seen = {(rule, urn) for rule, urn, _ in run.policies()}
    assert seen == judged(config)
    only_here = judged(config) - judged(replace(PolicyConfig(), required_tags=config.required_tags))
    assert {(rule, urn.rpartition("::")[2]) for rule, urn in only_here} == {
        ("ML-EP-011", "other-type"),
        ("ML-K8-006", "gpu"),
    }


def registered(resources: Sequence[Resource], later: pulumi.Output[str]) -> None:
    """Register resources as they are, with an output that is not known for what is not."""

    def shown(value: Any) -> Any:
        if value is UNKNOWN:
            return later
        if isinstance(value, dict):
            return {key: shown(item) for key, item in value.items()}
        return [shown(item) for item in value] if isinstance(value, list) else value

    for number, item in enumerate(resources):
        options = pulumi.ResourceOptions(protect=item.options.protect)
        pulumi.CustomResource(item.type, f"{item.name}-{number}", shown(item.inputs.value), options)


def apart(found: Sequence[list[Resource]]) -> list[list[Resource]]:
    """Those that can stand in one stack: of two things of one name, AWS would refuse the second."""
    taken: set[tuple[str, str]] = set()
    kept = []
    for resources in found:
        names = {(item.type, item.name) for item in resources}
        if not names & taken:
            kept.append(resources)
            taken |= names
    return kept


def test_the_engine_and_the_offline_evaluator_agree_on_mutated_resources(engine: Engine) -> None:
    random = Random(7)
    cases = [case for case in CASES if case.status == "pass"]
    together = apart([recorded(case.program) for case in random.sample(cases, len(cases))])[:40]
    assert len(together) == 40
    strange = [
        item
        for resources in together
        for item in mutated(resources, random)
        if item.type.startswith("aws:")
    ]
    program = partial(_with_a_key, strange)
    config = PolicyConfig(production=True, required_tags=("owner",))
    expected = {
        (found.rule_id, found.urn, "advisory" if found.status == "unknown" else found.level)
        for found in evaluate(recorded(program, preview=True), config)
        if found.status in ("fail", "error", "unknown")
    }
    assert engine.run("preview", program, config).policies() == expected
    assert len({rule for rule, _, _ in expected}) > 20


def _with_a_key(resources: Sequence[Resource]) -> None:
    registered(resources, aws.kms.Key("key").arn)


def test_a_mandatory_failure_stops_the_update_before_the_resource_exists(engine: Engine) -> None:
    def program() -> None:
        group = node_group(taint=None)
        aws.sns.Topic("after", name=group.arn)

    run = engine.run("up", program, PolicyConfig(production=False))
    assert [(rule, level) for rule, _, level in run.policies()] == [("ML-K8-005", "mandatory")]
    assert run.error
    assert not [urn for urn in engine.provider.created if "nodeGroup" in urn or "Topic" in urn]


def test_outside_production_a_failure_is_advice(engine: Engine) -> None:
    run = engine.run("up", lambda: configuration("fails"), PolicyConfig(production=False))
    assert {(rule, level) for rule, _, level in run.policies()} == {
        ("ML-EP-001", "advisory"),
        ("ML-EP-006", "advisory"),
    }
    assert not run.error
    assert len(engine.provider.created) == 1


def test_what_the_preview_could_not_know_the_update_decides(engine: Engine) -> None:
    def program() -> None:
        policy = aws.kms.Key("key", enable_key_rotation=True).arn.apply(
            lambda arn: json.dumps(
                {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": ["*", arn]}]}
            )
        )
        aws.iam.RolePolicy("broad", role="role", policy=policy)

    config = PolicyConfig(production=False)
    preview = engine.run("preview", program, config)
    assert [(rule, level) for rule, _, level in preview.policies()] == [("PF-IAM-001", "advisory")]
    assert not preview.error
    update = engine.run("up", program, config)
    assert [(rule, level) for rule, _, level in update.policies()] == [("PF-IAM-001", "mandatory")]
    assert update.error
    assert not [urn for urn in engine.provider.created if "rolePolicy" in urn]
