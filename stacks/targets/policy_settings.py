"""What the rules go by in a stack: the environment's thresholds and what its workload declares."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from infra.errors import UserError
from stacks.paths import ROOT, home
from stacks.settings.environment import required_tags
from stacks.settings.load import load_foundation
from stacks.settings.model import Settings, WorkloadSettings
from stacks.stack_name import StackName

if TYPE_CHECKING:
    from policies.config import PolicyConfig
    from policies.exemptions import Exemption

PACK = ROOT / "policies"
VARIABLE = "PLINTH_POLICY_CONFIG"
"""Tells the policy pack, which runs in a process of its own, which file to read."""


def policy_config(settings: Settings) -> PolicyConfig:
    """The thresholds of the rules for one stack."""
    from policies.config import PolicyConfig

    environment = settings.environment
    given = asdict(environment.policies)
    account_id = environment.account.account_id
    given["approved_registries"] = (account_id, *given["approved_registries"])
    workload = settings.workload if isinstance(settings, WorkloadSettings) else None
    pipelines = workload.pipelines.values() if workload else ()
    return PolicyConfig(
        **given,
        weights_uris=_weights(settings),
        calling_steps=tuple(sorted({step for one in pipelines for step in one.calls_aws})),
        trusted_accounts=tuple(environment.accounts.environments.values()),
        has_environment_budget=load_foundation(environment.name).cost is not None,
        tracking_registers_models=False,  # the pipelines do, as pending
        required_tags=required_tags(environment.tags),
    )


def file_of(stack: StackName) -> Path:
    """Where the pack finds the thresholds of a stack."""
    return home() / stack.env / "policy-config" / f"{stack.layer}.json"


def write(stack: StackName, config: PolicyConfig) -> None:
    """Hand the thresholds to the pack."""
    path = file_of(stack)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(config.to_dict(), sort_keys=True))


def exemptions() -> Sequence[Exemption]:
    """The exemptions of this repository; UserError names the entry that is not one."""
    from policies.exemptions import load

    try:
        return load()
    except ValueError as error:
        raise UserError(f"policies/exemptions.yaml: {error}") from None


def whole_stack_can_block(config: PolicyConfig) -> bool:
    """Whether a mandatory rule looks at the whole stack.

    The engine asks such rules at the end of an update, when everything exists; a preview asks them
    before anything does.
    """
    from policies.rules import RULES

    return any(rule.kind == "stack" and rule.level(config) == "mandatory" for rule in RULES)


def _weights(settings: Settings) -> tuple[str, ...]:
    """Where the language model's weights lie: nobody here trained them."""
    if not isinstance(settings, WorkloadSettings) or settings.llm is None:
        return ()
    bucket = f"*-artifacts-{settings.environment.account.account_id}"
    return (f"s3://{bucket}/{settings.llm.model_data_prefix.strip('/')}/",)
