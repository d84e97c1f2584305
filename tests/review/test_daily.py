"""Daily changes by kind, each beside its neighbour in the dangerous direction."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.review.test_unsaid import Sides, pod, risk

APPLICATION = "kubernetes:argoproj.io/v1alpha1:Application"
CONFIG = "kubernetes:core/v1:ConfigMap"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
FUNCTION = "aws:lambda/function:Function"
LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
MACHINE = "aws:sfn/stateMachine:StateMachine"
POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
POOL = "kubernetes:karpenter.sh/v1:NodePool"
RELEASE = "kubernetes:helm.sh/v3:Release"
RULE = "aws:cloudwatch/eventRule:EventRule"
RULES = "kubernetes:monitoring.coreos.com/v1:PrometheusRule"
SERVICE = "kubernetes:core/v1:Service"
TABLE = "aws:glue/catalogTable:CatalogTable"


def kept(*rules: Mapping[str, Any]) -> dict[str, Any]:
    return {"bucket": "a", "rules": list(rules)}


def ages(**more: Any) -> dict[str, Any]:
    return {"id": "old", "status": "Enabled", "expiration": {"days": 365}, **more}


def broken(days: int, **more: Any) -> dict[str, Any]:
    return {"id": "parts", "status": "Enabled", "filter": {},
            "abortIncompleteMultipartUpload": {"daysAfterInitiation": days}, **more}  # fmt: skip


def moved(kind: str) -> dict[str, Any]:
    return ages(transitions=[{"days": 60, "storageClass": kind}])


def columns(*names: str, **more: Any) -> dict[str, Any]:
    found = [{"name": name, "type": "string", **more} for name in names]
    return {"name": "t", "databaseName": "d", "storageDescriptor": {"columns": found}}


def fails(**more: Any) -> dict[str, Any]:
    state = {"Type": "Fail", "Error": "Bad", "Cause": "low", **more}
    return {"definition": json.dumps({"StartAt": "A", "States": {"A": state}})}


def every(text: str) -> dict[str, Any]:
    return {"scheduleExpression": text}


def note(key: str, value: str) -> dict[str, Any]:
    return {"metadata": {"name": "a", "annotations": {key: value}}, **pod()}


def out(**port: Any) -> dict[str, Any]:
    return {"spec": {"podSelector": {}, "policyTypes": ["Egress"],
                     "egress": [{"ports": [{"port": 53, **port}]}]}}  # fmt: skip


def file(name: str, text: str) -> dict[str, Any]:
    return {"data": {name: text}}


def limits(**most: str) -> dict[str, Any]:
    return {
        "spec": {"limits": {key.replace("gpu", "nvidia.com/gpu"): v for key, v in most.items()}}
    }


def needs(*keys: str) -> dict[str, Any]:
    found = [{"key": key, "operator": "In", "values": ["a"]} for key in keys]
    return {"spec": {"template": {"spec": {"requirements": found}}}}


def chart(version: str) -> dict[str, Any]:
    return {"chart": "c", "version": version}


def synced(**source: str) -> dict[str, Any]:
    return {"spec": {"source": {"repoURL": "https://a", **source}}}


def alert(expr: str, held: str = "10m", **more: str) -> dict[str, Any]:
    rule = {"alert": "A", "expr": expr, "for": held, **more}
    return {"spec": {"groups": [{"name": "g", "rules": [rule]}]}}


def record(expr: str) -> dict[str, Any]:
    return {"spec": {"groups": [{"name": "g", "rules": [{"record": "a:b", "expr": expr}]}]}}


def logs(level: str) -> dict[str, Any]:
    return {"loggingConfig": {"logFormat": "JSON", "applicationLogLevel": level}}


INI = "[server]\nworkers = 4\n[auth]\nmode = oidc\n"
NGINX = "server {\n  listen 80;\n  location / { proxy_pass http://$up; }\n}\n"

QUIET: list[Sides] = [
    (LIFECYCLE, kept(ages()), kept(ages(), broken(7))),
    (LIFECYCLE, kept(ages()), kept(moved("STANDARD_IA"))),
    (TABLE, columns("a"), columns("a", "b")),
    (MACHINE, fails(), fails(Cause="the score is too low")),
    (RULE, every("rate(1 day)"), every("rate(24 hours)")),
    (DEPLOYMENT, note("example.com/owner", "a"), note("example.com/owner", "b")),
    (DEPLOYMENT, note("alb.ingress.kubernetes.io/tags", "a=b"),
     note("alb.ingress.kubernetes.io/tags", "a=c")),
    (POLICY, out(protocol="TCP"), out()),
    (SERVICE, {"spec": {"type": "ClusterIP", "ports": [{"port": 80}]}},
     {"spec": {"ports": [{"port": 80}]}}),
    (CONFIG, file("a.ini", INI), file("a.ini", INI.replace(" = ", "=") + "; why\n")),
    (CONFIG, file("a.ini", INI), file("a.ini", INI.replace("4", "5"))),
    (CONFIG, file("n.conf", NGINX), file("n.conf", "# why\n" + NGINX.replace("  ", "    "))),
    (POOL, limits(cpu="200"), limits(cpu="240")),
    (POOL, needs("a", "b"), needs("b", "a")),
    (RELEASE, chart("75.3.1"), chart("75.3.4")),
    (APPLICATION, synced(chart="c", targetRevision="1.2.3"),
     synced(chart="c", targetRevision="1.2.4")),
    (APPLICATION, {"spec": {"info": [{"name": "a", "value": "b"}]}},
     {"spec": {"info": [{"name": "a", "value": "c"}]}}),
    (RULES, alert("rate(a[5m]) > 0.05"), alert("rate(a[5m]) > 0.03")),
    (RULES, alert("up < 1"), alert("up < 2")),
    (RULES, alert("up < 1"), alert("# all of them\nup < 1")),
    (RULES, alert("up < 1"), alert("up < 1", "5m")),
    (FUNCTION, logs("INFO"), logs("WARN")),
]  # fmt: skip

LOUD: list[Sides] = [
    (LIFECYCLE, kept(ages()), kept(ages(), broken(7, expiration={"days": 7}))),
    (LIFECYCLE, kept(ages()), kept(ages(), broken(1))),
    (LIFECYCLE, kept(ages()), kept(moved("DEEP_ARCHIVE"))),
    (LIFECYCLE, kept(ages()), kept(moved("ONEZONE_IA"))),
    (LIFECYCLE, kept(moved("STANDARD_IA")), kept(moved("GLACIER"))),
    (TABLE, columns("a"), columns("b", "a")),
    (TABLE, columns("a", "b"), columns("a", "c")),
    (TABLE, columns("a", "b"), columns("a")),
    (TABLE, columns("a"), columns("a", "b", parameters={"x": "y"})),
    (MACHINE, fails(), fails(Error="States.Timeout")),
    (MACHINE, fails(Type="Pass", Result={"Cause": "a"}), fails(Type="Pass", Result={"Cause": "b"})),
    (RULE, every("rate(1 day)"), every("rate(1 hour)")),
    (RULE, every("rate(1 day)"), every("rate(7 days)")),
    (DEPLOYMENT, note("k8s.io/owner", "a"), note("k8s.io/owner", "b")),
    (DEPLOYMENT, note("iam.example.com/role", "a"), note("iam.example.com/role", "b")),
    (DEPLOYMENT, note("alb.ingress.kubernetes.io/scheme", "internal"),
     note("alb.ingress.kubernetes.io/scheme", "internet-facing")),
    (POLICY, out(protocol="UDP"), out()),
    (SERVICE, {"spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}},
     {"spec": {"ports": [{"port": 80}]}}),
    (DEPLOYMENT, {"spec": {"replicas": 1, **pod()["spec"]}}, pod()),
    (SERVICE, {"spec": {"type": "LoadBalancer"}}, {"spec": {"type": "ClusterIP"}}),
    (DEPLOYMENT, {"spec": {"template": {"spec": {"automountServiceAccountToken": False}}}},
     {"spec": {"template": {"spec": {}}}}),
    (CONFIG, file("a.ini", INI), file("a.ini", INI.replace("oidc", "none"))),
    (CONFIG, file("a.ini", INI), file("a.ini", INI.replace("[auth]\n", ""))),
    (CONFIG, file("a.ini", INI), file("a.ini", INI + "mode = none\n")),
    (CONFIG, file("a.ini", INI), file("a.ini", INI + " none\n")),
    (CONFIG, file("a.ini", INI), file("a.ini", INI + "[admin]\nopen = yes\n")),
    (CONFIG, file("n.conf", NGINX), file("n.conf", NGINX.replace("80", "81"))),
    (CONFIG, file("n.conf", NGINX), file("n.conf", NGINX.replace("  listen", "  # listen"))),
    (CONFIG, file("f.conf", "[INPUT]\n  Name a\n"), file("f.conf", "[INPUT]\nName a\n")),
    (POOL, limits(cpu="200"), limits(cpu="400")),
    (POOL, limits(gpu="8"), limits(gpu="10")),
    (POOL, limits(cpu="200"), {"spec": {}}),
    (POOL, needs("a", "b"), needs("a")),
    (RELEASE, chart("75.3.1"), chart("75.4.0")),
    (RELEASE, chart("75.3.4"), chart("75.3.1")),
    (RELEASE, chart("75.3.1"), chart("75.3.2-rc.1")),
    (RELEASE, chart("75.3.1"), chart("75.3")),
    (APPLICATION, synced(targetRevision="1.2.3"), synced(targetRevision="1.2.4")),
    (APPLICATION, synced(chart="c", targetRevision="1.2.3"),
     synced(chart="c", targetRevision="1.3.0")),
    (RULES, alert("rate(a[5m]) > 0.05"), alert("rate(a[5m]) > 0.5")),
    (RULES, alert("rate(a[5m]) > 0.05"), alert("rate(a[5m]) < 0.03")),
    (RULES, alert("rate(a[5m]) > 0.05"), alert("rate(b[5m]) > 0.03")),
    (RULES, alert("a unless b > 5"), alert("a unless b > 3")),
    (RULES, alert("absent(a > 5"), alert("absent(a > 3")),
    (RULES, alert("a > bool 5"), alert("a > bool 3")),
    (RULES, alert("up < 1"), alert("# up < 1\nvector(0)")),
    (RULES, record("a > 5"), record("a > 3")),
    (RULES, alert("up < 1", "5m"), alert("up < 1", "10m")),
    (FUNCTION, logs("INFO"), logs("FATAL")),
    (FUNCTION, logs("INFO"), logs("DEBUG")),
    (RELEASE, {"values": {"audit": {"logLevel": "info"}}},
     {"values": {"audit": {"logLevel": "error"}}}),
]  # fmt: skip


@pytest.mark.parametrize(("token", "old", "new"), QUIET, ids=lambda side: str(side)[:60])
def test_a_daily_change_is_quiet(
    token: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> None:
    assert risk(token, old, new) == "low"


@pytest.mark.parametrize(("token", "old", "new"), LOUD, ids=lambda side: str(side)[:60])
def test_its_dangerous_neighbour_asks_for_a_person(
    token: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> None:
    assert risk(token, old, new) != "low"
