"""What no pod of a user may do, decided by the API server itself when the pod is created.

ValidatingAdmissionPolicies run inside the API server: there is no webhook that can be down.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from infra.component import Component, ComponentArgs
from infra.naming import GPU_RESOURCE, TEAM_LABEL

PRIORITIES_ANNOTATION = "plinth.dev/priority-classes"
"""Where a namespace says which priority classes its GPU pods may have."""

POD = "'pod ' + object.metadata.?name.orValue(object.metadata.?generateName.orValue(''))"


@dataclass(frozen=True, kw_only=True)
class Check:
    """One condition in CEL, and the sentence for those who break it."""

    expression: str
    message: str
    """A CEL expression that gives the message."""


@dataclass(frozen=True, kw_only=True)
class Guardrail:
    """Checks on pods, and where they hold."""

    checks: Sequence[Check]

    teams_only: bool = False
    """Only in namespaces of teams. Default: wherever users are, that is, outside the system."""


VARIABLES = {
    "containers": "object.spec.containers + object.spec.?initContainers.orValue([])",
    "resources": "variables.containers.map(c, c.?resources.?limits.orValue({}))",
    "asksForGpu": f"variables.resources.exists(r, '{GPU_RESOURCE}' in r && "
    f"quantity(string(r['{GPU_RESOURCE}'])).isGreaterThan(quantity('0')))",
    "toleratesGpu": "object.spec.?tolerations.orValue([]).exists(t, "
    f"t.?key.orValue('') in ['', '{GPU_RESOURCE}'])",
    "team": f"namespaceObject.metadata.?labels[?'{TEAM_LABEL}'].orValue('')",
    "priorityClass": "object.spec.?priorityClassName.orValue('')",
    "priorityClasses": "namespaceObject.metadata.?annotations"
    f"[?'{PRIORITIES_ANNOTATION}'].orValue('').split(',')",
    "images": "variables.containers.map(c, c.image) + "
    "object.spec.?ephemeralContainers.orValue([]).map(c, c.image)",
}
"""What the checks talk about, computed once per pod (Kubernetes, Validating Admission Policy)."""

GPUS = Guardrail(
    checks=(
        Check(
            expression="variables.asksForGpu || !variables.toleratesGpu",
            message=f"{POD} + ' must ask for {GPU_RESOURCE} or not tolerate its taint: it would "
            "hold a GPU node without using a GPU'",
        ),
        Check(
            expression="variables.resources.all(r, r.all(name, !name.startsWith('nvidia.com/') "
            f"|| name == '{GPU_RESOURCE}'))",
            message=f"{POD} + ' must ask for whole GPUs as {GPU_RESOURCE}: no quota counts '"
            " + variables.resources.map(r, r.filter(name, name.startsWith('nvidia.com/') && "
            f"name != '{GPU_RESOURCE}')).filter(names, names.size() > 0)[0].join(', ')",
        ),
        Check(
            expression="!variables.asksForGpu || variables.team != ''",
            message=f"{POD} + ' asks for GPUs: it must be in the namespace of a team'",
        ),
        Check(
            expression="!variables.asksForGpu || variables.team == '' || "
            f"object.metadata.?labels[?'{TEAM_LABEL}'].orValue('') == variables.team",
            message=f"{POD} + ' asks for GPUs: it must have the label {TEAM_LABEL}=' + "
            "variables.team",
        ),
        Check(
            expression="!variables.asksForGpu || variables.team == '' || "
            "variables.priorityClass in variables.priorityClasses",
            message=f"{POD} + ' asks for GPUs: priorityClassName must be one of ' + "
            "variables.priorityClasses.join(', ') + ', got ' + "
            "(variables.priorityClass == '' ? 'none' : variables.priorityClass)",
        ),
    )
)

HOST = Guardrail(
    checks=(
        Check(
            expression="!object.spec.?hostNetwork.orValue(false) && "
            "!object.spec.?hostPID.orValue(false) && !object.spec.?hostIPC.orValue(false)",
            message=f"{POD} + ' must not use the network, processes or memory of its node'",
        ),
        Check(
            expression="object.spec.?volumes.orValue([]).all(v, !has(v.hostPath))",
            message=f"{POD} + ' must not mount a folder of its node (hostPath)'",
        ),
        Check(
            expression="variables.containers.all(c, "
            "!c.?securityContext.?privileged.orValue(false))",
            message=f"{POD} + ' must not be privileged'",
        ),
    )
)


def images(approved_registries: Sequence[str]) -> Guardrail:
    """Images come from approved registries, by digest: a tag can be moved to another image."""
    approved = f"{json.dumps(sorted(approved_registries))}.exists(r, i.startsWith(r + '/'))"
    by_digest = "i.matches('@sha256:[0-9a-f]{64}$')"
    bad = f"variables.images.filter(i, !({approved} && {by_digest}))"
    return Guardrail(
        checks=(
            Check(
                expression=f"{bad}.size() == 0",
                message=f"{POD} + ' must run images by digest from "
                f"{', '.join(sorted(approved_registries))}, got ' + {bad}.join(', ')",
            ),
        ),
        teams_only=True,
    )


@dataclass(frozen=True, kw_only=True)
class GuardrailsArgs(ComponentArgs):
    """Where the guardrails do not hold, and whose images are run."""

    system_namespaces: Sequence[str]
    """Namespaces of the cluster's own services, which need what users must not have."""

    approved_registries: Sequence[str]
    """Hosts, or hosts with a path, that images of teams come from."""


class Guardrails(Component):
    """Policies on every pod outside the system's namespaces; what breaks one is refused."""

    def __init__(
        self, name: str, args: GuardrailsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        guardrails: Mapping[str, Guardrail] = {
            "gpus": GPUS,
            "host": HOST,
            "images": images(args.approved_registries),
        }
        for topic, guardrail in guardrails.items():
            self._policy(topic, guardrail, args.system_namespaces)
        self.seal()

    def _policy(self, topic: str, guardrail: Guardrail, system_namespaces: Sequence[str]) -> None:
        policy_name = f"plinth-{topic}"
        policy = kubernetes.admissionregistration.v1.ValidatingAdmissionPolicy(
            f"{self.component_name}-{topic}",
            metadata={"name": policy_name},
            spec=policy_spec(guardrail),
            opts=self.child,
        )
        kubernetes.admissionregistration.v1.ValidatingAdmissionPolicyBinding(
            f"{self.component_name}-{topic}-binding",
            metadata={"name": policy_name},
            spec=binding_spec(policy_name, guardrail, system_namespaces),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )


def policy_spec(guardrail: Guardrail) -> Any:
    """What is checked, in the API's own words."""
    return {
        "failurePolicy": "Fail",
        "matchConstraints": {
            "resourceRules": [
                {
                    "apiGroups": [""],
                    "apiVersions": ["v1"],
                    # an image can be changed, and a toleration added, to a running pod
                    "operations": ["CREATE", "UPDATE"],
                    "resources": ["pods", "pods/ephemeralcontainers"],
                }
            ]
        },
        # a pod on its way out is let go, whatever it is
        "matchConditions": [
            {"name": "stays", "expression": "!has(object.metadata.deletionTimestamp)"}
        ],
        "variables": _used(guardrail),
        "validations": [
            {
                "expression": check.expression,
                "messageExpression": check.message,
                "reason": "Forbidden",
            }
            for check in guardrail.checks
        ],
    }


def binding_spec(policy_name: str, guardrail: Guardrail, system_namespaces: Sequence[str]) -> Any:
    """Where it is checked: not in the system's namespaces, whose name no label can forge."""
    users = {
        "key": "kubernetes.io/metadata.name",
        "operator": "NotIn",
        "values": sorted(system_namespaces),
    }
    teams = [{"key": TEAM_LABEL, "operator": "Exists"}] if guardrail.teams_only else []
    return {
        "policyName": policy_name,
        "validationActions": ["Deny"],
        "matchResources": {"namespaceSelector": {"matchExpressions": [users, *teams]}},
    }


def _used(guardrail: Guardrail) -> list[dict[str, str]]:
    """The variables that the checks need, and those that these need, in order."""
    text = " ".join(check.expression + check.message for check in guardrail.checks)
    needed: set[str] = set()
    for name, expression in reversed(VARIABLES.items()):
        if f"variables.{name}" in text:
            needed.add(name)
            text += expression
    return [
        {"name": name, "expression": expression}
        for name, expression in VARIABLES.items()
        if name in needed
    ]
