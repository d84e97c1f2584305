"""What a refresh found: resources that no longer are what the state says."""

from __future__ import annotations

from policies.review.shape import documents, listed, mapping, readable, text_of

DRIFTED = ("update", "delete", "replace")
"""What a refresh comes to where the cloud is not what the state says."""


def drift(text: str) -> list[str]:
    """URNs that a refresh found changed or gone, from the events or the digest of its preview.

    The engine tells what a refresh came to in the event after each step (`resOutputsEvent`).
    """
    found = set()
    for document in documents(text):
        readable(document)
        whole = mapping(document, "drift")
        steps = listed(whole.get("steps") or [], "steps")
        after = whole.get("resOutputsEvent")
        if after is not None:
            steps = [mapping(after, "resOutputsEvent").get("metadata")]
        for item in steps:
            step = mapping(item, "step")
            kind = str(step.get("type") or "")
            if step.get("op") in DRIFTED and not kind.startswith("pulumi:"):
                found.add(text_of(step.get("urn"), "step.urn"))
    return sorted(found)
