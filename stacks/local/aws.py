"""The AWS side of the local provider: rows of the table carried out with boto3."""

import logging
import re
import threading
import time
from collections.abc import Mapping
from typing import Any

import boto3
import jmespath
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from infra.errors import UserError
from stacks.local import aws_diff
from stacks.local.aws_requests import Table, fill, outputs, pairs_or_map
from stacks.local.aws_row import ALL, Call, Row, Scene
from stacks.local.aws_shapes import operation_model
from stacks.local.aws_table import ROWS
from stacks.local.backend import UNKNOWN, Difference, Existing, Failure, Properties, Subject

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

FIRST_PAUSE, LONGEST_PAUSE, PATIENCE = 0.02, 1.0, 1800.0  # seconds
SUFFIX_BYTES = 4

log = logging.getLogger(__name__)


class Gone(Exception):
    """AWS says that the resource does not exist."""


class AwsBackend:
    """Resource types of AWS against one endpoint."""

    package = "aws"
    version = VERSION

    def __init__(self, endpoint_url: str, region: str, rows: Mapping[str, Row] = ROWS) -> None:
        self._endpoint_url = endpoint_url
        self._region = region
        self._tables = {token: Table(row) for token, row in rows.items()}
        self._clients: dict[str, Any] = {}
        self._guard = threading.Lock()

    # -- what a program may say ----------------------------------------------------------------

    def check_settings(self, settings: Properties) -> list[Failure]:
        """Refuse a setting that has no effect here, and another region."""
        failures = [
            Failure(property=name, reason=f"{name} has no effect in the local environment")
            for name in sorted(set(settings) - SETTINGS)
        ]
        region = settings.get("region", self._region)
        if region not in (self._region, UNKNOWN):
            failures.append(Failure(property="region", reason=self._elsewhere(region)))
        return failures

    def _elsewhere(self, region: str) -> str:
        return f"region must be {self._region!r} in the local environment, got {region!r}"

    def check(
        self, subject: Subject, new: Properties, old: Properties, settings: Properties, seed: bytes
    ) -> tuple[Properties, list[Failure]]:
        """Fill in name and default tags; refuse what no call would carry."""
        table = self._tables.get(subject.token)
        if table is None:
            return new, [Failure(property="", reason=no_row(subject.token))]
        inputs, row = dict(new), table.row
        if row.autoname and row.autoname not in inputs:
            suffix = seed[:SUFFIX_BYTES].hex()[:-1]
            inputs[row.autoname] = old.get(row.autoname, f"{subject.name}-{suffix}")
        default_tags = (settings.get("defaultTags") or {}).get("tags") or {}
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

    def diff(self, subject: Subject, old: Properties, new: Properties) -> Difference:
        """Compare two sets of inputs by the row's rules."""
        row = self._table(subject).row
        named = row.identity.inputs
        occupied = bool(named) and all(old.get(name) == new.get(name) for name in named)
        return Difference(changes=aws_diff.changes(row, old, new), delete_first=occupied)

    def plan(self, subject: Subject, new: Properties, old: Properties | None) -> Properties:
        """Inputs, and unknown for what only the cloud can tell."""
        row = self._table(subject).row
        if old is None:
            return {**dict.fromkeys(row.outputs, UNKNOWN), **new}
        kept = {name: value for name, value in old.items() if name in row.outputs}
        return {**kept, **dict.fromkeys(row.volatile, UNKNOWN), **new}

    # -- what is done about it -----------------------------------------------------------------

    def create(self, subject: Subject, inputs: Properties) -> Existing:
        """Make it, follow up, wait until it is ready; on failure take it away again."""
        table = self._table(subject)
        row = table.row
        known = self._known(row, "", inputs)
        scene = self._scene(subject, table, "", {}, inputs)
        built = row.create.build(scene) if row.create.build else {}
        answer = self._must(
            subject, row, row.create, {**table.create(inputs, known), **(built or {})}
        )
        id = self._identity(row, answer, known)
        try:
            for call in row.then:
                if not call.takes or tuple(call.takes) == ALL or set(call.takes) & set(inputs):
                    self._change(subject, table, call, id, {}, inputs)
            if row.tags and not row.tags.create and inputs.get("tags"):
                self._retag(subject, row, self._known(row, id, inputs), {}, inputs["tags"])
            self._settle(subject, table, id, inputs)
            found = self.read(subject, id, inputs)
        except UserError:
            log.exception("%s: taking back %s", subject, id)
            self.delete(subject, id, inputs)
            raise
        if found is None:
            raise UserError(f"{subject}: {id} must exist after {row.create.operation}, got nothing")
        return Existing(id=id, inputs=inputs, outputs={**found.outputs, **inputs})

    def read(self, subject: Subject, id: str, inputs: Properties | None) -> Existing | None:
        """Describe it; the inputs are the given ones where they still hold."""
        table = self._table(subject)
        answer = self._describe(subject, table, id, inputs or {})
        if answer is None:
            return None
        known = self._known(table.row, id, inputs or {})
        if inputs is None:
            found = table.imported(answer, known)
        else:
            found = table.refreshed(answer, inputs, known)
        known |= self._known(table.row, id, found)
        return Existing(id=id, inputs=found, outputs=outputs(table.row, answer, found, known))

    def update(self, subject: Subject, id: str, old: Properties, new: Properties) -> Existing:
        """Make the calls that carry what changed, then wait until the change holds."""
        table = self._table(subject)
        row = table.row
        roots = {change.root for change in aws_diff.changes(row, old, new)}
        for call in (*row.then, *row.update):
            affected = roots - {"tags", *row.provider_only, *call.omits}
            if affected & set(call.takes) or (affected and tuple(call.takes) == ALL):
                self._change(subject, table, call, id, old, new)
        if "tags" in roots:
            known = self._known(row, id, new) | (self._describe(subject, table, id, new) or {})
            self._retag(subject, row, known, old.get("tags") or {}, new.get("tags") or {})
        self._settle(subject, table, id, new)
        found = self.read(subject, id, new)
        if found is None:
            raise UserError(
                f"{subject}: {id} must exist to be updated, got nothing",
                fix="run a refresh, so that it is created again",
            )
        return Existing(id=id, inputs=new, outputs={**found.outputs, **new})

    def delete(self, subject: Subject, id: str, inputs: Properties) -> None:
        """Remove it and wait until it is gone."""
        table = self._table(subject)
        row = table.row
        try:
            scene = self._scene(subject, table, id, inputs, {})
            if row.before_delete:
                row.before_delete(scene)
            if row.delete:
                arguments = table.arguments(row.delete, inputs, self._known(row, id, inputs))
                built = row.delete.build(scene) if row.delete.build else {}
                self._send(subject, row, row.delete, {**arguments, **(built or {})})
        except Gone:
            return
        if row.wait:
            self._poll(
                subject,
                f"be gone after {row.delete}",
                lambda: self._gone(subject, table, id, inputs),
            )

    def invoke(self, token: str, arguments: Mapping[str, Any]) -> Properties:
        """The three functions that tell where one is."""
        answer = {
            "aws:index/getCallerIdentity:getCallerIdentity": self._caller,
            "aws:index/getPartition:getPartition": lambda: {
                "id": "aws",
                "partition": "aws",
                "dnsSuffix": "amazonaws.com",
                "reverseDnsPrefix": "com.amazonaws",
            },
            "aws:index/getRegion:getRegion": lambda: {
                "id": self._region,
                "name": self._region,
                "region": self._region,
                "description": "local environment",
                "endpoint": f"ec2.{self._region}.amazonaws.com",
            },
        }.get(token)
        if answer is None:
            raise UserError(
                f"{token} is not served in the local environment",
                fix="pass the value as a setting, or add the function to stacks/local/aws.py",
            )
        return answer()

    # -- inside --------------------------------------------------------------------------------

    def _table(self, subject: Subject) -> Table:
        table = self._tables.get(subject.token)
        if table is None:
            raise UserError(no_row(subject.token))
        return table

    def _client(self, service: str) -> Any:
        with self._guard:
            if service not in self._clients:
                # A client of our own session: boto3's default session is not thread-safe
                session = boto3.session.Session(
                    aws_access_key_id="local",
                    aws_secret_access_key="local",
                    region_name=self._region,
                )
                self._clients[service] = session.client(
                    service,
                    endpoint_url=self._endpoint_url,
                    config=Config(
                        retries={"mode": "standard", "total_max_attempts": 4},
                        max_pool_connections=64,
                        s3={"addressing_style": "path"},
                    ),
                )
            return self._clients[service]

    def _caller(self) -> Properties:
        answer = self._client("sts").get_caller_identity()
        account = answer["Account"]
        return {
            "id": account,
            "accountId": account,
            "arn": answer["Arn"],
            "userId": answer["UserId"],
        }

    def _account(self) -> str:
        if not hasattr(self, "_account_id"):
            self._account_id: str = self._client("sts").get_caller_identity()["Account"]
        return self._account_id

    def _known(self, row: Row, id: str, inputs: Properties) -> dict[str, Any]:
        """What templates can name."""
        names = row.identity.inputs
        from_id = dict(zip(names, id.split(row.identity.separator, len(names) - 1), strict=False))
        if len(names) == 1:
            from_id = {names[0]: id}
        given = {name: value for name, value in inputs.items() if isinstance(value, str)}
        return {
            **given,
            **(from_id if id else {}),
            "id": id,
            "tail": re.split("[:/]", id)[-1],
            "region": self._region,
            "account": self._account(),
        }

    def _identity(self, row: Row, answer: Mapping[str, Any], known: Mapping[str, Any]) -> str:
        identity = row.identity
        if identity.returned:
            return str(jmespath.search(identity.returned, answer))
        if identity.template:
            return str(fill(identity.template, known))
        return identity.separator.join(known[name] for name in identity.inputs)

    def _send(self, subject: Subject, row: Row, call: Call, arguments: Mapping[str, Any]) -> Any:
        """One API call; raises Gone, or a UserError that says what AWS said."""
        try:
            method = getattr(self._client(row.service), xform_name(call.operation))
            return method(**arguments)
        except ClientError as error:
            code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
            if any(code == m.code and m.fragment in message for m in row.missing):
                raise Gone(message) from error
            if code in call.absent:
                return {}
            raise UserError(
                f"{subject}: {call.operation} must succeed, got {code}: {message}",
                fix="change the input that the message names",
            ) from error
        except BotoCoreError as error:
            raise UserError(
                f"{subject}: {call.operation} must succeed, got {error}",
                fix="change the input that the message names",
            ) from error

    def _must(self, subject: Subject, row: Row, call: Call, arguments: Mapping[str, Any]) -> Any:
        """One API call on something that has to exist."""
        try:
            return self._send(subject, row, call, arguments)
        except Gone as error:
            raise UserError(
                f"{subject}: what {call.operation} needs must exist, got: {error}",
                fix="run a refresh, so that what is missing is created again",
            ) from error

    def _describe(
        self, subject: Subject, table: Table, id: str, inputs: Properties
    ) -> dict[str, Any] | None:
        row, known = table.row, self._known(table.row, id, inputs)
        try:
            answer: dict[str, Any] = {}
            for call in (row.read, *row.also):
                raw = self._send(subject, row, call, table.arguments(call, {}, {**known, **answer}))
                raw.pop("ResponseMetadata", None)
                found = jmespath.search(_named(call.result, known), raw)
                if call is row.read and found is None:
                    return None
                answer |= {call.into: found} if call.into else (found or {})
        except Gone:
            return None
        return None if row.gone and jmespath.search(row.gone, answer) else answer

    def _scene(
        self, subject: Subject, table: Table, id: str, old: Properties, new: Properties
    ) -> Scene:
        return Scene(
            client=self._client(table.row.service),
            id=id,
            old=old,
            new=new,
            describe=lambda: self._describe(subject, table, id, new or old),
        )

    def _change(
        self,
        subject: Subject,
        table: Table,
        call: Call,
        id: str,
        old: Properties,
        new: Properties,
    ) -> None:
        """Make one follow-up or update call if it applies."""
        row = table.row
        given = {**{name: row.defaults.get(name) for name in call.when}, **new}
        if any(given[name] != value for name, value in call.when.items()):
            return
        built = call.build(self._scene(subject, table, id, old, new)) if call.build else {}
        if built is None:
            return
        arguments = table.arguments(call, new, self._known(row, id, new), [*(set(old) - set(new))])
        self._must(subject, row, call, {**arguments, **built})

    def _retag(
        self,
        subject: Subject,
        row: Row,
        known: Mapping[str, Any],
        old: Mapping[str, str],
        new: Mapping[str, str],
    ) -> None:
        tags = row.tags
        assert tags is not None
        key = fill(tags.key, known)
        removed = sorted(set(old) - set(new))
        if removed and not (tags.whole and new):
            names: Any = removed
            if tags.keys == tags.member:  # EC2 removes pairs
                names = [{"Key": name} for name in removed]
            listed = {} if tags.whole else {tags.keys: names}
            self._must(subject, row, Call(tags.remove), {**key, **listed})
        if new:
            *parents, last = tags.member.split(".")
            shape: Any = operation_model(row.service, tags.add).input_shape
            for member in (*parents, last):
                shape = shape.members[member]
            value: Any = pairs_or_map(new, shape)
            for member in (last, *reversed(parents)):
                value = {member: value}
            self._must(subject, row, Call(tags.add), {**key, **value})

    def _settle(self, subject: Subject, table: Table, id: str, inputs: Properties) -> None:
        """Wait until the describe answer says that the last change holds."""
        wait = table.row.wait
        if wait is None:
            return
        answer: dict[str, Any] = {}

        def settled() -> bool:
            answer.clear()
            answer.update(self._describe(subject, table, id, inputs) or {})
            return jmespath.search(wait.status, answer) in (*wait.good, *wait.bad)

        self._poll(subject, f"reach {' or '.join(wait.good)}", settled)
        status, reason = (jmespath.search(p, answer) for p in (wait.status, wait.reason))
        if status in wait.bad:
            raise UserError(
                f"{subject}: {id} must become {' or '.join(wait.good)}, got {status}: {reason}",
                fix="correct what the reason names",
            )
        for name, path in wait.equal.items():
            held = jmespath.search(path, answer)
            if held != inputs.get(name):
                raise UserError(
                    f"{subject}: {name} must be {inputs.get(name)!r}, got {held!r}: {reason}",
                    fix="correct what the reason names; what was there before still stands",
                )
        if reason:
            raise UserError(
                f"{subject}: the change must hold, got rolled back: {reason}",
                fix="correct what the reason names; what was there before still stands",
            )

    def _gone(self, subject: Subject, table: Table, id: str, inputs: Properties) -> bool:
        return self._describe(subject, table, id, inputs) is None

    def _poll(self, subject: Subject, goal: str, done: Any) -> None:
        pause, end = FIRST_PAUSE, time.monotonic() + PATIENCE
        while not done():
            if time.monotonic() > end:
                raise UserError(f"{subject} must {goal} within {PATIENCE:.0f} s, got no answer")
            time.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 1.5)


def _named(path: str, known: Mapping[str, Any]) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: str(known[match[1]]), path)


def where_to_add(token: str) -> str:
    """Which file of the table a type belongs to."""
    return f"add it to its row in stacks/local/aws_table/{module_of(token)}.py"


def no_row(token: str) -> str:
    """The refusal of a type that has no row."""
    return (
        f"{token} has no row for the local environment; "
        f"add one to stacks/local/aws_table/{module_of(token)}.py"
    )


def module_of(token: str) -> str:
    """`glue` for `aws:glue/crawler:Crawler`."""
    return token.split(":")[1].partition("/")[0]
