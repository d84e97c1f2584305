"""Secrets in plain values, where everybody who may describe a resource reads them."""

from collections.abc import Iterator

from policies.data import Data, Resource
from policies.reading.pods import WORKLOADS, containers, pods
from policies.reading.secrets import decoded, secrets_in
from policies.rule import Fail, NotApplicable, Result, Scope, every, rule
from policies.theme import Theme

CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
PARAMETER = "aws:ssm/parameter:Parameter"
PLAIN = {
    "aws:batch/jobDefinition:JobDefinition": ("containerProperties", "eksProperties"),
    "aws:ecs/taskDefinition:TaskDefinition": ("containerDefinitions",),
    "aws:ec2/instance:Instance": ("userData", "userDataBase64"),
    "aws:ec2/launchTemplate:LaunchTemplate": ("userData",),
    "aws:sagemaker/codeRepository:CodeRepository": ("gitConfig",),
    "aws:sagemaker/dataQualityJobDefinition:DataQualityJobDefinition": (
        "dataQualityAppSpecification",
    ),
    "aws:sagemaker/hyperParameterTuningJob:HyperParameterTuningJob": (
        "trainingJobDefinition", "trainingJobDefinitions",
    ),
    "aws:sagemaker/notebookInstance:NotebookInstance": (
        "defaultCodeRepository", "additionalCodeRepositories",
    ),
    "aws:sagemaker/pipeline:Pipeline": ("pipelineDefinition",),
    "aws:sagemaker/trainingJob:TrainingJob": ("environment", "hyperParameters"),
    CONFIG_MAP: ("data",),
}  # fmt: skip
"""Type -> where its values stand that describing it shows (its Describe operation)."""


@rule(
    "PF-SEC-001",
    applies_to=(*PLAIN, PARAMETER, *WORKLOADS),
    severity="critical",
    mandatory="everywhere",
    fix="put the secret into Secrets Manager and give its ARN; in a pod take it by\n"
    "valueFrom.secretKeyRef",
    url="https://docs.aws.amazon.com/secretsmanager/latest/userguide/best-practices.html",
    themes=Theme.LEAST_PRIVILEGE,
)
def forbid_plain_secrets(resource: Resource, scope: Scope) -> Result:
    """No secret stands in plain where describing a resource shows it.

    By its name, or by what providers' keys look like; in JSON and in scripts as well. What is only
    the name of a secret, its ARN or its path, is none. A model and a function have rules of their
    own.
    """
    if resource.type == PARAMETER:
        return _parameter(resource.inputs)
    parts = list(_parts(resource))
    if not parts:
        return NotApplicable("has no values that describing it shows")
    return every(parts, _clean)


def _parts(resource: Resource) -> Iterator[Data]:
    if resource.type in PLAIN:
        for key in PLAIN[resource.type]:
            if key in resource.inputs.value:
                yield Data(resource.inputs.value[key], key)
        return
    for spec in pods(resource):
        for container in containers(spec):
            if container.keys() & {"env"}:
                yield Data(container.value["env"], f"{container.path}.env")


def _clean(part: Data) -> Result:
    whole = part.at()
    if isinstance(whole.value, str) and part.path.startswith("userData"):
        script = f"{decoded(whole.value)}\n"
        whole = Data([{"name": "a line", "value": script}], part.path)
    found = secrets_in(whole)
    return Fail(f"{part.path} must hold no secret, got {', '.join(found)}") if found else None


def _parameter(inputs: Data) -> Result:
    if inputs.get("type") == "SecureString":
        return None
    name = str(inputs.get("name") or "").rpartition("/")[2]
    value = Data({name.replace("-", "_"): inputs.value.get("value")}, "value")
    found = secrets_in(value)
    return Fail("type must be SecureString: the value is a secret") if found else None
