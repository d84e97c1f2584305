"""What every program is told, revisions that replace one another, and new things nobody names yet.

Each quiet change stands beside its dangerous neighbours.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from policies.config import PolicyConfig
from policies.offline import evaluate
from policies.review.differences import Leaf
from policies.review.digest import read
from policies.review.meaning import meaning
from policies.review.variables import variable
from policies.rules import RULES
from tests.kits import generated
from tests.review.test_creations import AWS, made, reviewed
from tests.review.test_fuzz import UNKNOWN_ON_THE_WIRE
from tests.review.test_open_world import loud
from tests.review.test_unsaid import pod, risk

CONFIG = "kubernetes:core/v1:ConfigMap"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
FUNCTION = "aws:lambda/function:Function"
MODEL = "aws:sagemaker/model:Model"
SECRETS = [rule for rule in RULES if rule.id == "PF-SEC-001"]
TASK = "aws:ecs/taskDefinition:TaskDefinition"


def carried(name: str, value: str | None) -> dict[str, dict[str, Any]]:
    """A variable in each of the places that hold one."""
    named = {} if value is None else {name: value}
    listed = [{"name": key, "value": item} for key, item in named.items()]
    return {
        FUNCTION: {"environment": {"variables": {"OTHER": "x", **named}}},
        DEPLOYMENT: pod(env=[{"name": "OTHER", "value": "x"}, *listed]),
        "aws:codebuild/project:Project": {"environment": {"environmentVariables": listed}},
        CONFIG: {"data": {"other": "x", **named}},
    }


QUIET = [
    ("LOG_LEVEL", "INFO", "WARNING"),
    ("LOG_LEVEL", "error", "info"),
    ("APP_LOGGING_LEVEL", "20", "30"),
    ("NCCL_DEBUG", "INFO", "WARN"),
    ("REQUEST_TIMEOUT_SECONDS", "5", "8"),
    ("POLL_INTERVAL", "30", "20"),
    ("OMP_NUM_THREADS", "1", "2"),
    ("TS_DEFAULT_WORKERS_PER_MODEL", "1", "2"),
    ("REDIS_MAX_CONNECTIONS", "20", "50"),
    ("MAX_BATCH_ROWS", "5000", "2000"),
    ("CACHE_TTL", "60", "120"),
    ("GUNICORN_CMD_ARGS", "--workers 2 --timeout 30", "--workers 4 --timeout 60"),
    ("FEAST_URL", "http://feast.a.svc:6566", "http://feast.a.svc.cluster.local:6566"),
]

LOUD = [
    # more than an ordinary log, none of it, or one that holds somebody to account
    ("LOG_LEVEL", "INFO", "DEBUG"),
    ("LOG_LEVEL", "INFO", "OFF"),
    ("LOG_LEVEL", "INFO", "CRITICAL"),
    ("LOG_LEVEL", "INFO", None),
    ("AUDIT_LOG_LEVEL", "INFO", "ERROR"),
    ("ACCESS_LOG_LEVEL", "info", "error"),
    ("PAYLOAD_LOG", "info", "error"),
    ("DEBUG", "false", "true"),
    # a leap, none at all, half of those who work, and what no number of a program is
    ("REQUEST_TIMEOUT_SECONDS", "5", "60"),
    ("REQUEST_TIMEOUT_SECONDS", "5", "0"),
    ("WORKERS", "4", "1"),
    ("OMP_NUM_THREADS", "2", "64"),
    ("MAX_BATCH_ROWS", "5000", "-1"),
    ("TOP_K", "20", "30"),
    ("MIN_AUC", "0.7", "0.6"),
    ("DISCOUNT_PERCENT", "10", "20"),
    # times after which somebody is let in no longer, or something goes
    ("SESSION_TIMEOUT", "600", "900"),
    ("TOKEN_CACHE_TTL", "60", "120"),
    ("AUTH_CACHE_TTL", "60", "120"),
    ("LOCK_TIMEOUT", "30", "20"),
    ("APPROVAL_TIMEOUT", "3600", "7200"),
    ("DELETE_BATCH_SIZE", "100", "200"),
    ("PURGE_INTERVAL", "30", "20"),
    ("RETENTION_BATCH", "30", "20"),
    # another command line, another address
    ("GUNICORN_CMD_ARGS", "--workers 2", "--workers 2 --reload"),
    ("ARGS", "--port 80 --workers 2", "--port 81 --workers 2"),
    ("ARGS", "--auth-timeout 10", "--auth-timeout 20"),
    ("ARGS", "--workers 2", "--workers 64"),
    ("ARGS", "--config a", "--config b"),
    ("FEAST_URL", "http://feast.a.svc:6566", "http://feast.b.svc:6566"),
    ("FEAST_URL", "https://feast.a.svc:6566", "http://feast.a.svc.cluster.local:6566"),
    ("FEAST_URL", "http://feast.a.svc", "http://feast.a.svc.cluster.local.example.com"),
    ("FEAST_URL", "http://feast.a.svc", "http://feast.a.svc@example.com"),
    ("FEAST_URL", "http://feast.a.svc:80", "http://feast.a.svc:81"),
]


@pytest.mark.parametrize(("name", "old", "new"), QUIET)
def test_what_every_program_has_is_quiet_wherever_it_stands(name: str, old: str, new: str) -> None:
    sides = carried(name, old), carried(name, new)
    assert {risk(token, sides[0][token], sides[1][token]) for token in sides[0]} == {"low"}


@pytest.mark.parametrize(("name", "old", "new"), LOUD)
def test_what_only_looks_like_it_asks_wherever_it_stands(
    name: str, old: str, new: str | None
) -> None:
    sides = carried(name, old), carried(name, new)
    tokens = [token for token in sides[0] if token != CONFIG]  # a size is one there, as before
    assert "low" not in {risk(token, sides[0][token], sides[1][token]) for token in tokens}
    leaf = Leaf(("data", name), old, new)
    assert variable(leaf, CONFIG, meaning(Leaf(("it",), old, new))) is None


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("LOG_LEVEL", "info", "low"),
        ("UVICORN_LOG_LEVEL", "warning", "low"),
        ("LOG_LEVEL", "debug", "medium"),
        ("AUDIT_LOG_LEVEL", "error", "medium"),
        ("WORKERS", "4", "medium"),
        ("LOG_LEVEL", "off", "medium"),
        ("ANYTHING", "info", "medium"),
    ],
)
def test_a_level_that_is_said_for_the_first_time_is_one(
    name: str, value: str, expected: str
) -> None:
    assert risk(DEPLOYMENT, pod(), pod(env=[{"name": name, "value": value}])) == expected
    secret = {"name": name, "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}
    assert risk(DEPLOYMENT, pod(), pod(env=[secret])) != "low"


def test_a_line_of_a_file_is_read_as_a_variable_is() -> None:
    sides = [{"data": {"a.yaml": f"audit: {a}\nserver:\n  timeout_ms: {b}\n"}}
             for a, b in (("info", 300), ("info", 400), ("error", 300))]  # fmt: skip
    assert risk(CONFIG, sides[0], sides[1]) == "low"
    assert risk(CONFIG, sides[0], sides[2]) != "low"


def test_toml_is_read_line_by_line() -> None:
    sides = [{"data": {"a.toml": text}} for text in (
        '[server]\nworkers = 2\nauth = "oidc"\n', '[server]\nauth = "oidc"\nworkers = 3 # more\n',
        '[server]\nworkers = 2\nauth = "none"\n', '[server]\nworkers = 2\n',
        '[server]\nworkers = 2\nauth = "oidc"\n[admin]\nopen = true\n', "[server]\nworkers = ",
    )]  # fmt: skip
    assert risk(CONFIG, sides[0], sides[1]) == "low"
    assert "low" not in {risk(CONFIG, sides[0], side) for side in sides[2:]}
    words = [{"data": {"a.toml": f"on = {value}\n"}} for value in ("true", '"true"')]
    assert risk(CONFIG, *words) != "low"


def job(**needs: str) -> dict[str, Any]:
    asked = [{"type": kind, "value": value} for kind, value in needs.items()]
    return {"containerProperties": json.dumps({"resourceRequirements": asked})}


def test_what_a_job_asks_for_is_found_by_its_type() -> None:
    token, one = "aws:batch/jobDefinition:JobDefinition", job(VCPU="2", MEMORY="4096", GPU="1")
    assert risk(token, one, job(VCPU="4", MEMORY="8192", GPU="1")) == "low"
    assert risk(token, one, job(MEMORY="4096", GPU="1", VCPU="2")) == "low"
    for other in (
        job(VCPU="2", MEMORY="4096", GPU="8"),
        job(VCPU="2", MEMORY="4096"),
        job(VCPU="2", MEMORY="1024", GPU="1"),
        job(VCPU="2", MEMORY="4096", GPU="1", TPU="1"),
        job(VCPU="0", MEMORY="4096", GPU="1"),
    ):
        assert risk(token, one, other) != "low"


def replaced(token: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    urn = f"{AWS}{token}::it"
    sides = [generated.state(urn, side) for side in (old, new)]
    changed = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
    return {
        "op": "replace", "urn": urn, "oldState": sides[0], "newState": sides[1],
        "diffReasons": changed, "replaceReasons": changed,
        "detailedDiff": {key: {"kind": "update-replace"} for key in changed},
    }  # fmt: skip


def task(**container: Any) -> dict[str, Any]:
    return {"family": "a", "containerDefinitions": json.dumps([{"name": "a", **container}])}


def variables(**named: str) -> list[dict[str, str]]:
    return [{"name": key, "value": value} for key, value in named.items()]


def model(**container: Any) -> dict[str, Any]:
    return {"name": "a", "primaryContainer": container}


@pytest.mark.parametrize(
    ("token", "old", "new"),
    [
        (TASK, task() | {"memory": "2048"}, task() | {"memory": "3072"}),
        (TASK, task(environment=variables(WORKERS="2")), task(environment=variables(WORKERS="3"))),
        (MODEL, model(environment={"LOG_LEVEL": "info"}), model(environment={"LOG_LEVEL": "warn"})),
    ],
)
def test_the_next_revision_is_judged_by_what_differs(
    token: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> None:
    assert f"{AWS}{token}::it" not in loud(reviewed(replaced(token, old, new)))


@pytest.mark.parametrize(
    ("token", "old", "new"),
    [
        (TASK, task(environment=variables(AUTH="on")), task(environment=variables(AUTH="off"))),
        (TASK, task(image="r/a:1"), task(image="r/b:1")),
        (TASK, task(), task(privileged=True)),
        (TASK, task(), task(command=["sh"])),
        (TASK, task() | {"taskRoleArn": "arn:aws:iam::1:role/a"},
         task() | {"taskRoleArn": "arn:aws:iam::1:role/b"}),
        (TASK, task(), task() | {"family": "b"}),
        (MODEL, model(), model() | {"name": "b"}),
        (TASK, task(), task()),  # the engine replaces it, and shows nothing
        (MODEL, model(modelDataUrl="s3://a/1"), model(modelDataUrl="s3://b/1")),
        (MODEL, model() | {"enableNetworkIsolation": True},
         model() | {"enableNetworkIsolation": False}),
        ("aws:dynamodb/table:Table", {"hashKey": "a", "readCapacity": 5},
         {"hashKey": "a", "readCapacity": 6}),
    ],
)  # fmt: skip
def test_what_no_revision_may_bring_unseen_asks(
    token: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> None:
    assert f"{AWS}{token}::it" in loud(reviewed(replaced(token, old, new)))


def service(of: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A service that runs, once it is made, the next revision of one or another definition."""
    urn = f"{AWS}aws:ecs/service:Service::service"
    old = {**generated.state(urn, {"taskDefinition": "arn:aws:ecs:r:1:task-definition/a:4"}),
           "propertyDependencies": {"taskDefinition": [(before or of)["urn"]]}}  # fmt: skip
    new = {**generated.state(urn, {"taskDefinition": UNKNOWN_ON_THE_WIRE}),
           "propertyDependencies": {"taskDefinition": [of["urn"]]}}  # fmt: skip
    return {"op": "update", "urn": urn, "oldState": old, "newState": new,
            "detailedDiff": {"taskDefinition": {"kind": "update"}}}  # fmt: skip


def test_a_service_runs_the_next_revision_of_the_same_task_and_of_no_other() -> None:
    small = replaced(TASK, task() | {"memory": "2048"}, task() | {"memory": "3072"})
    other = {**small, "urn": f"{AWS}{TASK}::other"}
    table = replaced("aws:dynamodb/table:Table", {"hashKey": "a"}, {"hashKey": "b"})
    assert not loud(reviewed(small, service(small)))
    assert service(small)["urn"] in loud(reviewed(small, service(small, other)))
    assert service(small)["urn"] in loud(reviewed(service(small)))
    assert service(small)["urn"] in loud(reviewed(table, service(table)))


DOCUMENT = {"name": "a", "documentType": "Command", "content": "schemaVersion: '2.2'"}
COMMAND = "aws:ssm/document:Document"
WORKGROUP = "aws:athena/workgroup:Workgroup"


@pytest.mark.parametrize(
    ("token", "quiet", "acts"),
    [
        (COMMAND, DOCUMENT, DOCUMENT | {"permissions": {"type": "Share", "accountIds": "all"}}),
        (COMMAND, DOCUMENT, DOCUMENT | {"documentType": "Session"}),
        (COMMAND, DOCUMENT, DOCUMENT | {"name": "SSM-SessionManagerRunShell"}),
        (COMMAND, DOCUMENT, DOCUMENT | {"attachmentsSources": [{"values": ["s3://a/b"]}]}),
        (WORKGROUP, {"configuration": {"enforceWorkgroupConfiguration": True}},
         {"configuration": {"enforceWorkgroupConfiguration": False}}),
        (WORKGROUP, {"name": "a"}, {"configuration": {"executionRole": "arn:aws:iam::1:role/a"}}),
        ("aws:backup/plan:Plan", {"rules": [{"ruleName": "a", "targetVaultName": "v"}]},
         {"rules": [{"copyActions": [{"destinationVaultArn": "arn:aws:backup:r:9:v:a"}]}]}),
        ("aws:glue/catalogTable:CatalogTable", {"name": "a", "databaseName": "d"},
         {"name": "a", "databaseName": "d", "targetTable": {"catalogId": "999999999999"}}),
        ("aws:cloudwatch/eventBus:EventBus", {"name": "a"},
         {"name": "aws.partner/x", "eventSourceName": "aws.partner/x"}),
        ("aws-native:sagemaker:ModelPackageGroup", {"modelPackageGroupName": "a"},
         {"modelPackageGroupName": "a", "modelPackageGroupPolicy": {"Statement": []}}),
        ("kubernetes:core/v1:Service", {"spec": {"ports": [{"port": 80, "targetPort": "http"}]}},
         {"spec": {"type": "LoadBalancer", "ports": [{"port": 80, "targetPort": "http"}]}}),
        ("aws:dynamodb/table:Table", {"ttl": {"enabled": True, "attributeName": "at"}},
         {"deletionProtectionEnabled": False, "ttl": {"enabled": True, "attributeName": "at"}}),
        ("aws:s3/bucketVersioning:BucketVersioning",
         {"bucket": "a", "versioningConfiguration": {"status": "Enabled"}},
         {"bucket": "a", "versioningConfiguration": {"status": "Suspended"}}),
    ],
    ids=lambda side: str(side)[:60],
)  # fmt: skip
def test_a_new_one_that_nobody_names_yet_is_quiet_until_it_acts(
    token: str, quiet: Mapping[str, Any], acts: Mapping[str, Any]
) -> None:
    assert f"{AWS}{token}::it" not in loud(reviewed(made(token, quiet)))
    assert f"{AWS}{token}::it" in loud(reviewed(made(token, acts)))


def test_parts_of_broken_uploads_go_sooner_and_objects_do_not() -> None:
    token = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"

    def days(place: str, count: int) -> dict[str, Any]:
        return {"bucket": "a", "rules": [{"id": "a", **{place.partition(".")[0]: {
            place.partition(".")[2]: count}}}]}  # fmt: skip

    broken, objects = "abortIncompleteMultipartUpload.daysAfterInitiation", "expiration.days"
    assert risk(token, days(broken, 14), days(broken, 7)) == "low"
    assert risk(token, days(broken, 14), days(broken, 1)) != "low"
    assert risk(token, days(objects, 14), days(objects, 7)) != "low"


@pytest.mark.parametrize(
    ("value", "secret"),
    [
        ("sk-proj-" + "Zx81kdLq0aTn" * 2, True),
        ("AKIA" + "A1B2C3D4" * 2, True),
        ("postgresql://me:Tr0ub4dor@db.a.svc/b", True),
        ('{"nested": "ghp_' + "a1B2c3" * 6 + '"}', True),
        ("user: me\nurl: https://me:Tr0ub4dor@db.a.svc/b\n", True),
        ("postgresql://me@db.a.svc/b", False),
        ("a-plain-value", False),
    ],
)
def test_a_secret_that_a_review_hides_is_still_one_to_its_rules(value: str, secret: bool) -> None:
    steps = [
        made("aws:ssm/parameter:Parameter", {"name": "/a/b", "type": "String", "value": value}),
        made(CONFIG, {"metadata": {"name": "a"}, "data": {"b": value}}, "b"),
        made(CONFIG, {"metadata": {"name": "a"}, "data": {"dsn": value}}, "c"),
    ]
    change = read(json.dumps({"steps": steps}), "prod.foundation")
    assert not secret or "Tr0ub4dor" not in repr(change)
    found = evaluate(change.after(), PolicyConfig(production=True), rules=SECRETS)
    failed = {item.urn for item in found if item.status == "fail"}
    assert failed == ({step["urn"] for step in steps} if secret else set())
