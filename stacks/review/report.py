"""The report about a stack's change: the rules, prices, quotas and people of this repository."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.errors import UserError
from stacks.reading import text_of
from stacks.review.change import read_digest
from stacks.review.git import exists, judging, packs, versions
from stacks.review.judge import judge
from stacks.settings.load import load
from stacks.settings.model import Settings
from stacks.stack_name import StackName
from stacks.targets.policy_settings import exemptions
from stacks.targets.target import target_of

if TYPE_CHECKING:
    from policies.data import Resource
    from policies.review.model import StackChange
    from policies.review.report import Part, Report


Beside = Mapping[StackName, Sequence["Resource"]] | None
"""What the other stacks of the environment register; None where nobody looked."""


def report_of(
    change: StackChange, settings: Settings, base: str, beside: Beside, *further: Part
) -> Report:
    """The report about one stack; what stands beside it counts against the environment's limits."""
    from policies.offline import evaluate
    from policies.review.approval import asked
    from policies.review.parts.order import FIRST, THEN
    from policies.review.report import Context
    from policies.review.report import review as reviewed
    from stacks.review.cost import parts
    from stacks.sizing.prices.table import price_table

    before, after = judging(base) if exists(base) else {}, judging(None)
    stack = StackName.parse(change.env)
    judged_by = judge(stack, settings, exemptions(), before, after)
    change = replace(change, moved=[*change.moved, *judged_by.moved])
    config, exempt = judged_by.config, judged_by.exemptions
    change = replace(change, versions={**change.versions, **versions(before, after)})
    pack_before, pack_after = packs(before, after)
    context = Context(
        pack_before=pack_before,
        pack_after=pack_after,
        loosened=judged_by.loosened,
        packages=_packages(change),
        config=config,
        today=date.today(),
        exemptions=exempt,
        findings_before=evaluate(change.before(), config, exemptions=exempt),
        findings_after=evaluate(change.after(), config, exemptions=exempt),
    )
    spending = parts(
        price_table(settings.environment.account.region),
        cost_usd_max=config.cost_usd_per_month_max,
        gpus_max=config.gpus_max,
        run_usd_max=config.run_usd_max,
        beside=None if beside is None else list(beside.values()),
    )
    report = reviewed(change, context, (*FIRST, *spending, *further, *THEN))
    return asked(report, change, judged_by.reviewers)


def _packages(change: StackChange) -> dict[str, dict[str, Any]]:
    """What the registry says of the models before and after, where it can be asked."""
    from policies.review.elsewhere import MODELS
    from policies.review.parts.promotion import artefacts
    from stacks.review.model_packages import facts

    models = [item for item in change.changed() if item.type in MODELS]
    arns = [arn for item in models for side in (item.old, item.new) for arn in artefacts(side)]
    asked = change.origin == "local preview" and bool(arns)
    if not asked:
        return {}
    stack = StackName.parse(change.env)
    region = load(stack).environment.account.region
    return facts(target_of(stack.env).clients(region), arns)


def headroom_of(
    change: StackChange, stack: StackName, settings: Settings, path: Path | None, beside: Beside
) -> Part:
    """Quotas from a file, else from the account of an engine that was asked, else from nobody.

    An account's quotas are for all stacks of the environment together.
    """
    from stacks.checks.check import Platform, attempt, refuse
    from stacks.checks.quota_review import listed, part
    from stacks.checks.quotas import Quotas

    asked, alone = path is None and change.origin == "local preview", beside is None
    region = settings.environment.account.region
    clients = target_of(stack.env).clients(region) if asked else refuse("no account")

    def platform(resources: Sequence[Resource]) -> Platform:
        return Platform(
            stack=stack,
            settings=settings,
            resources=resources,
            environment=beside or {},
            clients=clients,
            fetch=refuse("no network"),
            plain_http=refuse("no account"),
            kubernetes=refuse("no cluster"),
        )

    if asked:
        live = Quotas(platform(change.after()))
        return part(platform, lambda demand: attempt(lambda: live.value(demand)), alone=alone)
    if path is None:
        return part(platform, None, alone=alone)
    try:
        return part(platform, listed(text_of(path)), alone=alone)
    except ValueError as error:
        fix = "write it with `aws service-quotas list-service-quotas --service-code SERVICE`"
        raise UserError(f"{path}: {error}", fix=fix) from None


def reviewed_change(
    stack: StackName, settings: Settings, digest: Path
) -> tuple[Report, StackChange]:
    """The report about a digest, and what it is about; nothing is written or shown."""
    change = read_digest(str(stack), digest)
    return report_of(change, settings, "HEAD", None), change
