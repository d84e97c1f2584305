"""The rules about a change: what a review looks for that no rule about one state can see.

A part raises them as reasons; a reason's risk follows the environment and what is at stake, the
severity here is what the rule is worth at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from policies.rule import Severity
from policies.theme import Theme

AWS = "https://docs.aws.amazon.com"
PULUMI = "https://www.pulumi.com/docs/iac"


@dataclass(frozen=True, slots=True)
class Delta:
    """One rule about a change: its metadata, stated once."""

    id: str
    name: str
    severity: Severity
    description: str
    """What must hold, in one line."""
    fix: str
    url: str
    themes: Theme

    @property
    def documentation(self) -> str:
        """As a `Rule` has it: here the description says all."""
        return self.description


DELTAS: tuple[Delta, ...] = (
    Delta(
        "FO-003", "cost-limit", "high",
        "A change takes neither the stack nor one run of its pipelines over its cost limit",
        "make it smaller, or raise the limit in the environment's file with its owner",
        f"{AWS}/cost-management/latest/userguide/budgets-managing-costs.html",
        Theme.LIMITS,
    ),
    Delta(
        "FO-004", "gpu-limit", "high",
        "A change lets no more GPUs run than the environment allows",
        "lower max_size or the limits of a pool, or raise the allowed number",
        f"{AWS}/wellarchitected/latest/cost-optimization-pillar/welcome.html",
        Theme.LIMITS,
    ),
    Delta(
        "RV-001", "no-loss-of-data", "critical",
        "Nothing that holds data, models or running work is deleted or replaced unanswered for",
        "keep it, or do what its line says and exempt exactly this resource for a time",
        f"{PULUMI}/concepts/options/protect/",
        Theme.AVAILABILITY | Theme.SAFE_ROLLOUT,
    ),
    Delta(
        "RV-002", "no-less-protection", "high",
        "Protection against deletion stays, and nothing is kept for a shorter time",
        "keep the protection, or say in the pull request why it may go",
        f"{PULUMI}/concepts/options/retainondelete/",
        Theme.AVAILABILITY,
    ),
    Delta(
        "RV-003", "no-more-permissions", "high",
        "Nobody may do more than before",
        "name the actions and the resources that are needed",
        f"{AWS}/IAM/latest/UserGuide/best-practices.html",
        Theme.LEAST_PRIVILEGE,
    ),
    Delta(
        "RV-004", "no-new-exposure", "critical",
        "Nothing becomes reachable from outside the network or the account",
        "allow named ranges, principals or endpoints only",
        f"{AWS}/vpc/latest/userguide/infrastructure-security.html",
        Theme.NETWORK_ISOLATION,
    ),
    Delta(
        "RV-005", "same-keys", "critical",
        "Data keeps its key, and no key goes while something uses it",
        "keep the old key: what it encrypted stays encrypted with it",
        f"{AWS}/kms/latest/developerguide/deleting-keys.html",
        Theme.ENCRYPTION_AT_REST,
    ),
    Delta(
        "RV-006", "guarded-rollout", "high",
        "An endpoint is updated only with alarms that would take the update back",
        "set deployment_config with auto_rollback_configuration.alarms",
        f"{AWS}/sagemaker/latest/dg/deployment-guardrails.html",
        Theme.SAFE_ROLLOUT,
    ),
    Delta(
        "RV-007", "known-promotion", "high",
        "A model that takes over is approved, and somebody has compared it with the one of now",
        "compare its metrics with those of the model that serves now",
        f"{AWS}/sagemaker/latest/dg/model-registry-approve.html",
        Theme.APPROVAL,
    ),
    Delta(
        "RV-008", "nothing-hidden", "medium",
        "A change is whole, by the same engine and providers, and hides no property from them",
        "change versions alone; preview without --target and --exclude; say who owns what is "
        "ignored",
        f"{PULUMI}/cli/commands/pulumi_preview/",
        Theme.SAFE_ROLLOUT,
    ),
    Delta(
        "RV-009", "no-drift", "high",
        "What exists is what the state says, above all where the change would overwrite it",
        "take over by `pulumi refresh` what was changed beside the program, or undo it",
        f"{PULUMI}/cli/commands/pulumi_refresh/",
        Theme.SAFE_ROLLOUT | Theme.AUDIT_LOGS,
    ),
    Delta(
        "RV-010", "decided-before", "high",
        "Mandatory rules can be decided before a production update, but for a few",
        "deploy what the values come from first, then the rest",
        f"{PULUMI}/concepts/inputs-outputs/",
        Theme.SAFE_ROLLOUT,
    ),
    Delta(
        "RV-011", "same-rules", "high",
        "No rule goes, and no exemption comes or runs out, unseen",
        "have the owners of the rules look at it",
        "https://docs.github.com/en/repositories/managing-your-repositorys-settings-and-features/"
        "customizing-your-repository/about-code-owners",
        Theme.APPROVAL,
    ),
    Delta(
        "RV-012", "no-gap", "medium",
        "A replacement exists before the old one goes",
        "change its name with it, so that both can exist for a while",
        f"{PULUMI}/concepts/options/deletebeforereplace/",
        Theme.AVAILABILITY | Theme.SAFE_ROLLOUT,
    ),
    Delta(
        "RV-013", "same-gates", "high",
        "Every gate between data and a registered model stays",
        "keep the conditions and checks, and the steps behind them",
        f"{AWS}/sagemaker/latest/dg/build-and-manage-steps.html",
        Theme.APPROVAL | Theme.DATA_QUALITY,
    ),
    Delta(
        "RV-014", "whole-preview", "high",
        "The preview ran to its end, and every part of the review could read it",
        "mend what the line names and preview again",
        f"{PULUMI}/cli/commands/pulumi_preview/",
        Theme.SAFE_ROLLOUT,
    ),
    Delta(
        "RV-015", "within-quotas", "high",
        "What a change can grow to fits within the account's service quotas",
        "ask AWS for the increase first, or lower the sizes that the line names",
        f"{AWS}/servicequotas/latest/userguide/request-quota-increase.html",
        Theme.AVAILABILITY | Theme.LIMITS,
    ),
    Delta(
        "RV-016", "same-exports", "high",
        "No output that other stacks may read goes",
        "keep it until nobody reads it",
        f"{PULUMI}/concepts/stacks/#stackreferences",
        Theme.SAFE_ROLLOUT,
    ),
    Delta(
        "RV-017", "known-harmless", "medium",
        "What nobody knows to be harmless is looked at by a person",
        "read its line: keep the resource or the value, or say in the pull request what it does",
        f"{PULUMI}/cli/commands/pulumi_preview/",
        Theme.SAFE_ROLLOUT | Theme.APPROVAL,
    ),
)  # fmt: skip
"""By id."""

HEADER = "| Id | Must hold | Severity |\n|---|---|---|"


def table(deltas: Sequence[Delta] = DELTAS) -> str:
    """All of them as a Markdown table."""
    lines = [f"| {d.id} | [{d.description}]({d.url}) | {d.severity} |" for d in deltas]
    return "\n".join([HEADER, *lines])
