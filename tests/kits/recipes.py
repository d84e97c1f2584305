"""An example of each recipe of CONTRIBUTING.md: the smallest thing that does what it is for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Edit:
    """Text to put in front of the first occurrence of another."""

    before: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Example:
    """What somebody who follows a recipe writes, and what must pass then."""

    written: Mapping[str, str | Sequence[Edit]]
    """Path -> a new file's text, or what is added to one that is there."""

    checks: Sequence[str]
    """Arguments of pytest, which also accepts what changed."""

    def write(self, root: Path) -> None:
        """Write all of it into a checkout."""
        for name, content in self.written.items():
            path = root / name
            if isinstance(content, str):
                assert not path.exists(), f"{name} is there already"
                path.write_text(content)
                continue
            text = path.read_text()
            for edit in content:
                assert text.count(edit.before) == 1, f"{name} must have {edit.before!r} once"
                text = text.replace(edit.before, edit.text + edit.before)
            path.write_text(text)


COMPONENT = '''"""Where people leave notes about an environment."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.component import Component, ComponentArgs


@dataclass(frozen=True, kw_only=True)
class NotesArgs(ComponentArgs):
    """How notes are kept."""

    kms_key_arn: pulumi.Input[str]
    """Its policy must let CloudWatch Logs use it."""

    retention_days: int = 365
    """Days a note is kept. Default: a year."""


class Notes(Component):
    """An encrypted log of what people did."""

    def __init__(
        self, name: str, args: NotesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        aws.cloudwatch.LogGroup(
            f"{name}-log",
            name=f"/plinth/{self.names.of(name)}",
            kms_key_id=args.kms_key_arn,
            retention_in_days=args.retention_days,
            tags=self.tags("log"),
            opts=self.child,
        )
        self.seal()
'''

RULE = '''"""Activities, which workers outside AWS ask for work."""

from policies.data import Resource
from policies.rule import Fail, Result, Scope, rule
from policies.theme import Theme


@rule(
    "PF-SFN-001",
    applies_to=("aws:sfn/activity:Activity",),
    severity="medium",
    fix="set encryption_configuration with type CUSTOMER_MANAGED_KMS_KEY and a key",
    url="https://docs.aws.amazon.com/step-functions/latest/dg/encryption-at-rest.html",
    themes=Theme.ENCRYPTION_AT_REST,
)
def require_activity_key(resource: Resource, scope: Scope) -> Result:
    """What an activity hands to its workers is encrypted with a key of ours."""
    chosen = resource.inputs.get("encryptionConfiguration", "type")
    if chosen == "CUSTOMER_MANAGED_KMS_KEY":
        return None
    return Fail(f"must be encrypted with a key of ours, got {chosen or 'the key of AWS'}")
'''

RULE_CASES = '''"""Programs for the rules about activities; see case.py."""

from typing import Any

import pulumi_aws as aws

from tests.policies.cases.case import KEY, Case, later

CUSTOMER = "CUSTOMER_MANAGED_KMS_KEY"


def activity(kind: Any = CUSTOMER) -> None:
    aws.sfn.Activity("work", encryption_configuration={"type": kind, "kms_key_id": KEY})


ACTIVITIES = [
    Case(rule="PF-SFN-001", status="pass", program=activity),
    Case(
        rule="PF-SFN-001",
        status="fail",
        program=lambda: activity("AWS_OWNED_KEY"),
        says="got AWS_OWNED_KEY",
    ),
    Case(rule="PF-SFN-001", status="unknown", program=lambda: activity(later()), preview=True),
    Case(rule="PF-SFN-001", status="not_applicable", program=lambda: aws.sns.Topic("topic")),
]
'''

ROW = '''"""Activities of Step Functions, which workers outside AWS ask for work."""

from stacks.local.provider.aws.row import EVERYTHING, Call, Missing, Row, returned

ROWS = (
    Row(
        token="aws:sfn/activity:Activity",
        service="stepfunctions",
        cfn="AWS::StepFunctions::Activity",
        create=Call("CreateActivity", ("name",)),
        read=Call("DescribeActivity"),
        delete=Call("DeleteActivity"),
        identity=returned("activityArn"),
        key={"activityArn": "{id}"},
        autoname="name",
        replace_on=EVERYTHING,
        refuses=("encryptionConfiguration", "tags"),
        outputs={"arn": "activityArn", "creationDate": "creationDate"},
        missing=(Missing("ActivityDoesNotExist"),),
        fidelity="recorded by moto: nobody is given work",
    ),
)
'''

ROW_CASE = '''"""Cases of Step Functions."""

from tests.stacks.local.provider_cases.case import Case

CASES: dict[str, Case] = {
    "aws:sfn/activity:Activity": Case(
        inputs={"name": "plinth-work"}, change={"name": "plinth-other"}, replaces=True
    ),
}
'''

STEP = '''"""Count the files that a run brought, for whoever reads its log."""

from pipelines.toolkit import job


def main(argv: list[str]) -> None:
    found = sorted(path for path in job.given("raw").rglob("*") if path.is_file())
    print(f"{len(found)} files")


if __name__ == "__main__":
    job.run(main)
'''

EXAMPLES: Mapping[str, Example] = {
    "Add a component": Example(
        written={
            "infra/notes.py": COMPONENT,
            "stacks/composition/foundation.py": (
                Edit(
                    "from infra.permissions_boundary import",
                    "from infra.notes import Notes, NotesArgs\n",
                ),
                Edit(
                    "    spark = engines.build(",
                    '    names, tags, key = common.names, common.tags, keys.arn("logs")\n'
                    '    Notes("notes", NotesArgs(names=names, tags=tags, kms_key_arn=key))\n',
                ),
            ),
        },
        checks=[
            *("tests/stacks/test_stacks.py", "tests/test_architecture.py", "-k"),
            "foundation and (accepted or passes) and not settings or infra.notes",
        ],
    ),
    "Add a rule": Example(
        written={
            "policies/rules/activities.py": RULE,
            "tests/policies/cases/activities.py": RULE_CASES,
        },
        checks=[
            *("tests/policies/test_policies.py", "tests/policies/test_frameworks.py"),
            *("tests/test_architecture.py", "-k"),
            "PF-SFN-001 or belongs or unique or primary or activities or part_of_a_document",
        ],
    ),
    "Add a resource type to the local cloud": Example(
        written={
            "stacks/local/provider/aws/rows/sfn.py": ROW,
            "tests/stacks/local/provider_cases/activities.py": ROW_CASE,
        },
        checks=[
            *("tests/stacks/local/test_provider_table.py",),
            *("tests/stacks/local/test_provider_rows.py", "-k"),
            "Activity or sorted or has_a_case",
        ],
    ),
    "Add a pipeline step": Example(
        written={
            "pipelines/weather/steps/count.py": STEP,
            "pipelines/weather/ingest.py": (
                Edit(
                    "    return factory.pipeline([ingest",
                    '    raw = output_uri(ingest, "raw")\n'
                    '    count = factory.processing("Count", reads={"raw": raw})\n',
                ),
                Edit(", validate, factory", ", count"),
            ),
        },
        checks=[
            *("tests/pipelines/test_pipelines.py", "tests/pipelines/test_workload.py"),
            *("tests/test_architecture.py", "-k"),
            "weather or declaration or programs or steps.count",
        ],
    ),
    "Add a workload": Example(
        written={},
        checks=[
            *("tests/stacks/test_stacks.py", "tests/pipelines/test_workload.py"),
            *("tests/ci/test_habits.py", "tests/ci/test_files.py", "tests/test_architecture.py"),
            *(
                "-k",
                "local.sales or sales and habits or knows_every or part_of_a_document or found",
            ),
        ],
    ),
}
