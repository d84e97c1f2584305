"""What a deletion or replacement loses, and what takes protection away from data."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from policies.data import UNKNOWN as LATER
from policies.data import Resource
from policies.reading.flows import flows, is_ruled
from policies.reading.networks import network
from policies.review.creations import weak_starts
from policies.review.differences import Leaf
from policies.review.elsewhere import is_moved, is_taken_apart
from policies.review.knowledge import WORDS, Known, formation_name, is_revised, known
from policies.review.model import Change, StackChange
from policies.review.parts import access
from policies.review.parts.changes import short, shown
from policies.review.parts.keys import is_a_key
from policies.review.report import Context, Reason, Risk, Row, Section
from policies.review.scales import Sense

STATEFUL = "RV-001"
UNGUARDED = "RV-002"
UNKNOWN = "RV-017"
LOSES = ""


@dataclass(frozen=True, slots=True)
class Loss:
    """What goes with a resource, and what to do before."""

    lost: str
    instead: str
    risk: Risk = "critical"
    rule: str = LOSES
    """Default: known by name, and told as a loss."""


LOSSES: Mapping[str, Loss] = {
    "aws:sagemaker/featureGroup:FeatureGroup": Loss(
        "the records of the online store, and the Glue table's link to the offline data",
        "add features in place, or write to a second group until readers have moved",
    ),
    "aws:sagemaker/domain:Domain": Loss(
        "the home directories of its users, unless its retention policy keeps them",
        "set the retention policy to Retain and take a backup",
    ),
    "aws:sagemaker/space:Space": Loss("the space's EBS volume", "copy its files to S3 first"),
    "aws:sagemaker/notebookInstance:NotebookInstance": Loss(
        "the EBS volume with everything that is not in git", "push to git and copy data to S3 first"
    ),
    "aws:sagemaker/modelPackageGroup:ModelPackageGroup": Loss(
        "every model version, its approvals and its lineage", "never replace a group; add another"
    ),
    "aws:sagemaker/endpoint:Endpoint": Loss(
        "the service, until the new endpoint is up",
        "keep the name and change the configuration: SageMaker then moves traffic without a gap",
        "high",
    ),
    "aws:sagemaker/mlflowTrackingServer:MlflowTrackingServer": Loss(
        "the metadata of every run; artifacts stay in S3", "export the experiments first"
    ),
    "aws:sagemaker/mlflowApp:MlflowApp": Loss(
        "the metadata of every run; artifacts stay in S3", "export the experiments first"
    ),
    "aws:rds/instance:Instance": Loss("the database", "take a final snapshot"),
    "aws:rds/cluster:Cluster": Loss("the database", "take a final snapshot"),
    "aws:ecr/repository:Repository": Loss(
        "the images that models refer to by digest", "replicate them to another repository first"
    ),
    "aws:s3/bucket:Bucket": Loss("every object in it", "keep it, or copy its objects first"),
    "aws:fsx/lustreFileSystem:LustreFileSystem": Loss(
        "files that were not exported to S3", "export to the data repository first", "high"
    ),
    "aws:efs/fileSystem:FileSystem": Loss("every file in it", "take a backup first"),
    "aws:kms/key:Key": Loss(
        "everything that it encrypted, once its deletion window ends",
        "make a second key and move the alias; keep this one",
    ),
    "aws:eks/cluster:Cluster": Loss(
        "every workload, and checkpoints on the nodes' own disks", "drain it, and move workloads"
    ),
    "aws:eks/nodeGroup:NodeGroup": Loss(
        "running jobs, and checkpoints on the nodes' own disks",
        "cordon and drain it; make the new group before the old one goes",
        "high",
    ),
    "aws:msk/cluster:Cluster": Loss("every topic", "mirror the topics first"),
    "aws:msk/serverlessCluster:ServerlessCluster": Loss("every topic", "mirror the topics first"),
    "aws:kinesis/stream:Stream": Loss(
        "records that no consumer has read", "let the consumers finish first", "high"
    ),
    "aws:dynamodb/table:Table": Loss("every item", "restore a point in time into a new table"),
    "aws:elasticache/replicationGroup:ReplicationGroup": Loss(
        "every key: the online features", "take a snapshot, and fill the new group first"
    ),
    "aws:cloudtrail/trail:Trail": Loss(
        "the record of who did what from now on", "make the new trail before the old one goes"
    ),
    "aws:cloudwatch/logGroup:LogGroup": Loss("the logs in it", "export them first", "high"),
}
"""By type; the API semantics of each service (user guides on deletion and replacement)."""


@cache
def loss_of(token: str) -> Loss | None:
    """What goes with a resource of this type; None where nothing does."""
    about = known(token)
    if about.harmless:
        return None
    listed = LOSSES.get(token) or _by_formation().get(formation_name(token))
    if listed is not None:
        return listed
    fix = "keep it, or say in the pull request what becomes of it"
    if not about.is_known:
        return Loss(f"nobody here knows what goes with a {token}", fix, "medium", rule=UNKNOWN)
    words = ", ".join(WORDS[kind] for kind in about.kinds) or "is none of what this review knows"
    said = f"{token if token.startswith('AWS::') else short(token)} {words}" + (
        f": {about.lost}" if about.lost else ""
    )
    risk: Risk = "high" if about.kinds.keys() & {"guards", "records"} or _ends(about) else "medium"
    return Loss(said, fix, risk, rule=STATEFUL if "state" in about.kinds else UNKNOWN)


def _ends(about: Known) -> bool:
    """Whether AWS itself says that data goes."""
    return about.kinds.get("state", "").startswith(("in cfn-lint", "by what AWS"))


@cache
def _by_formation() -> Mapping[str, Loss]:
    """The same losses by CloudFormation's names, for the types of aws-native."""
    names = {formation_name(token): loss for token, loss in LOSSES.items()}
    return {name: loss for name, loss in names.items() if name}


def part(change: StackChange, context: Context) -> Section | None:
    """Rows for what is lost; a loss blocks in production unless it is exempt."""
    made = {item.urn for item in change.of("create", "replace")}
    found = [
        (item, reason)
        for item in change.changed()
        for reason in (*_lost(item, context), *_unguarded(item), *_begun(item, made))
    ]
    found += [(_left_over(urn, old), _pending(old)) for urn, old in change.pending.items()]
    if not found:
        return None
    return Section(
        id="loss",
        title="What would be lost",
        columns=("operation", "resource", "forced by", "what goes, and what to do instead"),
        rows=[_row(item, reason) for item, reason in found],
        data={"resources": [_data(item, reason) for item, reason in found]},
        reasons=[reason for _, reason in found],
    )


def _lost(item: Change, context: Context) -> Iterator[Reason]:
    if item.operation not in ("delete", "replace") or item.component:
        return
    loss = loss_of(item.type)
    if loss is None or is_next_revision(item):
        return
    if item.old is not None and item.old.options.retain_on_delete:
        yield Reason(
            rule=STATEFUL,
            risk="medium",
            message=f"{item.name} leaves the stack; it stays in the account because it is retained",
            fix="adopt it again under its new name, or delete it by hand",
            urn=item.urn,
            source=item.source,
        )
        return
    may = "may lose" if item.may_stay else "loses"
    lost = f" {may} {loss.lost}" if loss.rule == LOSES else f": {loss.lost}"
    yield Reason(
        rule=STATEFUL if loss.rule == LOSES else loss.rule,
        risk=loss.risk,
        message=f"{item.operation} of {item.name}{lost}",
        fix=loss.instead,
        urn=item.urn,
        source=item.source,
        blocks=context.config.production and loss.risk == "critical",
    )


OWN_NAMES = ("name", "family", "layerName", "modelName")


def is_next_revision(item: Change) -> bool:
    """Whether its replacement is its update: it keeps its name, by which others find it."""
    renamed = any(leaf.path[:1] == (name,) for leaf, _ in item.differences for name in OWN_NAMES)
    return item.operation == "replace" and is_revised(item.type) and not renamed


def _left_over(urn: str, old: Resource) -> Change:
    """The deletion of an old one, beside whatever happens to the live one of its URN."""
    return Change(operation="delete", urn=urn, type=old.type, name=old.name, old=old)


def _pending(old: Resource) -> Reason:
    """The rest of an earlier update: the new one is there, and what the old one holds goes."""
    loss = loss_of(old.type)
    lost = f", with {loss.lost}" if loss else ""
    return Reason(
        rule=STATEFUL if loss and loss.rule in (LOSES, STATEFUL) else UNKNOWN,
        risk="medium",
        message=f"the old {old.name} that an earlier, interrupted update left over goes{lost}",
        fix="see that the new one has what the old one held",
        urn=old.urn,
        source=old.source,
    )


def _unguarded(item: Change) -> Iterator[Reason]:
    """Protection that is taken away; what only gets stricter keeps it."""
    old, new = item.old, item.new
    if old is None or new is None:
        return
    gone = [
        name
        for name, was, is_now in (
            ("protect", old.options.protect, new.options.protect),
            ("retainOnDelete", old.options.retain_on_delete, new.options.retain_on_delete),
        )
        if was and not is_now
    ]
    gone += list(dict.fromkeys(_told(leaf) for leaf in guards(item, "weaker")))
    unclear = list(dict.fromkeys(_told(leaf) for leaf in guards(item, "unclear")))
    if gone:
        yield _less(item, f"is guarded less: {_some(gone)}", "high")
    if unclear:
        yield _less(item, f"is guarded or bounded otherwise: {_some(unclear)}", "medium")


def _begun(item: Change, made: Collection[str]) -> Iterator[Reason]:
    """A guard that something new is made without, in so many words."""
    weak = [] if item.operation != "create" or item.component else weak_starts(item, made)
    if weak:
        yield _less(item, f"is not guarded from the start: {_some(weak)}", "medium")


def guards(item: Change, sense: Sense) -> list[Leaf]:
    """Differences of this sense that no other part of the review tells of."""
    compared = flows(item.old) is not None and flows(item.new) is not None
    return [
        leaf
        for leaf, found in item.differences
        if found.sense == sense
        and not told(leaf, item.type)
        and not access.is_told(item.type, leaf.path[0])
        and not (compared and is_ruled(item.type, leaf.path[0]))
    ]


def told(leaf: Leaf, token: str) -> bool:
    """Whether another part says what this means: who may do what, from where, by which key."""
    return (
        _of_a_statement(leaf)
        or is_a_key(leaf.name)
        or is_taken_apart(leaf, token)
        or is_moved(leaf, token)
        or leaf.name in IMAGES
        or access.is_attached(leaf, token)
        or _is_of_a_range(leaf)
        or (access.acts_as(leaf) and leaf.new is not None)
    )


def _is_of_a_range(leaf: Leaf) -> bool:
    """Whether ranges are compared here; one that is said no longer may be everybody's.

    So may none where some were: a workforce without a range is reached from everywhere (SageMaker's
    API reference, SourceIpConfig).
    """
    sides = leaf.old, leaf.new
    dropped = leaf.new is None and leaf.path[-1][:1] != "["
    said = [each for each in sides if each is not None and each is not LATER]
    is_range = any(said) and all(isinstance(each, str) and network(each) for each in said)
    known = LATER not in sides and "except" not in leaf.path
    return is_range and known and not dropped and not leaf.last


def _of_a_statement(leaf: Leaf) -> bool:
    """Whether it stands in a statement of who may do what; others have statements too."""
    if "Statement" not in leaf.path:
        return False
    inner = leaf.path[leaf.path.index("Statement") + 1 :]
    sides = (side if isinstance(side, list) else [side] for side in (leaf.old, leaf.new))
    whole = [item for side in sides for item in side if isinstance(item, Mapping)]
    return any(name in ELEMENTS for name in inner) or any("Effect" in item for item in whole)


ELEMENTS = (
    "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource",
    "Condition", "Sid",
)  # fmt: skip
"""Elements of a statement (IAM's reference of policy elements)."""

IMAGES = ("image", "imageUri", "imageIdentifier", "imageTag")
"""Names of what runs, which is told with what is served."""


def _told(leaf: Leaf) -> str:
    return f"{leaf.text} {_value(leaf.old)} -> {_value(leaf.new)}"


def _value(value: Any) -> str:
    if isinstance(value, Mapping | list):
        return "set" if value else "none"
    return "none" if value is None else shown(value)


def _some(found: list[str]) -> str:
    more = len(found) - SHOWN
    return ", ".join(found[:SHOWN]) + (f" and {more} more" if more > 0 else "")


SHOWN = 5
"""Properties that one line names."""


def _less(item: Change, message: str, risk: Risk) -> Reason:
    return Reason(
        rule=UNGUARDED,
        risk=risk,
        message=f"{item.name} {message}",
        fix="keep the protection, or say in the pull request why it may go",
        urn=item.urn,
        source=item.source,
    )


def _row(item: Change, reason: Reason) -> Row:
    forced = ", ".join(p.path for p in item.forced_by) or (
        "" if item.operation != "replace" else "?"
    )
    conditional = " (if its new value differs)" if item.may_stay else ""
    return Row(
        cells=(item.operation, item.name, forced + conditional, f"{reason.message}; {reason.fix}"),
        risk=reason.risk,
        urn=item.urn,
        source=item.source,
    )


def _data(item: Change, reason: Reason) -> dict[str, Any]:
    return {
        "urn": item.urn,
        "operation": item.operation,
        "forced_by": [p.path for p in item.forced_by],
        "conditional": item.may_stay,
        "rule": reason.rule,
        "risk": reason.risk,
        "message": reason.message,
        "instead": reason.fix,
    }
