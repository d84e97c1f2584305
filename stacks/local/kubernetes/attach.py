"""Creating the EKS cluster starts a control plane; its node groups are nodes of it.

Level-triggered: a round looks at what moto's EKS holds and leads the control plane there, every
second and as soon as EKS changed. A machine without the programs of a control plane keeps what moto
says: a cluster that is recorded only.
"""

import base64
import contextlib
import functools
import json
import logging
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx2 as httpx

from infra.errors import UserError
from stacks.local.kubernetes import control_plane, nodes
from stacks.local.kubernetes.access import Access
from stacks.local.kubernetes.client import ApiError, Client
from stacks.local.kubernetes.control_plane import ControlPlane
from stacks.local.kubernetes.login import Login, Place, kubeconfig, login, user_of
from stacks.local.runtime.files import write_json
from stacks.local.runtime.processes import Children
from stacks.toolchain.control_plane import Kubernetes

ROUND_SECONDS = 1.0
LOOK_SECONDS = 5.0
"""How long nodes that nobody of ours changed go unseen."""

CHANGES = (
    "create_cluster",
    "delete_cluster",
    "create_nodegroup",
    "delete_nodegroup",
    "update_nodegroup_config",
)
"""Operations of moto's EKS after which a round is due."""

EFA_INTERFACES = ("efa", "efa-only")

log = logging.getLogger(__name__)


@dataclass
class Attached:
    """The cluster that has a control plane."""

    cluster: Any
    """moto's model of it: another one of the same name is another cluster."""

    plane: ControlPlane
    client: Client
    """Of the local cloud itself, which plays kubelets and operators."""

    logged_in: dict[str, tuple[Login, Client]] = field(default_factory=dict)
    """Clients of those who have a kubeconfig, by its user."""


@dataclass
class Attachment:
    """What connects moto's EKS with one control plane: the first cluster gets it."""

    home: Path
    children: Children
    programs: Kubernetes | None
    account_id: str
    region: str
    endpoint: str
    """URL of the AWS API."""

    keys: Mapping[str, str]
    """Variables with the keys of whoever deploys: the owner of the home."""

    access: Callable[[str], Access]
    """Name of a cluster -> whom its API server lets in."""

    join_failure: Callable[[Any, Any], str] = field(default=lambda _cluster, _group: "")
    """moto's cluster and node group -> why its instances cannot join; empty: they do."""

    attached: Attached | None = None
    _wake: threading.Event = field(default_factory=threading.Event)
    _matched: list[nodes.Group] | None = None
    _due: float = 0.0

    def install(self) -> None:
        """Hear of changes in moto's EKS, and hold a new cluster back until its server answers."""
        from moto.eks.models import EKSBackend

        for name in CHANGES:
            setattr(EKSBackend, name, self._heard(getattr(EKSBackend, name)))

    def _heard(self, operation: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(operation)
        def heard(backend: Any, *args: Any, **kwargs: Any) -> Any:
            answer = operation(backend, *args, **kwargs)
            if operation.__name__ == "create_cluster" and self._next() is answer:
                answer.status = "CREATING"
            if operation.__name__ == "create_nodegroup" and self._owns(answer):
                answer.status = "CREATING"
            self._wake.set()
            return answer

        return heard

    def run(self, stop: threading.Event) -> None:
        """Rounds until the cloud stops; one that fails is reported and tried again."""
        while not stop.is_set():
            self._wake.wait(ROUND_SECONDS)
            self._wake.clear()
            if stop.is_set():
                return
            self.look()

    def look(self) -> None:
        """A round; what goes wrong in it is reported."""
        try:
            self.round()
        except (ApiError, httpx.HTTPError, OSError, UserError) as error:
            log.warning("kubernetes: %s", error)
        except Exception:
            log.exception("kubernetes: a round failed")  # a fault of ours must not be the last

    # -- what the provider asks ----------------------------------------------------------------

    def endpoints(self) -> list[str]:
        """URLs of all clusters, whether or not a server answers there."""
        return [cluster.endpoint for cluster in self._clusters()]

    def client(
        self, user: Mapping[str, Any], keys: Mapping[str, str] | None = None
    ) -> Client | None:
        """Client of the cluster that has a control plane, logged in as a kubeconfig's user.

        `keys`: variables of the session with which it logs in. Default: the keys of the home.
        """
        found = self._logged_in(user, keys)
        return found[1] if found else None

    def whom(self, user: Mapping[str, Any], keys: Mapping[str, str] | None = None) -> str:
        """ARN of the principal as which a kubeconfig's user logs in."""
        found = self._logged_in(user, keys)
        return found[0].whom() if found else ""

    def _logged_in(
        self, user: Mapping[str, Any], keys: Mapping[str, str] | None
    ) -> tuple[Login, Client] | None:
        attached, key = self.attached, json.dumps([user, keys], sort_keys=True)
        if attached is None:
            return None
        if key not in attached.logged_in:
            place = Place(endpoint=self.endpoint, region=self.region, keys=keys or self.keys)
            made = login(user, place)
            client = Client(attached.plane.url, attached.plane.ca, made.token)
            attached.logged_in.setdefault(key, (made, client))
        return attached.logged_in[key]

    def config_map(self, namespace: str, name: str) -> Mapping[str, str]:
        """The data of a ConfigMap; empty where there is none, or no server yet."""
        attached = self.attached
        if attached is None:
            return {}
        try:
            path = f"/api/v1/namespaces/{namespace}/configmaps/{name}"
            found: Mapping[str, str] = attached.client.request("GET", path).get("data") or {}
        except ApiError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return {}
        return found

    def recorded_only(self) -> bool:
        """Whether this machine has no programs of a control plane."""
        return self.programs is None

    # -- what happens by itself ----------------------------------------------------------------

    def round(self) -> None:
        """One look: end what has no cluster, start what has no control plane, match the nodes."""
        if self.attached and self.attached.cluster not in self._clusters():
            self._detach()
        waiting = self._next()
        if waiting is not None:
            self._attach(waiting)
        if self.attached:
            self.attached.plane.revive()
            self._match_nodes(self.attached)

    def _match_nodes(self, attached: Attached) -> None:
        """Lead the nodes to the groups: when a group changed, and from time to time."""
        held = _copy(attached.cluster.nodegroups)
        groups = [group for group in map(self._checked, held) if group]
        if groups == self._matched and time.monotonic() < self._due:
            return
        nodes.reconcile(attached.client, groups)
        self._matched, self._due = groups, time.monotonic() + LOOK_SECONDS
        for group in held:
            if group.status == "CREATING":
                group.status = "ACTIVE"

    def _checked(self, group: Any) -> nodes.Group | None:
        """The group; where its nodes cannot be made any more, as it was, and the reason with it."""
        assert self.attached is not None
        code = "AsgInstanceLaunchFailures"
        try:
            found = self._group(group)
            nodes.manifests(found)
            code = "NodeCreationFailure"
            if found.count and (why := self.join_failure(self.attached.cluster, group)):
                raise UserError(f"Instances failed to join the kubernetes cluster: {why}")
        except UserError as error:
            issue = {"code": code, "message": error.problem}
            new = group.status in ("CREATING", "CREATE_FAILED")
            group.status = "CREATE_FAILED" if new else "DEGRADED"
            group.health = {"issues": [issue]}
            before = (g for g in self._matched or () if g.name == group.nodegroup_name)
            return next(before, None)
        if group.status == "DEGRADED":
            group.status, group.health = "ACTIVE", {"issues": []}
        return found

    def _owns(self, group: Any) -> bool:
        return bool(self.attached and self.attached.cluster.name == group.cluster_name)

    def _clusters(self) -> list[Any]:
        from moto.backends import get_backend

        return _copy(get_backend("eks")[self.account_id][self.region].clusters)

    def _next(self) -> Any:
        """The cluster that the control plane is for, while it has none."""
        if self.attached or self.programs is None:
            return None
        alive = [cluster for cluster in self._clusters() if cluster.status != "FAILED"]
        return alive[0] if alive else None

    def _attach(self, cluster: Any) -> None:
        assert self.programs is not None
        folder = self.home / "local" / "kubernetes"
        try:
            access = self.access(cluster.name)
            plane = control_plane.start(
                folder,
                self.children,
                self.programs,
                access,
                owner=_identity(cluster),
                issuer=cluster.identity["oidc"]["issuer"],
            )
        except UserError as error:
            log.error("cluster %s: %s", cluster.name, error.problem)
            issue = {"code": "Other", "message": error.problem}
            cluster.status, cluster.health = "FAILED", {"issues": [issue]}
            return
        cluster.endpoint = plane.url
        cluster.certificate_authority = {"data": base64.b64encode(plane.ca.encode()).decode()}
        client = Client(plane.url, plane.ca, plane.token)
        user = user_of(cluster.name, self.region)
        config = kubeconfig(plane.url, folder / "ca.crt", user, cluster.name)
        write_json(folder / "kubeconfig", config)
        self._matched = None
        self.attached = Attached(cluster=cluster, plane=plane, client=client)
        cluster.status = "ACTIVE"
        log.info("cluster %s has a control plane at %s", cluster.name, plane.url)

    def _detach(self) -> None:
        assert self.attached is not None
        attached, self.attached = self.attached, None
        for client in (attached.client, *(made for _, made in attached.logged_in.values())):
            client.close()
        attached.plane.stop()
        shutil.rmtree(attached.plane.folder, ignore_errors=True)
        log.info("cluster %s is gone, and its control plane with it", attached.cluster.name)

    def _group(self, group: Any) -> nodes.Group:
        """moto's node group as far as its nodes show it."""
        template = self._launch_template(group.launch_template)
        interfaces = template.get("NetworkInterfaces") or []
        disks = template.get("BlockDeviceMappings") or []
        sizes = [int(disk["Ebs"]["VolumeSize"]) for disk in disks if "Ebs" in disk]
        return nodes.Group(
            name=group.nodegroup_name,
            count=_desired(group.scaling_config),
            instance_type=template.get("InstanceType") or group.instance_types[0],
            zones=tuple(self._zone(subnet) for subnet in group.subnets),
            labels=group.labels,
            taints=tuple(group.taints),
            capacity_type=group.capacity_type,
            ami_type=group.ami_type,
            efa_interfaces=sum(i.get("InterfaceType") in EFA_INTERFACES for i in interfaces),
            disk_gib=max(sizes, default=int(group.disk_size)),
        )

    def _launch_template(self, chosen: dict[str, str] | None) -> dict[str, Any]:
        """Data of the launch template's version; empty where the group has none."""
        from werkzeug.exceptions import HTTPException  # what moto's errors are

        if not chosen or "id" not in chosen:
            return {}
        try:
            found = self._ec2().describe_launch_templates(template_ids=[chosen["id"]])[0]
            data: dict[str, Any] = found.get_version(chosen.get("version") or "$Default").data
        except (HTTPException, IndexError) as error:
            raise UserError(f"launch template {chosen['id']} must exist, got {error}") from None
        return data

    def _zone(self, subnet_id: str) -> str:
        from moto.ec2.exceptions import InvalidSubnetIdError

        with contextlib.suppress(InvalidSubnetIdError):
            zone: str = self._ec2().get_subnet(subnet_id).availability_zone
            return zone
        return f"{self.region}a"  # moto lets a group name subnets that do not exist

    def _ec2(self) -> Any:
        from moto.backends import get_backend

        return get_backend("ec2")[self.account_id][self.region]


def _identity(cluster: Any) -> str:
    """Tells a cluster from another one of the same name."""
    return f"{cluster.arn} {cluster.created_at.isoformat()}"


def _desired(scaling: Mapping[str, int]) -> int:
    return int(scaling.get("desiredSize", scaling.get("minSize", 1)))


def _copy(held: dict[str, Any]) -> list[Any]:
    """The values of a dictionary that other threads change, in the order of their creation."""
    return list(held.copy().values())
