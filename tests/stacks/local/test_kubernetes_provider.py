"""`kubernetes:*` resources against a real API server, through the life of a resource."""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

import pytest

from infra.errors import UserError
from stacks.local.kubernetes import stand_ins
from stacks.local.kubernetes.client import Client
from stacks.local.kubernetes.login import kubeconfig
from stacks.local.provider.backend import UNKNOWN, Properties
from stacks.local.provider.kubernetes.backend import VERSION, KubernetesBackend
from stacks.local.provider.kubernetes.diff import difference
from tests.kits.fake_backend import connected, plain
from tests.kits.kubernetes import Kubernetes, control_plane, control_plane_binaries, until
from tests.kits.provider import subject

__all__ = ["control_plane", "control_plane_binaries"]

MAP = subject("kubernetes:core/v1:ConfigMap")
JOB = subject("kubernetes:batch/v1:Job")
SECRET = subject("kubernetes:core/v1:Secret")
CLASS = subject("kubernetes:scheduling.k8s.io/v1:PriorityClass")
RELEASE = subject("kubernetes:helm.sh/v3:Release")
QUEUE = subject("kubernetes:kueue.x-k8s.io/v1beta1:ClusterQueue")


@dataclass(frozen=True)
class OneServer:
    """The clusters of a cloud that has this control plane, or none."""

    running: Kubernetes | None

    def endpoints(self) -> list[str]:
        return [self.running.plane.url] if self.running else ["https://recorded"]

    def client(self, user: Mapping[str, Any], keys: object = None) -> Client | None:
        return self.running.client if self.running else None

    def whom(self, user: Mapping[str, Any], keys: object = None) -> str:
        return "whoever has the token"

    def recorded_only(self) -> bool:
        return self.running is None


@pytest.fixture(scope="module")
def backend(control_plane: Kubernetes) -> KubernetesBackend:
    return KubernetesBackend(OneServer(control_plane))


@pytest.fixture
def recorded() -> KubernetesBackend:
    return KubernetesBackend(OneServer(None))


def config_map(name: str, **data: Any) -> Properties:
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def job(name: str, image: str) -> Properties:
    pod = {"containers": [{"name": "main", "image": image}], "restartPolicy": "Never"}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"template": {"spec": pod}, "suspend": True},
    }


def queue(name: str) -> Properties:
    return {
        "apiVersion": "kueue.x-k8s.io/v1beta1",
        "kind": "ClusterQueue",
        "metadata": {"name": name},
        "spec": {"cohort": "all", "resourceGroups": [{"anything": 1}]},
    }


def refusals(backend: KubernetesBackend, of: Any, inputs: Properties) -> dict[str, str]:
    _, failures = backend.check(of, inputs, {}, b"")
    return {failure.property: failure.reason for failure in failures}


def test_an_object_lives_and_goes(backend: KubernetesBackend, control_plane: Kubernetes) -> None:
    old = config_map("life", a="1", b="2")
    made = backend.create(MAP, old)
    assert made.id == "default/life"
    assert made.outputs["metadata"]["uid"]
    found = backend.read(MAP, made.id, old)
    assert found is not None
    assert backend.diff(MAP, old, found.inputs).changes == ()
    new = config_map("life", a="1", c="3")
    assert {c.path for c in backend.diff(MAP, old, new).changes} == {"data.b", "data.c"}
    backend.update(MAP, made.id, old, new)
    live = control_plane.get("v1", "ConfigMap", "life", "default")
    assert live is not None and live["data"] == {"a": "1", "c": "3"}
    backend.delete(MAP, made.id, new)
    assert control_plane.get("v1", "ConfigMap", "life", "default") is None
    backend.delete(MAP, made.id, new)


def test_fields_of_others_stay_and_drift_of_ours_is_seen(
    backend: KubernetesBackend, control_plane: Kubernetes
) -> None:
    inputs = config_map("drift", a="1")
    made = backend.create(MAP, inputs)
    kind = control_plane.kind("v1", "ConfigMap")
    control_plane.client.patch(kind, "default", "drift", {"data": {"a": "9", "theirs": "x"}})
    found = backend.read(MAP, made.id, inputs)
    assert found is not None
    assert [c.path for c in backend.diff(MAP, found.inputs, inputs).changes] == ["data.a"]
    backend.update(MAP, made.id, found.inputs, inputs)
    live = control_plane.get("v1", "ConfigMap", "drift", "default")
    assert live is not None and live["data"] == {"a": "1", "theirs": "x"}
    backend.delete(MAP, made.id, inputs)


def test_another_spelling_of_a_quantity_is_no_drift(backend: KubernetesBackend) -> None:
    quota = subject("kubernetes:core/v1:ResourceQuota")
    metadata = {"name": "spelling", "namespace": "default"}
    hard = {"requests.cpu": "2000m", "requests.memory": "1024Mi"}
    inputs = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": metadata,
        "spec": {"hard": hard},
    }
    made = backend.create(quota, inputs)
    assert made.outputs["spec"]["hard"]["requests.cpu"] == "2"
    found = backend.read(quota, made.id, inputs)
    assert found is not None and found.inputs == inputs
    backend.delete(quota, made.id, inputs)


def test_an_import_says_what_a_program_would(backend: KubernetesBackend) -> None:
    inputs = config_map("imported", a="1")
    made = backend.create(MAP, inputs)
    found = backend.read(MAP, made.id, None)
    assert found is not None and found.inputs == inputs
    assert backend.read(MAP, "default/nobody", None) is None
    backend.delete(MAP, made.id, inputs)


def test_a_fixed_field_replaces_and_the_old_object_goes_first(backend: KubernetesBackend) -> None:
    old, new = job("train", "a:1"), job("train", "a:2")
    made = backend.create(JOB, old)
    with pytest.raises(UserError, match=r"Job default/train must be accepted.*immutable"):
        backend.update(JOB, made.id, old, new)
    found = backend.diff(JOB, old, new)
    assert found.replaces and found.delete_first
    assert backend.check(JOB, new, old, b"")[1] == []
    backend.delete(JOB, made.id, old)
    backend.create(JOB, new)
    resumed = {**new, "spec": {**new["spec"], "suspend": False}}
    assert not backend.diff(JOB, new, resumed).replaces
    backend.delete(JOB, made.id, new)


@pytest.mark.parametrize(
    ("old", "new", "replaces"),
    [
        ({"kind": "Pod", "spec": {"nodeName": "a"}}, {"spec": {"nodeName": "b"}}, True),
        (
            {"kind": "Pod", "spec": {"containers": [{"image": "a"}]}},
            {"spec": {"containers": [{"image": "b"}]}},
            False,
        ),
        ({"kind": "ConfigMap", "immutable": True, "data": {"a": "1"}}, {"data": {"a": "2"}}, True),
        ({"kind": "ConfigMap", "data": {"a": "1"}}, {"data": {"a": "2"}}, False),
        ({"kind": "ConfigMap", "metadata": {"name": "a"}}, {"metadata": {"name": "b"}}, True),
        (
            {"kind": "ConfigMap", "metadata": {"labels": {"a/b": "1"}}},
            {"metadata": {"labels": {"a/b": "2"}}},
            False,
        ),
    ],
)
def test_what_the_server_would_refuse_replaces(
    old: Properties, new: Properties, replaces: bool
) -> None:
    before = {"apiVersion": "v1", **old}
    assert difference(MAP, before, {**before, **new}).replaces is replaces


def test_admission_speaks_in_a_preview(
    backend: KubernetesBackend, control_plane: Kubernetes
) -> None:
    assert "not declared" in refusals(backend, MAP, {**config_map("x"), "dta": {}})["dta"]
    wrong = {**config_map("x"), "metadata": {"name": "No Name", "namespace": "default"}}
    assert "lowercase" in refusals(backend, MAP, wrong)["metadata.name"]
    system = {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": "system-mine"},
        "value": 1,
    }
    assert "system-" in refusals(backend, CLASS, system)["metadata.name"]
    elsewhere = {**config_map("x"), "metadata": {"name": "x", "namespace": "yet-to-come"}}
    assert refusals(backend, MAP, elsewhere) == {}
    assert control_plane.get("v1", "ConfigMap", "x", "default") is None


def test_an_object_without_a_namespace_gets_the_providers(backend: KubernetesBackend) -> None:
    inputs = {**config_map("x"), "metadata": {"name": "x"}}
    checked, _ = backend.check(MAP, inputs, {}, b"")
    assert checked["metadata"]["namespace"] == "default"
    in_team = replace(MAP, settings={"namespace": "team"})
    checked, _ = backend.check(in_team, inputs, {}, b"")
    assert checked["metadata"]["namespace"] == "team"


def test_a_name_is_never_made_up(backend: KubernetesBackend) -> None:
    nameless = {**config_map("x"), "metadata": {"generateName": "x-"}}
    assert "never made up" in refusals(backend, MAP, nameless)["metadata.name"]
    assert "never made up" in refusals(backend, RELEASE, {"chart": "a"})["name"]


def test_what_is_no_object_is_refused(backend: KubernetesBackend) -> None:
    patch = subject("kubernetes:core/v1:ConfigMapPatch")
    assert "not served" in refusals(backend, patch, config_map("x"))[""]
    chart = subject("kubernetes:helm.sh/v4:Chart")
    assert "no single object" in refusals(backend, chart, {"chart": "x"})[""]
    with pytest.raises(UserError, match="helm:template is not served"):
        backend.invoke("kubernetes:helm:template", {})


def test_an_unknown_value_is_not_asked_about(backend: KubernetesBackend) -> None:
    unknown = {**config_map("x", a=UNKNOWN), "dta": {}}
    assert refusals(backend, MAP, unknown) == {}
    planned = backend.plan(MAP, unknown, None)
    assert planned["metadata"]["uid"] == planned["data"]["a"] == UNKNOWN


def test_a_secret_is_kept_and_never_told(
    backend: KubernetesBackend, control_plane: Kubernetes, caplog: pytest.LogCaptureFixture
) -> None:
    metadata = {"name": "token", "namespace": "default"}
    old = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "stringData": {"a": "hunter2", "b": "c"},
    }
    made = backend.create(SECRET, old)
    new = {**old, "stringData": {"a": "hunter2"}}
    backend.update(SECRET, made.id, old, new)
    live = control_plane.get("v1", "Secret", "token", "default")
    assert live is not None
    assert live["data"] == {"a": base64.b64encode(b"hunter2").decode()}
    named = {**new, "metadata": {**metadata, "name": "hunter2!"}}
    with pytest.raises(UserError) as caught:
        backend.create(SECRET, named)
    told = str(caught.value) + str(refusals(backend, SECRET, named)) + caplog.text
    assert "hunter2" not in told.replace("default/hunter2!", "").replace('"hunter2!"', "")
    backend.delete(SECRET, made.id, new)


def test_a_finalizer_is_waited_for_and_left_alone(
    backend: KubernetesBackend, control_plane: Kubernetes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stacks.local.provider.kubernetes.backend.DELETE_SECONDS", 0.3)
    inputs = config_map("held")
    inputs["metadata"]["finalizers"] = ["example.com/busy"]
    made = backend.create(MAP, inputs)
    with pytest.raises(UserError, match=r"still there \(.*example.com/busy"):
        backend.delete(MAP, made.id, inputs)
    kind = control_plane.kind("v1", "ConfigMap")
    control_plane.client.patch(kind, "default", "held", {"metadata": {"finalizers": None}})
    backend.delete(MAP, made.id, inputs)
    assert control_plane.get("v1", "ConfigMap", "held", "default") is None


def test_a_kind_without_an_operator_is_kept_by_a_stand_in_and_listed(
    backend: KubernetesBackend, control_plane: Kubernetes
) -> None:
    made = backend.create(QUEUE, queue("gpus"))
    assert made.outputs["spec"]["resourceGroups"] == [{"anything": 1}]
    assert backend.read(QUEUE, made.id, queue("gpus")) is not None
    listed = stand_ins.listed(control_plane.client)
    assert listed["kueue.x-k8s.io/v1beta1 ClusterQueue"] == ["gpus"]
    backend.delete(QUEUE, made.id, queue("gpus"))
    assert stand_ins.listed(control_plane.client)["kueue.x-k8s.io/v1beta1 ClusterQueue"] == []


def test_a_real_definition_takes_the_place_of_a_stand_in(
    backend: KubernetesBackend, control_plane: Kubernetes
) -> None:
    flock = subject("kubernetes:example.com/v1:Flock")
    metadata = {"name": "geese", "namespace": "default"}
    geese = {"apiVersion": "example.com/v1", "kind": "Flock", "metadata": metadata}
    backend.create(flock, {**geese, "spec": {"size": "many"}})
    assert "example.com/v1 Flock" in stand_ins.listed(control_plane.client)
    spec = {"type": "object", "properties": {"size": {"type": "integer"}}}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "flocks.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"kind": "Flock", "plural": "flocks"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }
    real = subject("kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition")
    made = backend.create(real, definition)
    assert "example.com/v1 Flock" not in stand_ins.listed(control_plane.client)
    bad = {**geese, "spec": {"size": "many"}}
    until(lambda: "spec.size" in refusals(backend, flock, bad))
    backend.delete(real, made.id, definition)
    until(lambda: control_plane.client.kind("example.com/v1", "Flock") is None)


def test_a_helm_release_is_recorded_with_its_values(
    backend: KubernetesBackend, control_plane: Kubernetes
) -> None:
    old = {
        "name": "kueue",
        "namespace": "kueue-system",
        "createNamespace": True,
        "chart": "kueue",
        "version": "0.13.2",
        "values": {"replicas": 2},
    }
    made = backend.create(RELEASE, old)
    assert made.id == "kueue-system/kueue"
    assert made.outputs["status"]["status"] == "recorded"
    listed = stand_ins.listed(control_plane.client)
    assert listed["recorded.plinth.local/v1 HelmRelease"] == [made.id]
    new = {**old, "version": "0.13.3"}
    assert not backend.diff(RELEASE, old, new).replaces
    backend.update(RELEASE, made.id, old, new)
    live = control_plane.get("recorded.plinth.local/v1", "HelmRelease", "kueue", "kueue-system")
    assert live is not None and live["spec"]["version"] == "0.13.3"
    assert backend.diff(RELEASE, old, {**old, "name": "other"}).replaces
    backend.delete(RELEASE, made.id, new)
    assert backend.read(RELEASE, made.id, new) is None


def test_only_a_server_of_this_environment_is_spoken_to(
    backend: KubernetesBackend, control_plane: Kubernetes
) -> None:
    plane = control_plane.plane
    user = {"token": plane.token}
    ours = kubeconfig(plane.url, plane.folder / "ca.crt", user, "ours")
    other = kubeconfig("https://example.com", plane.folder / "ca.crt", user, "ours")
    yaml = f"clusters:\n- name: a\n  cluster:\n    server: {plane.url}\n"
    for accepted in (ours, json.dumps(ours), yaml, UNKNOWN):
        assert backend.check_settings({"kubeconfig": accepted}) == []
    for refused in (other, "~/.kube/config", None):
        [failure] = backend.check_settings({"kubeconfig": refused})
        assert "must name the server of an EKS cluster" in failure.reason
    assert backend.replaced_settings({"kubeconfig": ours}, {"kubeconfig": yaml}) == []
    assert backend.replaced_settings({"kubeconfig": ours}, {"kubeconfig": other}) == ["kubeconfig"]
    [failure] = backend.check_settings({"kubeconfig": ours, "renderYamlToDirectory": "x"})
    assert failure.property == "renderYamlToDirectory"


def test_a_create_whose_answer_was_lost_is_adopted(
    backend: KubernetesBackend, control_plane: Kubernetes
) -> None:
    urn = "urn:pulumi:test::plinth::kubernetes:core/v1:ConfigMap::lost"
    with connected(backend) as (engine, _):
        first = engine.create(config_map("lost", a="1"), urn=urn)
        again = engine.create(config_map("lost", a="2"), urn=urn)
        uids = {plain(made.properties)["metadata"]["uid"] for made in (first, again)}
        assert len(uids) == 1
        assert plain(again.properties)["data"] == {"a": "2"}
        engine.delete(again.id, config_map("lost", a="2"), urn=urn)
    assert control_plane.get("v1", "ConfigMap", "lost", "default") is None


@pytest.fixture(autouse=True)
def nothing_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that fails half-way must not make the next one fail too."""
    yield
    if "control_plane" in request.fixturenames:
        running: Kubernetes = request.getfixturevalue("control_plane")
        for item in running.list("v1", "ConfigMap", "default"):
            if item["metadata"]["name"] != "kube-root-ca.crt":
                running.delete("v1", "ConfigMap", item["metadata"]["name"], "default")


# -- without a control plane -------------------------------------------------------------------


def test_without_a_control_plane_objects_are_checked_and_recorded(
    recorded: KubernetesBackend,
) -> None:
    wrong = {**config_map("x"), "dta": {}}
    assert "'dta' was unexpected" in refusals(recorded, MAP, wrong)[""]
    broken = job("x", "a:1")
    broken["spec"]["parallelism"] = "many"
    assert "'many' is not of type" in refusals(recorded, JOB, broken)["spec.parallelism"]
    assert refusals(recorded, QUEUE, queue("x")) == {}
    inputs = config_map("x", a="1")
    made = recorded.create(MAP, inputs)
    assert recorded.read(MAP, made.id, inputs) is not None
    recorded.update(MAP, made.id, inputs, config_map("x", a="2"))
    found = recorded.read(MAP, made.id, None)
    assert found is not None and found.inputs["data"] == {"a": "2"}
    recorded.delete(MAP, made.id, inputs)
    assert recorded.read(MAP, made.id, inputs) is None


def test_the_provider_is_as_new_as_the_sdk() -> None:
    assert version("pulumi-kubernetes") == VERSION
