"""The Kubernetes side of the local provider: any kind, by server-side apply.

With a control plane every object is real, and admission is asked already in a preview. Without one
objects are checked against Kubernetes' schemas and recorded.
"""

import re
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from infra.errors import UserError
from stacks.local.kubernetes import stand_ins
from stacks.local.kubernetes.client import ApiError, Client, Kind, Object
from stacks.local.provider.backend import (
    SESSION_SETTING,
    UNKNOWN,
    Difference,
    Existing,
    Failure,
    Properties,
    Subject,
)
from stacks.local.provider.kubernetes import objects, validate
from stacks.local.provider.kubernetes.diff import difference
from stacks.local.provider.kubernetes.kubeconfig import server, user

VERSION = "4.34.2"
"""The release of pulumi_kubernetes whose resources this serves; a test compares."""

SETTINGS = frozenset(
    {
        "clusterIdentifier",  # tells clusters apart where a kubeconfig changes; here it cannot
        "deleteUnreachable",
        "enableConfigMapMutable",
        "enableSecretMutable",
        "enableServerSideApply",
        "kubeconfig",
        "namespace",
        "skipUpdateUnreachable",
        "suppressDeprecationWarnings",
        "suppressHelmHookWarnings",
        "version",
    }
)
"""Provider settings that are acted on, or that have no meaning here."""

DELETE_SECONDS = 300.0

CLOSED = (401, 403)
"""Answers to who is nobody, and to who may not."""

UNTYPED = re.compile(r": \.(?P<field>[\w.\[\]]+): ")
"""Where the server names the field that its schema lacks, or of another type."""

Place = tuple[str, str, str]
"""API version, kind, and `namespace/name`."""

ENTRY_SECONDS = 3
"""Until a server goes by a new access entry, also for a token that it has just turned away."""


class Servers(Protocol):
    """The EKS clusters of the local cloud as Kubernetes servers."""

    def endpoints(self) -> list[str]:
        """URLs of all clusters, whether or not a server answers there."""

    def client(
        self, user: Mapping[str, Any], keys: Mapping[str, str] | None = None
    ) -> Client | None:
        """Client of the one with a control plane, logged in as a kubeconfig's user; None while
        there is none. UserError where that is no way to log in to EKS."""

    def whom(self, user: Mapping[str, Any], keys: Mapping[str, str] | None = None) -> str:
        """ARN of the IAM principal that a kubeconfig's user is."""

    def recorded_only(self) -> bool:
        """Whether this machine has no programs of a control plane."""


class KubernetesBackend:
    """Kubernetes objects in the control plane of the local EKS cluster."""

    package = "kubernetes"
    version = VERSION

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._recorded: dict[Place, Object] = {}

    # -- what a program may say ----------------------------------------------------------------

    def check_settings(self, settings: Properties) -> list[Failure]:
        """Refuse a setting without effect, and any server that is not this environment's own."""
        failures = [
            Failure(property=name, reason=f"{name} has no effect in the local environment")
            for name in sorted(set(settings) - SETTINGS)
        ]
        given = settings.get("kubeconfig")
        if given == UNKNOWN:
            return failures
        named, known = server(given), self._servers.endpoints()
        if named not in known:
            reason = (
                f"kubeconfig must name the server of an EKS cluster of the local environment "
                f"({', '.join(known) or 'there is none yet'}), got {named or 'no server'}"
            )
            failures.append(Failure(property="kubeconfig", reason=reason))
            return failures
        try:
            self._servers.client(user(given))
        except UserError as error:
            failures.append(Failure(property="kubeconfig", reason=error.problem))
        return failures

    def replaced_settings(self, old: Properties, new: Properties) -> list[str]:
        """The kubeconfig, when it names another server."""
        before, after = old.get("kubeconfig"), new.get("kubeconfig")
        moved = UNKNOWN not in (before, after) and server(before) != server(after)
        return ["kubeconfig"] if moved else []

    def check(
        self, subject: Subject, new: Properties, old: Properties, seed: bytes
    ) -> tuple[Properties, list[Failure]]:
        """Fill in the namespace; ask the server, or the schemas, whether it would be accepted."""
        refused = _refusal(subject, new)
        if refused:
            return new, [refused]
        is_known = subject.settings.get("kubeconfig") != UNKNOWN
        inputs, client = dict(new), self._client(subject) if is_known else None
        item = objects.body(subject, inputs)
        kind = _offered(client, item) if client else None
        if kind and kind.namespaced and not item["metadata"].get("namespace"):
            chosen = {"namespace": subject.settings.get("namespace", "default")}
            inputs["metadata"] = {**inputs["metadata"], **chosen}
            item = objects.body(subject, inputs)
        if objects.has_unknown(item):
            return inputs, []
        replaces = bool(old) and self.diff(subject, old, inputs).replaces
        if client and kind and not replaces:
            return inputs, _asked(client, kind, item)
        return inputs, validate.failures(item)

    def names(self, subject: Subject) -> Collection[tuple[str, ...]]:
        """Namespace and name."""
        return (("metadata", "name"), ("metadata", "namespace"))

    def diff(self, subject: Subject, old: Properties, new: Properties) -> Difference:
        """Compare two sets of inputs."""
        return difference(subject, old, new)

    def plan(self, subject: Subject, new: Properties, old: Properties | None) -> Properties:
        """Inputs, what is there already, and unknown for what only the server can tell."""
        if subject.token == objects.RELEASE or "metadata" not in new:
            return {"status": UNKNOWN, **(old or {}), **new}
        known = (old or {}).get("metadata") or {"uid": UNKNOWN, "creationTimestamp": UNKNOWN}
        held = {"status": UNKNOWN} if old is None else {"status": old.get("status")}
        return {**held, **new, "metadata": {**known, **new["metadata"]}}

    # -- what is done about it -----------------------------------------------------------------

    def create(self, subject: Subject, inputs: Properties) -> Existing:
        """Apply it; what a failed attempt made is not left behind, since nothing was made."""
        return self._applied(subject, inputs)

    def read(self, subject: Subject, id: str, inputs: Properties | None) -> Existing | None:
        """Look it up; inputs are what a program would have to say to get it as it is."""
        api_version, kind_name = _kind_of(subject, inputs)
        client = self._client(subject)
        with self._told(subject, id):
            live = self._live(client, api_version, kind_name, id)
        if live is None:
            return None
        if inputs is None:
            held = objects.described(live)
        elif client is None or subject.token == objects.RELEASE:
            held = inputs
        else:
            item = objects.body(subject, inputs)
            with self._told(subject, id):
                held = self._drifted(client, item, inputs, live)
        return Existing(id=id, inputs=held, outputs=objects.outputs(subject, held, live))

    def update(self, subject: Subject, id: str, old: Properties, new: Properties) -> Existing:
        """Apply the new inputs; fields that are no longer among them are given up."""
        return self._applied(subject, new)

    def delete(self, subject: Subject, id: str, inputs: Properties) -> None:
        """Remove it and what it owns, and wait until it is gone; finalizers are left alone."""
        api_version, kind_name = _kind_of(subject, inputs)
        client = self._client(subject)
        if client is None:
            self._recorded.pop((api_version, kind_name, id), None)
            return
        with self._told(subject, id):
            self._delete(client, subject, id, api_version, kind_name)

    def invoke(self, token: str, arguments: Mapping[str, Any]) -> Properties:
        """No function of the provider is served."""
        raise UserError(
            f"{token} is not served in the local environment",
            fix="register the objects themselves, or a Helm release",
        )

    # -- inside --------------------------------------------------------------------------------

    def _client(self, subject: Subject) -> Client | None:
        """As whoever the provider resource logs in; None while there is no server."""
        return self._servers.client(*_who(subject))

    @contextmanager
    def _told(self, subject: Subject, what: str, item: Object | None = None) -> Iterator[None]:
        """What the server refuses, as a person can read it: who asked, and what would let them."""
        try:
            yield
        except ApiError as error:
            if error.status == 401:
                whom = self._servers.whom(*_who(subject))
                raise UserError(
                    f"{subject}: the cluster's API must let {whom} in, got 401 {error}",
                    fix=f"give {whom} an access entry with an access policy (plinth:cluster."
                    "admin_role_arns does), or deploy as a role that has one",
                ) from None
            raise UserError(
                f"{subject}: {what} must be accepted by the API server, got "
                f"{_without_secrets(str(error), item or {})}",
                fix="change what the message names",
            ) from None

    def _delete(
        self, client: Client, subject: Subject, id: str, api_version: str, kind_name: str
    ) -> None:
        kind = client.kind(api_version, kind_name)
        namespace, name = objects.located(id)
        live = client.get(kind, namespace, name) if kind else None
        if kind is None or live is None:
            return
        uid = live["metadata"]["uid"]
        # the garbage collector hears of a new kind only after half a minute
        propagation = "Background" if _is_custom(api_version) else "Foreground"
        client.delete(kind, namespace, name, uid=uid, propagation=propagation)
        left = client.wait_gone(kind, namespace, name, uid, DELETE_SECONDS)
        if left is not None:
            held = ", ".join(left["metadata"].get("finalizers") or ()) or "no finalizer"
            raise UserError(
                f"{subject}: {id} must be gone within {DELETE_SECONDS:.0f} s of its deletion, "
                f"got still there ({held})",
                fix="let the controller of the finalizer do its work, then repeat the command",
            )
        if kind.kind == stand_ins.DEFINITION.kind:
            client.forget_kinds(f"{live['spec']['group']}/{live['spec']['versions'][0]['name']}")

    def _applied(self, subject: Subject, inputs: Properties) -> Existing:
        item = objects.body(subject, inputs)
        id, client = objects.identity(item), self._client(subject)
        if client is None:
            live = self._record(subject, item, id)
        else:
            with self._told(subject, f"{item['kind']} {id}", item):
                try:
                    live = self._apply(client, subject, inputs, item)
                except ApiError as error:
                    if error.status != 401:
                        raise
                    time.sleep(ENTRY_SECONDS)
                    live = self._apply(client, subject, inputs, item)
        return Existing(id=id, inputs=inputs, outputs=objects.outputs(subject, inputs, live))

    def _apply(self, client: Client, subject: Subject, inputs: Properties, item: Object) -> Object:
        if subject.token == objects.RELEASE and inputs.get("createNamespace"):
            metadata = {"name": item["metadata"]["namespace"]}
            space = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
            kind = client.kind("v1", "Namespace")
            assert kind is not None
            client.apply(kind, space, manager="helm")
        kind = client.kind(item["apiVersion"], item["kind"]) or stand_ins.install(client, item)
        live = client.apply(kind, item)
        if kind.kind == stand_ins.DEFINITION.kind:
            spec = item["spec"]
            version = f"{spec['group']}/{spec['versions'][0]['name']}"
            client.forget_kinds(version)
            stand_ins.replaced(client, item["metadata"]["name"])
            stand_ins.established(client, item["metadata"]["name"], version, spec["names"]["kind"])
        return live

    def _record(self, subject: Subject, item: Object, id: str) -> Object:
        if not self._servers.recorded_only():
            raise UserError(
                f"{subject}: the EKS cluster must have a control plane, got none",
                fix="see why it did not start in .plinth/local/cloud.log",
            )
        self._recorded[item["apiVersion"], item["kind"], id] = item
        return item

    def _live(
        self, client: Client | None, api_version: str, kind_name: str, id: str
    ) -> Object | None:
        if client is None:
            return self._recorded.get((api_version, kind_name, id))
        kind = client.kind(api_version, kind_name)
        return client.get(kind, *objects.located(id)) if kind else None

    def _drifted(
        self, client: Client, item: Object, inputs: Properties, live: Object
    ) -> Properties:
        """The inputs, with what somebody else changed since."""
        kind = client.kind(item["apiVersion"], item["kind"])
        assert kind is not None, "it was just read"
        try:
            applied = client.apply(kind, item, dry_run=True)
        except ApiError:
            applied = {}  # what is there cannot be led back in place: all that differs is drift
        held: Properties = objects.drifted(inputs, applied, live)
        return held


def _who(subject: Subject) -> tuple[Mapping[str, Any], Mapping[str, str] | None]:
    """The kubeconfig's user, and the keys of the session that the engine deploys with."""
    return user(subject.settings.get("kubeconfig")), subject.settings.get(SESSION_SETTING)


def _refusal(subject: Subject, inputs: Properties) -> Failure | None:
    """What cannot be an object here, or has no name."""
    path = "name" if subject.token == objects.RELEASE else "metadata.name"
    if subject.token != objects.RELEASE and not (inputs.get("apiVersion") and inputs.get("kind")):
        reason = f"{subject.token} is no single object: register the objects themselves"
        return Failure(property="", reason=reason)
    if subject.token.endswith(f"{inputs.get('kind')}Patch"):
        reason = f"{subject.token} is not served in the local environment: register the object"
        return Failure(property="", reason=reason)
    metadata = inputs.get("metadata") or {}
    if not (inputs.get("name") if path == "name" else metadata.get("name")):
        reason = f"{path} must be given, got none: names are chosen, never made up"
        return Failure(property=path, reason=reason)
    return None


def _kind_of(subject: Subject, inputs: Properties | None) -> tuple[str, str]:
    """API version and kind, of the inputs, or of an import's token."""
    if subject.token == objects.RELEASE:
        return objects.RECORDED_API, "HelmRelease"
    if inputs and inputs.get("apiVersion"):
        return str(inputs["apiVersion"]), str(inputs["kind"])
    _, group, kind = subject.token.split(":", 2)
    return group.removeprefix("core/"), kind


def _is_custom(api_version: str) -> bool:
    """Whether the group is none of Kubernetes' own."""
    group = api_version.rpartition("/")[0]
    return "." in group and not group.endswith(".k8s.io")


def _offered(client: Client, item: Object) -> Kind | None:
    """The kind of an object; None where the server lacks it or lets the caller ask for nothing.

    Who has no access entry yet may get one in the same update.
    """
    try:
        return client.kind(item["apiVersion"], item["kind"])
    except ApiError as error:
        if error.status in CLOSED:
            return None
        raise


def _asked(client: Client, kind: Kind, item: Object) -> list[Failure]:
    """What the server says to a dry run; a namespace that is yet to come is no failure, and who
    may not ask hears it when the object is made, as from the official provider."""
    try:
        client.apply(kind, item, dry_run=True)
    except ApiError as error:
        if error.status == 404:
            return []
        if error.status in CLOSED:
            return validate.failures(item)
        untyped = UNTYPED.search(str(error))
        field = untyped["field"] if untyped else ""
        causes = error.causes or [{"field": field, "message": str(error)}]
        return [
            Failure(
                property=cause.get("field", "").replace("<nil>", ""),
                reason=_without_secrets(cause.get("message") or str(error), item),
            )
            for cause in causes
        ]
    return []


def _without_secrets(message: str, item: Object) -> str:
    for secret in objects.secrets_of(item):
        message = message.replace(secret, "[secret]") if secret else message
    return message
