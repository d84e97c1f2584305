"""The AWS side of the local provider: rows of the table carried out with boto3."""

import keyword
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import lru_cache
from string import Formatter
from typing import Any

from infra.errors import UserError
from stacks.local.provider.aws import diff as aws_diff
from stacks.local.provider.aws.calls import RowExecutor, Session, missing
from stacks.local.provider.aws.kept_answers import Answers, calling
from stacks.local.provider.aws.preload import warm
from stacks.local.provider.aws.requests import RowMapper, outputs
from stacks.local.provider.aws.row import ALL, Believed, Row
from stacks.local.provider.aws.table import ROWS
from stacks.local.provider.backend import (
    SESSION_SETTING,
    UNKNOWN,
    Difference,
    Existing,
    Failure,
    Properties,
    Subject,
)
from stacks.local.runtime.keys import Keys

VERSION = "7.51.1"
"""The release of pulumi_aws whose types and inputs the table follows; a test compares."""

SETTINGS = frozenset(
    {
        "accessKey",
        "allowedAccountIds",
        "defaultTags",
        "endpoints",
        "maxRetries",
        "profile",
        "region",
        "s3UsePathStyle",
        "secretKey",
        "skipCredentialsValidation",
        "skipMetadataApiCheck",
        "skipRegionValidation",
        "skipRequestingAccountId",
        "token",
        "version",
    }
)
"""Provider settings that are acted on, or that have no meaning for a local cloud."""

SUFFIX_BYTES = 4

SESSIONS = 16
"""Of roles that deploy, whose clients are kept."""

PARTITION = {
    "id": "aws",
    "partition": "aws",
    "dnsSuffix": "amazonaws.com",
    "reverseDnsPrefix": "com.amazonaws",
}


class AwsBackend:
    """Resource types of AWS against one endpoint."""

    package = "aws"
    version = VERSION

    def __init__(
        self,
        endpoint_url: str,
        region: str,
        keys: Keys,
        rows: Mapping[str, Row] = ROWS,
        *,
        whose: Believed = "here",
        answers: Answers | None = None,
    ) -> None:
        self._answers = answers or Answers()
        self._whose: Believed = whose
        # only who shares the endpoint's process can tell it what has arrived
        names_urns = answers is not None
        self._session = Session(endpoint_url, region, keys.aws(), names_urns=names_urns)
        self._of_role = lru_cache(SESSIONS)(
            lambda *signed: Session(endpoint_url, region, dict(signed))
        )
        self._region = region
        self._tables = {token: RowMapper(row) for token, row in rows.items()}

    def warm(self) -> None:
        """Load every service before an engine asks for it."""
        warm(self._session)

    # -- what a program may say ----------------------------------------------------------------

    def check_settings(self, settings: Properties) -> list[Failure]:
        """Refuse a setting that has no effect here, another region and another account."""
        failures = [
            Failure(property=name, reason=f"{name} has no effect in the local environment")
            for name in sorted(set(settings) - SETTINGS)
        ]
        region = settings.get("region", self._region)
        if region not in (self._region, UNKNOWN):
            failures.append(Failure(property="region", reason=self._elsewhere(region)))
        allowed = settings.get("allowedAccountIds")
        if allowed not in (None, UNKNOWN) and UNKNOWN not in allowed:
            account = self._session.caller["Account"]
            if account not in allowed:
                reason = f"AWS account ID not allowed: {account}; allowed: {', '.join(allowed)}"
                failures.append(Failure(property="allowedAccountIds", reason=reason))
        return failures

    def replaced_settings(self, old: Properties, new: Properties) -> list[str]:
        """None: one endpoint, one region."""
        return []

    def _elsewhere(self, region: str) -> str:
        return f"region must be {self._region!r} in the local environment, got {region!r}"

    def check(
        self, subject: Subject, new: Properties, old: Properties, seed: bytes
    ) -> tuple[Properties, list[Failure]]:
        """Fill in name and default tags; refuse what no call would carry."""
        table = self._tables.get(subject.token)
        if table is None:
            return new, [Failure(property="", reason=no_row(subject.token))]
        inputs, row = dict(new), table.row
        if row.autoname and row.autoname not in inputs:
            suffix = seed[:SUFFIX_BYTES].hex()[:-1]
            inputs[row.autoname] = old.get(row.autoname, f"{subject.name}-{suffix}")
        default_tags = (subject.settings.get("defaultTags") or {}).get("tags") or {}
        if row.tags and default_tags:
            inputs["tags"] = {**default_tags, **(inputs.get("tags") or {})}
        failures = [
            Failure(property=path, reason=f"{path} is not served; {where_to_add(subject.token)}")
            for path in table.refused(inputs)
        ]
        region = inputs.get("region", self._region)
        if region not in (self._region, UNKNOWN):
            failures.append(Failure(property="region", reason=self._elsewhere(region)))
        return inputs, failures

    def names(self, subject: Subject) -> Collection[tuple[str, ...]]:
        """The inputs of the row's identity, and the name that AWS puts into its ARN."""
        table = self._tables.get(subject.token)
        if table is None:
            return ()
        identity = table.row.identity
        fields = [field for _, field, _, _ in Formatter().parse(identity.template) if field]
        return {(name,) for name in (*identity.inputs, *fields, table.row.autoname, "name") if name}

    def diff(self, subject: Subject, old: Properties, new: Properties) -> Difference:
        """Compare two sets of inputs by the row's rules."""
        return difference(self._table(subject).row, old, new, self._whose)

    def plan(self, subject: Subject, new: Properties, old: Properties | None) -> Properties:
        """Inputs, and unknown for what only the cloud can tell."""
        row = self._table(subject).row
        if old is None:
            return {**dict.fromkeys(row.outputs, UNKNOWN), **new}
        kept = {name: value for name, value in old.items() if name in row.outputs}
        return {**kept, **dict.fromkeys(row.volatile, UNKNOWN), **new}

    # -- what is done about it -----------------------------------------------------------------

    def create(self, subject: Subject, inputs: Properties) -> Existing:
        """Make it, follow up, wait until it is ready; on failure take it away again.

        One that was made and whose answer was lost is taken over and made to match; not where it
        was taken away again and that answer was lost too.
        """
        lost = self._answers.unseen(subject.urn)
        begun = inputs if lost is None else lost
        with self._answers.creation(subject.urn, begun):
            made = self._made(subject, begun, taken_over=lost is not None)
        if made is None:
            return self.create(subject, inputs)
        changed = self.diff(subject, begun, inputs)
        if changed.replaces:
            self.delete(subject, made.id, begun)
            return self.create(subject, inputs)
        return self.update(subject, made.id, begun, inputs) if changed.changes else made

    def _made(self, subject: Subject, inputs: Properties, *, taken_over: bool) -> Existing | None:
        """None: what would be taken over is gone."""
        work = self._work(subject, new=inputs)
        row = work.row
        work = replace(work, id=work.create())
        if taken_over and work.describe() is None:
            return None
        with ExitStack() as undo:
            undo.callback(self.delete, subject, work.id, inputs)
            for call in row.then:
                if not call.takes or set(call.takes) & set(inputs):
                    work.change(call)
            if row.tags and not row.tags.create:
                work.retag()
            work.settle()
            made = self._held(subject, work.id, inputs, self.read(subject, work.id, inputs))
            undo.pop_all()
        return made

    def read(self, subject: Subject, id: str, inputs: Properties | None) -> Existing | None:
        """Describe it; the inputs are the given ones where they still hold."""
        work = self._work(subject, id=id, new=inputs or {})
        answer = work.describe()
        if answer is None:
            return None
        if inputs is None:
            found = work.table.imported(answer, work.known())
        else:
            found = work.table.refreshed(answer, inputs, work.known())
        computed = outputs(work.row, answer, found, work.known(found))
        return Existing(id=id, inputs=found, outputs=computed)

    def update(self, subject: Subject, id: str, old: Properties, new: Properties) -> Existing:
        """Make the calls that carry what changed, then wait until the change holds."""
        work = self._work(subject, id=id, old=old, new=new)
        with calling(subject.urn):
            self._changed(work)
            work.settle()
        return self._held(subject, id, new, self.read(subject, id, new))

    @staticmethod
    def _changed(work: RowExecutor) -> None:
        row = work.row
        roots = {change.root for change in aws_diff.changes(row, work.old, work.new)}
        for call in (*row.then, *row.update):
            affected = roots - {"tags", *row.provider_only, *call.omits}
            if affected & set(call.takes) or (affected and tuple(call.takes) == ALL):
                work.change(call)
        if "tags" in roots:
            work.retag()

    def delete(self, subject: Subject, id: str, inputs: Properties) -> None:
        """Remove it and wait until it is gone."""
        with calling(subject.urn):
            self._work(subject, id=id, old=inputs).delete()
        self._answers.forget(subject.urn)

    def invoke(self, token: str, arguments: Mapping[str, Any]) -> Properties:
        """The three functions that tell where one is."""
        answers: dict[str, Callable[[], Properties]] = {
            "aws:index/getCallerIdentity:getCallerIdentity": self._caller,
            "aws:index/getPartition:getPartition": lambda: PARTITION,
            "aws:index/getRegion:getRegion": self._region_facts,
        }
        if token not in answers:
            raise UserError(
                f"{token} is not served in the local environment",
                fix="pass the value as a setting, or add the function to "
                "stacks/local/provider/aws/backend.py",
            )
        return answers[token]()

    # -- inside --------------------------------------------------------------------------------

    def _table(self, subject: Subject) -> RowMapper:
        table = self._tables.get(subject.token)
        if table is None:
            raise UserError(no_row(subject.token))
        return table

    def _work(
        self,
        subject: Subject,
        *,
        id: str = "",
        old: Properties | None = None,
        new: Properties | None = None,
    ) -> RowExecutor:
        who = subject.settings.get(SESSION_SETTING)
        return RowExecutor(
            session=self._of_role(*who.items()) if who else self._session,
            subject=subject,
            table=self._table(subject),
            id=id,
            old=old or {},
            new=new or {},
        )

    def _held(
        self, subject: Subject, id: str, inputs: Properties, found: Existing | None
    ) -> Existing:
        if found is None:
            raise missing(subject, id)
        return Existing(id=id, inputs=inputs, outputs={**found.outputs, **inputs})

    def _caller(self) -> Properties:
        caller = self._session.caller
        account = caller["Account"]
        return {
            "id": account,
            "accountId": account,
            "arn": caller["Arn"],
            "userId": caller["UserId"],
        }

    def _region_facts(self) -> Properties:
        return {
            "id": self._region,
            "name": self._region,
            "region": self._region,
            "description": "local environment",
            "endpoint": f"ec2.{self._region}.amazonaws.com",
        }


def difference(row: Row, old: Properties, new: Properties, whose: Believed = "here") -> Difference:
    """What leads from one set of inputs to another, and whether the old one is in the way."""
    named = row.occupies or row.identity.inputs or (row.autoname and (row.autoname,))
    occupied = bool(named) and all(old.get(name) == new.get(name) for name in named)
    return Difference(changes=aws_diff.changes(row, old, new, whose), delete_first=occupied)


def where_to_add(token: str) -> str:
    """Which file of the table a type belongs to."""
    return f"add it to its row in stacks/local/provider/aws/rows/{module_of(token)}.py"


def no_row(token: str) -> str:
    """The refusal of a type that has no row."""
    return (
        f"{token} has no row for the local environment; "
        f"add one to stacks/local/provider/aws/rows/{module_of(token)}.py"
    )


def module_of(token: str) -> str:
    """`glue` for `aws:glue/crawler:Crawler`; as in pulumi_aws, Lambda's is `lambda_`."""
    module = token.split(":")[1].partition("/")[0]
    return f"{module}_" if keyword.iskeyword(module) else module
