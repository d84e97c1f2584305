"""Providers in a preview: their versions, and whether they reach the place that they reached."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from policies.review.states import masked
from policies.review.steps import Step

BEHIND = 10
"""Resources that one line names."""

PLACES = ("region", "profile", "assumeRole", "assumeRoles", "allowedAccountIds", "kubeconfig",
          "context", "cluster", "endpoints", "accessKey", "forbiddenAccountIds")  # fmt: skip
"""Inputs of a provider that say where, and as whom, it acts."""


def moved(
    urn: str, steps: Sequence[Step], everything: Mapping[str, Sequence[Step]]
) -> Iterator[str]:
    """A provider that is made anew, or that reaches another place, with all behind it."""
    keys = sorted({key for step in steps for key in _reaches(step)})
    anew = any(step.operation in ("replace", "delete") for step in steps)
    behind = sorted(
        other.rpartition("::")[2] for other, found in everything.items()
        if any(str((s.old or {}).get("provider", "")).startswith(f"{urn}::") for s in found)
    )  # fmt: skip
    if keys or (anew and behind):
        what = f"changes {', '.join(keys)}" if keys else "is made anew"
        names = ", ".join(behind[:BEHIND]) or "nothing that the preview shows"
        more = f" and {len(behind) - BEHIND} more" if len(behind) > BEHIND else ""
        yield f"provider {urn.rpartition('::')[2]} {what}; behind it: {names}{more}"


def _reaches(step: Step) -> Iterator[str]:
    if step.old is not None and step.new is not None and step.operation in ("update", "replace"):
        old, new = (masked(side.get("inputs") or {}) for side in (step.old, step.new))
        yield from (key for key in PLACES if old.get(key) != new.get(key))


QUIET = ("version", "defaultTags", "maxRetries", "retryMode", "userAgents",
         "suppressDeprecationWarnings", "suppressHelmHookWarnings")  # fmt: skip
"""Inputs of a provider that say neither where nor how it acts; tags are judged on what has them."""


def otherwise(urn: str, steps: Sequence[Step]) -> Iterator[str]:
    """What else of a provider changes: nobody knows what it does to all that stands behind it."""
    found: set[str] = set()
    for step in steps:
        if (
            step.old is not None
            and step.new is not None
            and step.operation in ("update", "replace")
        ):
            old, new = (masked(side.get("inputs") or {}) for side in (step.old, step.new))
            differs = {key for key in {*old, *new} if old.get(key) != new.get(key)}
            quiet = {key for key in QUIET if key not in old or key in new}
            found |= differs - set(PLACES) - quiet
    if found:
        yield f"provider {urn.rpartition('::')[2]} changes {', '.join(sorted(found))}"


def versions(package: str, steps: Sequence[Step]) -> Iterator[tuple[str, tuple[str, str]]]:
    """The versions of a provider, where it is there already and others come.

    A default provider has its version in its URN: another version is another resource.
    """
    old, new = (
        {str(state["inputs"].get("version") or "") for state in sides if state and state["inputs"]}
        for sides in ([s.old for s in steps], [s.new for s in steps])
    )
    if old - {""} and new - old - {""}:
        shown = (", ".join(sorted(side - {""})) for side in (old, new))
        yield f"provider {package}", (next(shown), next(shown))
