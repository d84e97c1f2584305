"""What is one thing in two texts, times that stay the same night, and what only guards.

Each with the change that looks the same and is another.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.review.test_creations import made, reviewed
from tests.review.test_open_world import loud
from tests.review.test_unsaid import Sides, pod, risk

ACTION = "aws:appautoscaling/scheduledAction:ScheduledAction"
BATCH = "aws:batch/jobDefinition:JobDefinition"
CALICO = "kubernetes:projectcalico.org/v3:NetworkPolicy"
CONFIG = "kubernetes:core/v1:ConfigMap"
CRON_JOB = "kubernetes:batch/v1:CronJob"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
DATABASE = "aws:rds/instance:Instance"
EKS = "aws-native:eks:Cluster"
FLOW_LOG = "aws:ec2/flowLog:FlowLog"
FUNCTION = "aws:lambda/function:Function"
JOB = "kubernetes:batch/v1:Job"
LISTENER = "aws:lb/listenerRule:ListenerRule"
NODES = "aws:ec2/launchTemplate:LaunchTemplate"
NOTICE = "aws:codestarnotifications/notificationRule:NotificationRule"
PLAN = "aws:backup/plan:Plan"
POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
SCHEDULE = "aws:scheduler/schedule:Schedule"
MACHINE = "aws:sfn/stateMachine:StateMachine"
PIPELINE = "aws:codepipeline/pipeline:Pipeline"
POOL = "aws:eks/nodeGroup:NodeGroup"
QUOTA = "kubernetes:core/v1:ResourceQuota"
RULES = "kubernetes:monitoring.coreos.com/v1:PrometheusRule"
TASK = "aws:ecs/taskDefinition:TaskDefinition"
TOPIC = "aws:iot/topicRule:TopicRule"
WORKFORCE = "aws:sagemaker/workforce:Workforce"

IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/server"
ONE, TWO = ("@sha256:" + letter * 64 for letter in "ab")


def file(name: str, text: str) -> dict[str, Any]:
    return {"data": {name: text}}


def script(text: str) -> dict[str, Any]:
    return {"userData": base64.b64encode(text.encode()).decode()}


def rules(*ingress: Mapping[str, Any], types: tuple[str, ...] = ("Ingress",)) -> dict[str, Any]:
    spec = {"podSelector": {}, "policyTypes": [*types], "ingress": [*ingress]}
    return {"spec": spec}


def peer(**labels: str) -> dict[str, Any]:
    return {"podSelector": {"matchLabels": labels}}


def block(cidr: str, *spared: str) -> dict[str, Any]:
    return {"ipBlock": {"cidr": cidr, **({"except": [*spared]} if spared else {})}}


def needs(*kinds: str) -> dict[str, Any]:
    found = [{"type": kind, "value": "1"} for kind in kinds]
    return {"containerProperties": {"resourceRequirements": found}}


def command(*words: str) -> dict[str, Any]:
    return {"containerProperties": {"command": [*words]}}


def stages(*names: str) -> dict[str, Any]:
    return {"stages": [{"name": name} for name in names]}


def task(**container: Any) -> dict[str, Any]:
    return {"containerDefinitions": json.dumps([{"name": "a", "image": IMAGE + ONE, **container}])}


def says(state: Mapping[str, Any]) -> dict[str, Any]:
    whole = {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True, **state}}}
    return {"definition": json.dumps(whole)}


def alarm(query: str) -> dict[str, Any]:
    return {"spec": {"groups": [{"name": "a", "rules": [{"alert": "A", "expr": query}]}]}}


def environment(*pairs: tuple[str, str]) -> dict[str, Any]:
    return pod(env=[{"name": name, "value": value} for name, value in pairs])


def backup(**rule: Any) -> dict[str, Any]:
    return {"rules": [{"ruleName": "a", "targetVaultName": "v", **rule}]}


def stopped(when: str) -> dict[str, Any]:
    return {"scheduleExpression": when, "target": {"arn": "arn:aws:scheduler:::aws-sdk:rds:stopDB"}}


def packets(*actions: str) -> dict[str, Any]:
    found = [{"action": action, "source": {"nets": ["10.0.0.0/8"]}} for action in actions]
    return {"spec": {"ingress": found}}


def probe(seconds: int) -> dict[str, Any]:
    return pod(readinessProbe={"httpGet": {"path": "/", "port": 1}, "timeoutSeconds": seconds})


BOTH: list[tuple[Sides, Sides]] = [
    # the same night, and another rhythm
    ((SCHEDULE, {"scheduleExpression": "cron(0 2 * * ? *)"},
      {"scheduleExpression": "cron(30 4 * * ? *)"}),
     (SCHEDULE, {"scheduleExpression": "cron(0 2 * * ? *)"},
      {"scheduleExpression": "cron(0 14 * * ? *)"})),
    ((CRON_JOB, {"spec": {"schedule": "0 2 * * *"}}, {"spec": {"schedule": "15  2 * * *"}}),
     (CRON_JOB, {"spec": {"schedule": "0 2 * * *"}}, {"spec": {"schedule": "0 2 1 * *"}})),
    ((PLAN, {"rules": [{"ruleName": "a", "schedule": "cron(0 3 * * ? *)"}]},
      {"rules": [{"ruleName": "a", "schedule": "cron(0 4 * * ? *)"}]}),
     (PLAN, {"rules": [{"ruleName": "a", "schedule": "cron(0 3 * * ? *)"}]},
      {"rules": [{"ruleName": "a", "schedule": "cron(0 3 ? * SUN *)"}]})),
    ((SCHEDULE, {"scheduleExpression": "cron(5 * * * ? *)"},
      {"scheduleExpression": "cron(20 * * * ? *)"}),
     (SCHEDULE, {"scheduleExpression": "cron(5 * * * ? *)"},
      {"scheduleExpression": "cron(* * * * ? *)"})),
    # comments, and what only looks like one
    ((NODES, script("#!/bin/bash\necho hi\n"), script("#!/bin/bash\n# greet\n\necho hi\n")),
     (NODES, script("#!/bin/bash\necho hi\n"), script("#!/bin/bash -x\necho hi\n"))),
    ((CONFIG, file("run.sh", "#!/bin/sh\nexec a\n"), file("run.sh", "#!/bin/sh\n# b\nexec a\n")),
     (CONFIG, file("run.sh", "#!/bin/sh\ncat <<E\na\nE\n"),
      file("run.sh", "#!/bin/sh\ncat <<E\n# b\na\nE\n"))),
    ((CONFIG, file("job.sh", "#!/bin/sh\na\n"), file("job.sh", "#!/bin/sh\n# b\na\n")),
     (CONFIG, file("job.sh", "#!/bin/sh\na\n"), file("job.sh", "#!/bin/sh\n#SBATCH -n 9\na\n"))),
    ((CONFIG, file("x.sh", "#!/bin/sh\na \\\n  --b\n"),
      file("x.sh", "#!/bin/sh\n# c\na \\\n  --b\n")),
     (CONFIG, file("x.sh", "#!/bin/sh\na \\\n  --b\n"),
      file("x.sh", "#!/bin/sh\na \\\n# c\n  --b\n"))),
    ((CONFIG, file("x.sh", "#!/bin/sh\na 'b'\n"), file("x.sh", "#!/bin/sh\n# don't\na 'b'\n")),
     (CONFIG, file("x.sh", "#!/bin/sh\na 'b\nc'\n"), file("x.sh", "#!/bin/sh\na 'b\n# d\nc'\n"))),
    ((CONFIG, file("a.py", "import a\na.b()\n"), file("a.py", "import a\n\n# c\na.b()  # d\n")),
     (CONFIG, file("a.py", "if a:\n  b()\nc()\n"), file("a.py", "if a:\n  b()\n  c()\n"))),
    ((CONFIG, file("a.conf", "[OUTPUT]\n  Name s3\n"),
      file("a.conf", "# b\n[OUTPUT]\n  Name s3\n")),
     (CONFIG, file("a.conf", "[OUTPUT]\n  Name s3\n"),
      file("a.conf", "#include x\n[OUTPUT]\n  Name s3\n"))),
    (("aws:iot/topicRule:TopicRule", {"sql": "SELECT * FROM 'a  b'"},
      {"sql": "SELECT *\n  FROM 'a  b'"}),
     ("aws:iot/topicRule:TopicRule", {"sql": "SELECT * FROM 'a  b'"},
      {"sql": "SELECT * FROM 'a b'"})),
    (("aws:athena/preparedStatement:PreparedStatement", {"queryStatement": "SELECT a"},
      {"queryStatement": "-- one\nSELECT a"}),
     ("aws:athena/preparedStatement:PreparedStatement", {"queryStatement": "SELECT a -- b\n, c"},
      {"queryStatement": "SELECT a -- b , c"})),
    # names that know no case, and values that do
    ((LISTENER, {"conditions": [{"httpHeader": {"httpHeaderName": "X-A", "values": ["b"]}}]},
      {"conditions": [{"httpHeader": {"httpHeaderName": "x-a", "values": ["b"]}}]}),
     (LISTENER, {"conditions": [{"pathPattern": {"values": ["/A"]}}]},
      {"conditions": [{"pathPattern": {"values": ["/a"]}}]})),
    # a digest says which image it is, and a tag beside it nothing
    ((DEPLOYMENT, pod(image=f"{IMAGE}:1.2{ONE}"), pod(image=f"{IMAGE}:1.3{ONE}")),
     (DEPLOYMENT, pod(image=f"{IMAGE}:1.2{ONE}"), pod(image=f"{IMAGE}:1.2{TWO}"))),
    ((DEPLOYMENT, pod(image=f"{IMAGE}{ONE}"), pod(image=f"{IMAGE}:1.3{ONE}")),
     (DEPLOYMENT, pod(image=f"{IMAGE}{ONE}"), pod(image=f"docker.io/x/server{ONE}"))),
    # lists without an order at any depth, and one that has it
    ((BATCH, needs("VCPU", "MEMORY"), needs("MEMORY", "VCPU")),
     (BATCH, command("a", "b"), command("b", "a"))),
    # fewer peers, ports and ranges
    ((POLICY, rules({"from": [peer(a="b"), peer(c="d")]}), rules({"from": [peer(a="b")]})),
     (POLICY, rules({"from": [peer(a="b")]}), rules({"from": []}))),
    ((POLICY, rules({"ports": [{"port": 1}, {"port": 2}]}), rules({"ports": [{"port": 1}]})),
     (POLICY, rules({"ports": [{"port": 1}]}), rules({}))),
    ((POLICY, rules({"from": [peer(a="b")]}), rules()),
     (POLICY, rules({"from": [peer(a="b")]}), rules(types=("Egress",)))),
    ((POLICY, rules({"from": [block("10.0.0.0/8")]}),
      rules({"from": [block("10.1.0.0/16", "10.1.2.0/24")]})),
     (POLICY, rules({"from": [block("10.0.0.0/8", "10.1.0.0/16")]}),
      rules({"from": [block("10.0.0.0/9")]}))),
    # ranges of which the last one goes
    ((WORKFORCE, {"sourceIpConfig": {"cidrs": ["203.0.113.0/24", "198.51.100.0/24"]}},
      {"sourceIpConfig": {"cidrs": ["203.0.113.0/24"]}}),
     (WORKFORCE, {"sourceIpConfig": {"cidrs": ["203.0.113.0/24"]}},
      {"sourceIpConfig": {"cidrs": []}})),
    # a little more patience, and none
    ((DEPLOYMENT, probe(1), probe(3)), (DEPLOYMENT, probe(1), probe(300))),
    # one more of what is written down, or told
    ((EKS, {"logging": {"clusterLogging": {"enabledTypes": [{"type": "api"}]}}},
      {"logging": {"clusterLogging": {"enabledTypes": [{"type": "api"}, {"type": "audit"}]}}}),
     (EKS, {"logging": {"clusterLogging": {"enabledTypes": [{"type": "api"}, {"type": "audit"}]}}},
      {"logging": {"clusterLogging": {"enabledTypes": [{"type": "api"}]}}})),
    ((NOTICE, {"eventTypeIds": ["a"]}, {"eventTypeIds": ["a", "b"]}),
     (NOTICE, {"eventTypeIds": ["a", "b"]}, {"eventTypeIds": ["a"]})),
    ((FLOW_LOG, {"trafficType": "REJECT"}, {"trafficType": "ALL"}),
     (FLOW_LOG, {"trafficType": "ALL"}, {"trafficType": "REJECT"})),
    # what is said, and was so before
    ((FUNCTION, {}, {"ephemeralStorage": {"size": 512}}),
     (FUNCTION, {}, {"fileSystemConfig": {"arn": "a", "localMountPath": "/mnt"}})),
    # a flag that writes down what nobody should read
    (("aws:rds/proxy:Proxy", {"debugLogging": True}, {"debugLogging": False}),
     ("aws:rds/proxy:Proxy", {"debugLogging": False}, {"debugLogging": True})),
    # a name that people read, and one by which it is found
    (("aws:quicksight/analysis:Analysis", {"name": "a"}, {"name": "b"}),
     ("aws:quicksight/analysis:Analysis", {"analysisId": "a"}, {"analysisId": "b"})),
]  # fmt: skip


LINES: list[tuple[str, str, str, str, str]] = [
    # file; a harmless change; one that looks the same
    ("x.sh", "#!/bin/sh\na\n", "#!/bin/sh\n# b\na\n", "#!/bin/sh\na\n", "#!/bin/sh\r\na\r\n"),
    ("x.sh", "#!/bin/sh\na 'b' \"c\"\n", "#!/bin/sh\n# d\na 'b' \"c\"\n",
     "#!/bin/sh\na 'b\\'c'\n# d\ne'\n", "#!/bin/sh\na 'b\\'c'\ne'\n"),
    ("x.sh", "#!/bin/sh\na=\"$(b)\"\n", "#!/bin/sh\n# d\na=\"$(b)\"\n",
     "#!/bin/sh\na=\"$(b \"\n# c\n\")\"\n", "#!/bin/sh\na=\"$(b \"\n\")\"\n"),
    ("x.sh", "#!/bin/sh\na=${b}\n", "#!/bin/sh\n# d\na=${b}\n",
     "#!/bin/sh\na=${b:-\n# c\n}\n", "#!/bin/sh\na=${b:-\n}\n"),
    ("x.sh", "#!/bin/sh\na\n", "#!/bin/sh\n# b\na\n",
     "#!/bin/sh\na\n", "#!/bin/sh\n# {{ b }}\na\n"),
    ("x.conf", "allow a\ndeny b\n", "allow a\n# c\ndeny b\n",
     "allow a\ndeny b\n", "allow a\n# c \\\ndeny b\n"),
    ("a.py", "x = 1\n", "x = 1  # b\n", "x = 1\n", "# -*- coding: utf-7 -*-\nx = 1\n"),
    ("a.py", "a()\n", "# b\na()\n", "#!/bin/python3\na()\n", "#!/bin/python2\na()\n"),
    ("a.py", "# b\na()\n", "# c\na()\n",
     "# /// script\n# dependencies = ['b']\n# ///\na()\n",
     "# /// script\n# dependencies = ['c']\n# ///\na()\n"),
    ("a.yaml", "a: b\n", "a: 'b'\n", "a: false\n", "a: 'false'\n"),
    ("a.yaml", "a: b # c\n", "a: b # d\n", "a: b # {{ c }}\n", "a: b # {{ d }}\n"),
    ("a.yaml", "a: 1\nb: 2\n", "b: 2\na: 1\n", "a: 1\na: 2\n", "a: 2\n"),
    ("a.yaml", "allow:\n- a\n", "allow:\n  - a\n", "allow:\n- a\n", "allow:\n"),
    ("a.yaml", "---\na: no\n", "---\n# b\na: no\n",
     "%YAML 1.1\n---\na: no\n", "%YAML 1.2\n---\na: no\n"),
    ("a.yaml", "hosts: [a, b]\n", "hosts:\n- a\n- b\n",
     "policies: [deny-a, allow-b]\n", "policies: [allow-b, deny-a]\n"),
    ("a.json", '{"a": true, "b": 1}', '{ "b": 1, "a": true }', '{"a": true}', '{"a": "true"}'),
    ("a.json", '{"a": "b"}', '{"a": "b"}\n', '{"a": ""}', "{}"),
    ("a.json", '{"a": [1]}', '{"a": [ 1 ]}', '{"a": 1, "a": 2}', '{"a": 2}'),
    ("a.properties", "a = b\n", "# c\na=b\n", "a=b\n", "a=b \n"),
    ("a.properties", "a=1\nb=2\n", "b=2\na=1\n", "a=1\nb=$a\n", "b=$a\na=1\n"),
]  # fmt: skip


@pytest.mark.parametrize("name, old, new, before, after", LINES)
def test_a_comment_is_one_to_every_reader_of_its_file(
    name: str, old: str, new: str, before: str, after: str
) -> None:
    assert risk(CONFIG, file(name, old), file(name, new)) == "low"
    assert risk(CONFIG, file(name, before), file(name, after)) != "low"


TURNS: list[tuple[Sides, Sides]] = [
    # what is gone through in turn
    ((TASK, task(environment=[{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]),
      task(environment=[{"name": "B", "value": "2"}, {"name": "A", "value": "1"}])),
     (TASK, task(command=["a", "--b"]), task(command=["--b", "a"]))),
    ((PIPELINE, {"tags": {"a": "b"}}, {"tags": {"a": "c"}}),
     (PIPELINE, stages("Approve", "Deploy"), stages("Deploy", "Approve"))),
    ((FUNCTION, {"architectures": ["arm64"], "vpcConfig": {"subnetIds": ["a", "b"]}},
      {"architectures": ["arm64"], "vpcConfig": {"subnetIds": ["b", "a"]}}),
     (FUNCTION, {"layers": ["arn:aws:lambda:a", "arn:aws:lambda:b"]},
      {"layers": ["arn:aws:lambda:b", "arn:aws:lambda:a"]})),
    ((POOL, {"subnetIds": ["a", "b"]}, {"subnetIds": ["b", "a"]}),
     (POOL, {"instanceTypes": ["a", "b"]}, {"instanceTypes": ["b", "a"]})),
    ((DEPLOYMENT, environment(("A", "1"), ("B", "2")), environment(("B", "2"), ("A", "1"))),
     (DEPLOYMENT, environment(("A", "1"), ("B", "$(A)")), environment(("B", "$(A)"), ("A", "1")))),
    ((POLICY, rules({"from": [peer(a="b")]}, {"from": [peer(c="d")]}),
      rules({"from": [peer(c="d")]}, {"from": [peer(a="b")]})),
     (CALICO, packets("Deny", "Allow"), packets("Allow", "Deny"))),
    # hours at which nobody works, and machines that are there too late
    ((DATABASE, {"maintenanceWindow": "sun:03:00-sun:04:00"},
      {"maintenanceWindow": "sat:04:00-sat:05:00"}),
     (DATABASE, {"maintenanceWindow": "sun:03:00-sun:04:00"},
      {"maintenanceWindow": "wed:12:00-wed:13:00"})),
    ((DATABASE, {"backupWindow": "03:00-03:30"}, {"backupWindow": "04:00-04:30"}),
     (DATABASE, {"backupWindow": "03:00-03:30"}, {"backupWindow": "03:00-20:30"})),
    ((ACTION, {"schedule": "cron(0 7 * * ? *)"}, {"schedule": "cron(30 6 * * ? *)"}),
     (ACTION, {"schedule": "cron(0 7 * * ? *)"}, {"schedule": "cron(0 10 * * ? *)"})),
    ((SCHEDULE, stopped("cron(0 20 * * ? *)"), stopped("cron(30 20 * * ? *)")),
     (SCHEDULE, stopped("cron(0 20 * * ? *)"), stopped("cron(0 17 * * ? *)"))),
    ((CRON_JOB, {"spec": {"schedule": "5 3 * * *"}}, {"spec": {"schedule": "55 3 * * *"}}),
     (CRON_JOB, {"spec": {"schedule": "5 3 * * *"}}, {"spec": {"schedule": "65 3 * * *"}})),
    # what people read, and what a program is told
    ((MACHINE, says({"Comment": "a"}), says({"Comment": "b"})),
     (MACHINE, says({"Result": {"Comment": "a"}}), says({"Result": {"Comment": "b"}}))),
    (("aws:identitystore/user:User", {"displayName": "a"}, {"displayName": "b"}),
     ("aws:identitystore/group:Group", {"displayName": "a"}, {"displayName": "b"})),
    ((FUNCTION, {"description": "a"}, {"description": "b"}),
     (FUNCTION, {"environment": {"variables": {"description": "a"}}},
      {"environment": {"variables": {"description": "b"}}})),
    ((CONFIG, {"data": {"a.json": "{}"}}, {"data": {"a.json": "{ }"}}),
     (CONFIG, {"data": {"A": ""}}, {"data": {}})),
    ((TOPIC, {"sql": "SELECT a"}, {"sql": "-- b\nSELECT a"}),
     (RULES, alarm("a\n-- 5"), alarm("a"))),
    # what only guards, and what ends, lets go or opens under a name of that kind
    ((PLAN, backup(), {"rules": [*backup()["rules"], {"ruleName": "b", "targetVaultName": "v"}]}),
     (PLAN, backup(), backup(lifecycle={"deleteAfter": 1}))),
    ((DEPLOYMENT, pod(), pod(lifecycle={"preStop": {"sleep": {"seconds": 5}}})),
     (PLAN, backup(), backup(lifecycle={"coldStorageAfter": 1}))),
    ((POOL, {}, {"updateConfig": {"maxUnavailable": 1}}),
     (POOL, {}, {"updateConfig": {"maxUnavailablePercentage": 100}})),
    ((DEPLOYMENT, pod(), pod(securityContext={"seccompProfile": {"type": "RuntimeDefault"}})),
     (DEPLOYMENT, pod(), pod(securityContext={"procMount": "Unmasked"}))),
    ((QUOTA, {"spec": {"hard": {"pods": 9}}}, {"spec": {"hard": {"pods": 9, "services": 9}}}),
     (QUOTA, {"spec": {"hard": {"pods": 9}}}, {"spec": {"hard": {"pods": 9, "services": 0}}})),
    ((JOB, {"spec": {"activeDeadlineSeconds": 600}}, {"spec": {"activeDeadlineSeconds": 900}}),
     (JOB, {"spec": {}}, {"spec": {"activeDeadlineSeconds": 60}})),
]  # fmt: skip


@pytest.mark.parametrize("pair", TURNS, ids=[f"{p[1][0]} {p[1][2]}"[:90] for p in TURNS])
def test_its_neighbour_only_looks_like_it(pair: tuple[Sides, Sides]) -> None:
    harmless, dangerous = pair
    assert risk(*harmless) == "low", harmless
    assert risk(*dangerous) != "low", dangerous


@pytest.mark.parametrize("pair", BOTH, ids=[f"{p[0][0]} {p[0][2]}"[:90] for p in BOTH])
def test_one_is_known_to_be_harmless_and_its_neighbour_is_not(pair: tuple[Sides, Sides]) -> None:
    harmless, dangerous = pair
    assert risk(*harmless) == "low", harmless
    assert risk(*dangerous) != "low", dangerous


SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}
"""How a state marks a secret (Pulumi's signatures of values)."""


def test_two_secrets_are_no_query_in_two_spellings() -> None:
    def topic(query: str) -> dict[str, Any]:
        return {"sql": {**SECRET, "plaintext": json.dumps(query)}}

    token = "aws:iot/topicRule:TopicRule"
    assert risk(token, topic("SELECT a"), topic("SELECT a  ")) != "low"


def test_a_models_weights_from_another_place_are_told() -> None:
    def model(url: str) -> dict[str, Any]:
        return {"primaryContainer": {"image": IMAGE + ONE, "modelDataUrl": url}}

    assert risk("aws:sagemaker/model:Model", model("s3://a/1"), model("s3://a/2")) != "low"


def test_ten_times_the_machines_of_a_variant_are_told_though_nobody_knows_their_price() -> None:
    def variant(count: int) -> dict[str, Any]:
        return {"productionVariants": [{"variantName": "a", "initialInstanceCount": count}]}

    token = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"
    assert risk(token, variant(2), variant(20)) != "low"
    assert risk(token, variant(2), variant(3)) == "low"


QUIET: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("aws:s3/bucketOwnershipControls:BucketOwnershipControls",
     {"bucket": "b", "rule": {"objectOwnership": "BucketOwnerEnforced"}},
     {"bucket": "b", "rule": {"objectOwnership": "ObjectWriter"}}),
    ("aws:ebs/encryptionByDefault:EncryptionByDefault", {"enabled": True}, {"enabled": False}),
    ("aws:efs/backupPolicy:BackupPolicy", {"backupPolicy": {"status": "ENABLED"}},
     {"backupPolicy": {"status": "DISABLED"}}),
    ("aws:appconfig/environment:Environment", {"name": "prod", "applicationId": "abc"},
     {"name": "prod", "applicationId": "abc", "monitors": [{"alarmRoleArn": "arn:aws:iam::1:x"}]}),
    ("aws:quicksight/folder:Folder", {"folderId": "ml", "name": "ML"},
     {"folderId": "ml", "name": "ML", "permissions": [{"principal": "arn:aws:iam::1:user/a"}]}),
]  # fmt: skip


@pytest.mark.parametrize("token, harmless, dangerous", QUIET, ids=[row[0] for row in QUIET])
def test_a_new_thing_that_only_guards_or_is_only_named_is_quiet(
    token: str, harmless: dict[str, Any], dangerous: dict[str, Any]
) -> None:
    assert not loud(reviewed(made(token, harmless)))
    assert loud(reviewed(made(token, dangerous)))


@pytest.mark.parametrize("token", ["aws:eks/addon:Addon", "aws:glue/partition:Partition"])
def test_a_part_that_acts_on_the_whole_asks(token: str) -> None:
    named = {"addonName": "a", "clusterName": "c", "databaseName": "d", "tableName": "t"}
    assert loud(reviewed(made(token, named)))
