"""Notebook instances and what they run when they start."""

import re

from policies.data import Resource
from policies.reading.predicates import OWN_KEY, SET, Must, meets, one_of
from policies.reading.secrets import decoded
from policies.rule import Fail, NotApplicable, Result, Scope, every, rule
from policies.theme import Theme

NOTEBOOK = "aws:sagemaker/notebookInstance:NotebookInstance"
LIFECYCLE = (
    "aws:sagemaker/notebookInstanceLifecycleConfiguration:NotebookInstanceLifecycleConfiguration"
)
STUDIO_LIFECYCLE = "aws:sagemaker/studioLifecycleConfig:StudioLifecycleConfig"
SCRIPTS = ("onCreate", "onStart", "studioLifecycleConfigContent")

REPLACES = "this replaces the instance: save what is on its volume first"
"""CreateNotebookInstance decides these; UpdateNotebookInstance knows none of them."""

_AUTO_STOP = re.compile(r"auto-?stop|stop[-_]notebook[-_]instance", re.IGNORECASE)
_IDLE_SECONDS = re.compile(r"(?:--time|idle_time)[\s=]+[\"']?(\d+)", re.IGNORECASE)
_SECRETS = {
    "an access key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "a secret": re.compile(
        r"\b[a-z_]*(?:password|passwd|secret|token|api_?key|secret_access_key)[a-z_]*"
        r"\s*[=:]\s*[\"']?(?![\"'\s]|\$[\({\w])\S{6,}",
        re.IGNORECASE,
    ),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
}
_RUNS = r"(?:(?:ba|z|da)?sh|python[\d.]*|perl|ruby|node)"
_PIPED = re.compile(
    rf"\b(?:curl|wget)\b[^\n|;&]*\|\s*(?:sudo\s+(?:-\S+\s+)*)?{_RUNS}\b"
    rf"|(?:\b{_RUNS}|\beval|\bsource|(?:^|\s)\.)\s+(?:-c\s+)?[\"']?(?:<\(|\$\(|`)\s*(?:curl|wget)\b"
)
_FETCHED = re.compile(r"\b(?:curl|wget)\b[^\n|;&]*?\s(?:-o|-O|--output)\s*(\S+)")


@rule(
    "ML-NB-001",
    applies_to=NOTEBOOK,
    severity="high",
    fix=f"set direct_internet_access Disabled;\n{REPLACES}",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/appendix-notebook-and-internet-access.html",
    themes=Theme.NETWORK_ISOLATION,
)
def forbid_direct_internet(resource: Resource, scope: Scope) -> Result:
    """Notebook instances reach the internet only through the platform's own network, or not at all.

    AWS leaves the direct way open where a program says nothing.
    """
    del scope
    return meets(resource.inputs, {"directInternetAccess": one_of("Disabled")})


@rule(
    "ML-NB-002",
    applies_to=NOTEBOOK,
    severity="high",
    fix=f"set subnet_id and security_groups;\n{REPLACES}",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/appendix-notebook-and-internet-access.html",
    themes=Theme.NETWORK_ISOLATION,
)
def require_notebook_network(resource: Resource, scope: Scope) -> Result:
    """Notebook instances are in a subnet of the platform."""
    del scope
    return meets(resource.inputs, {"subnetId": SET})


@rule(
    "ML-NB-003",
    applies_to=NOTEBOOK,
    severity="high",
    fix="set root_access Disabled; what needs root belongs\ninto a lifecycle configuration",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/nbi-root-access.html",
    themes=Theme.LEAST_PRIVILEGE,
)
def forbid_notebook_root(resource: Resource, scope: Scope) -> Result:
    """Nobody is root on a notebook instance: root reads other people's files and stops the agents.

    AWS gives it where a program says nothing. Lifecycle scripts run as root all the same.
    """
    del scope
    return meets(resource.inputs, {"rootAccess": one_of("Disabled")})


@rule(
    "ML-NB-004",
    applies_to=NOTEBOOK,
    severity="medium",
    fix=f"set kms_key_id to a key of yours;\n{REPLACES}",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/encryption-at-rest-nbi.html",
    themes=Theme.ENCRYPTION_AT_REST,
)
def require_notebook_key(resource: Resource, scope: Scope) -> Result:
    """The volume of a notebook instance is encrypted with a customer managed key.

    That there is a key stands for that, but for AWS's own, which are named `alias/aws/...`.
    """
    del scope
    return meets(resource.inputs, {"kmsKeyId": OWN_KEY})


@rule(
    "ML-NB-005",
    applies_to=NOTEBOOK,
    severity="medium",
    fix="set instance_metadata_service_configuration\n"
    "with minimum_instance_metadata_service_version 2",
    url="https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_InstanceMetadataServiceConfiguration.html",
    themes=Theme.LEAST_PRIVILEGE,
)
def require_metadata_tokens(resource: Resource, scope: Scope) -> Result:
    """The metadata service of a notebook instance asks for a token (IMDSv2).

    Version 1 gives the role's credentials to any page that makes the notebook fetch a URL.
    """
    del scope
    path = "instanceMetadataServiceConfiguration.minimumInstanceMetadataServiceVersion"
    return meets(resource.inputs, {path: Must("must be 2", lambda version: str(version) == "2")})


@rule(
    "ML-NB-006",
    applies_to=NOTEBOOK,
    severity="medium",
    fix="set platform_identifier to one of notebook_platforms;\nolder ones get no security updates",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/nbi-al2.html",
    themes=Theme.SUPPLY_CHAIN,
)
def require_patched_platform(resource: Resource, scope: Scope) -> Result:
    """Notebook instances run on a platform that still gets security updates."""
    platforms = scope.config.notebook_platforms
    return meets(resource.inputs, {"platformIdentifier": one_of(*platforms)})


@rule(
    "ML-NB-007",
    applies_to=NOTEBOOK,
    kind="stack",
    severity="medium",
    fix="set lifecycle_config_name to a configuration whose on_start installs a script\n"
    "that stops the instance after idle_minutes_max",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/notebook-lifecycle-config.html",
    themes=Theme.LIMITS,
)
def require_notebook_autostop(resource: Resource, scope: Scope) -> Result:
    """A notebook instance that nobody uses stops by itself.

    It has no timer of its own: a lifecycle script brings one. The script must stop the instance,
    and where it says after how many seconds, that must not be longer than the environment allows.
    """
    if not resource.outputs.has("lifecycleConfigName"):
        return Fail("lifecycleConfigName must be set, got none")
    found = scope.named_by(resource, LIFECYCLE, "lifecycleConfigName")
    if not found:
        return NotApplicable("its lifecycle configuration is not of this stack")
    script = decoded(found[0].outputs.get("onStart"))
    if not _AUTO_STOP.search(script):
        return Fail(f"on_start of {found[0].name} must stop an idle instance")
    most = scope.config.idle_minutes_max * 60
    longest = max((int(seconds) for seconds in _IDLE_SECONDS.findall(script)), default=0)
    if longest <= most:
        return None
    return Fail(f"on_start of {found[0].name} must stop it after {most} s, got {longest}")


@rule(
    "ML-NB-008",
    applies_to=(LIFECYCLE, STUDIO_LIFECYCLE),
    severity="high",
    fix="read secrets from Secrets Manager when the script runs;\n"
    "download, check a digest, then run",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/notebook-lifecycle-config.html",
    themes=Theme.LEAST_PRIVILEGE,
)
def forbid_secrets_in_scripts(resource: Resource, scope: Scope) -> Result:
    """Lifecycle scripts hold no secrets and run nothing straight from the network, as root.

    Everybody who may describe the configuration reads the script.
    """
    del scope
    given = [key for key in SCRIPTS if key in resource.inputs.value]
    if not given:
        return NotApplicable("has no script")
    return every(given, lambda key: _clean(key, decoded(resource.inputs.get(key))))


def _clean(key: str, script: str) -> Result:
    found = [what for what, pattern in _SECRETS.items() if pattern.search(script)]
    if found:
        return Fail(f"{key} must hold no secrets, got what looks like {' and '.join(found)}")
    if _PIPED.search(script) or any(_is_run(path, script) for path in _FETCHED.findall(script)):
        return Fail(f"{key} must not run what it downloads without looking at it")
    return None


def _is_run(path: str, script: str) -> bool:
    """Whether a file that was fetched is run, and no digest of it is compared."""
    run = re.search(rf"(?:\b{_RUNS}|\bsource|(?:^|[\s;&])\.)\s+{re.escape(path)}", script)
    return bool(run) and not re.search(r"sha\d+sum|gpg\s+--verify|cosign", script)
