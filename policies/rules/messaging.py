"""Topics, queues and functions."""

import re
from collections.abc import Callable

from policies.data import Data, Resource
from policies.reading.documents import denies_plaintext, is_public, statements
from policies.reading.images import PINNED
from policies.reading.predicates import SET, Must, meets, one_of
from policies.reading.principals import is_narrowing
from policies.reading.secrets import is_secret
from policies.rule import Fail, NotApplicable, Result, Scope, every, rule
from policies.theme import Theme

TOPIC = "aws:sns/topic:Topic"
QUEUE = "aws:sqs/queue:Queue"
TOPIC_POLICY = "aws:sns/topicPolicy:TopicPolicy"
QUEUE_POLICY = "aws:sqs/queuePolicy:QueuePolicy"
REDRIVE = "aws:sqs/redrivePolicy:RedrivePolicy"
FUNCTION = "aws:lambda/function:Function"
PERMISSION = "aws:lambda/permission:Permission"
FUNCTION_URL = "aws:lambda/functionUrl:FunctionUrl"
INVOKE_CONFIG = "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig"
MAPPING = "aws:lambda/eventSourceMapping:EventSourceMapping"

DEPRECATED = re.compile(
    r"python(2\.7|3\.[6-9])|nodejs(\d|1[0-8])(\.x|\.\d+)?|nodejs|java8|go1\.x|provided"
    r"|ruby2\.\d|dotnetcore.*|dotnet[5-7]"
)
"""Runtimes that AWS no longer patches (Lambda runtimes, Deprecated runtimes)."""


@rule(
    "PF-MSG-001",
    applies_to=(TOPIC, QUEUE, TOPIC_POLICY, QUEUE_POLICY),
    severity="medium",
    fix="set kmsMasterKeyId, or sqsManagedSseEnabled of a queue; name who may send, and deny\n"
    "requests with aws:SecureTransport false",
    url="https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-security-best-practices.html",
    themes=Theme.ENCRYPTION_AT_REST | Theme.ENCRYPTION_IN_TRANSIT,
)
def require_governed_messages(resource: Resource, scope: Scope) -> Result:
    """Topics and queues are encrypted; a policy of one is for nobody unnamed and for TLS alone.

    Without a policy only the account itself may send. SQS's own key serves for queues that AWS's
    services write to, which cannot use a key of the account that does not name them.
    """
    inputs = resource.inputs
    checks: list[Callable[[], Result]] = []
    own_key = resource.type == QUEUE and inputs.get("sqsManagedSseEnabled")
    if resource.type in (TOPIC, QUEUE) and not own_key:
        checks.append(lambda: meets(inputs, {"kmsMasterKeyId": SET}))
    if "policy" in inputs.value:
        service = "sqs" if resource.type in (QUEUE, QUEUE_POLICY) else "sns"
        checks.append(lambda: _guarded(Data(inputs.value["policy"], "policy"), service))
    return every(checks, _ask)


def _ask(check: Callable[[], Result]) -> Result:
    return check()


def _guarded(document: Data, service: str) -> Result:
    rights = statements(document)
    found = every(
        rights,
        lambda each: Fail(f"{each.path} must not be for everybody") if is_public(each) else None,
    )
    if found or any(denies_plaintext(each, service) for each in rights):
        return found
    return Fail("policy must deny requests without TLS")


@rule(
    "PF-MSG-002",
    applies_to=(QUEUE, FUNCTION),
    kind="stack",
    severity="medium",
    fix="set redrivePolicy of a queue that a function reads; give a function deadLetterConfig, a\n"
    "FunctionEventInvokeConfig with onFailure, or onFailure of its EventSourceMapping",
    url="https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html",
    themes=Theme.AVAILABILITY,
)
def require_dead_letters(resource: Resource, scope: Scope) -> Result:
    """What a function could not do is kept where somebody can see it.

    Lambda throws an event away after its retries, and a queue returns a message that nobody can
    read for days.
    """
    if resource.type == QUEUE:
        readers = scope.pointing_at(resource, MAPPING, "eventSourceArn")
        if not readers:
            return NotApplicable("no function reads it")
        if resource.outputs.has("redrivePolicy"):
            return None
        moved = scope.pointing_at(resource, REDRIVE, "queueUrl")
        return None if moved else Fail("must have a redrivePolicy, got none")
    if resource.outputs.has("deadLetterConfig"):
        return None
    configs = scope.pointing_at(resource, INVOKE_CONFIG, "functionName")
    sources = scope.pointing_at(resource, MAPPING, "functionName")
    kept = any(each.outputs.has("destinationConfig", "onFailure") for each in configs + sources)
    return None if kept else Fail("must keep what fails: deadLetterConfig or onFailure, got none")


@rule(
    "PF-LMB-001",
    applies_to=(FUNCTION, PERMISSION, FUNCTION_URL),
    severity="medium",
    fix="move to a supported runtime; read secrets from Secrets Manager by their ARN;\n"
    "name who may call, with sourceArn or sourceAccount for a service",
    url="https://docs.aws.amazon.com/lambda/latest/dg/lambda-security.html",
    themes=Theme.LEAST_PRIVILEGE | Theme.NETWORK_ISOLATION,
)
def require_governed_function(resource: Resource, scope: Scope) -> Result:
    """A function runs a patched runtime, holds no secret and is not for everybody.

    Whoever may read a function's configuration reads its environment. Variables are encrypted with
    a key of the account.
    """
    inputs = resource.inputs
    if resource.type == FUNCTION_URL:
        open_to = Must("must name origins", lambda value: "*" not in (value or ()))
        credentials = inputs.get("cors", "allowCredentials") is True
        wanted = {"authorizationType": one_of("AWS_IAM")}
        return meets(inputs, {**wanted, **({"cors.allowOrigins": open_to} if credentials else {})})
    if resource.type == PERMISSION:
        return _caller(inputs)
    patched = Must("must be supported", lambda value: not DEPRECATED.fullmatch(str(value)))
    variables = inputs.keys("environment", "variables")
    wanted = {"runtime": patched, **({"kmsKeyArn": SET} if variables else {})}

    def told(name: str) -> Result:
        found = is_secret(name, inputs.get("environment", "variables", name))
        return Fail(f"environment.variables must not have {name}") if found else None

    checks: list[Callable[[], Result]] = [
        lambda: meets(inputs, wanted),
        lambda: every(sorted(variables), told),
        lambda: _pinned(inputs),
    ]
    return every(checks, _ask)


def _pinned(function: Data) -> Result:
    """Lambda takes images of ECR alone, by a tag too, which moves."""
    image = function.get("imageUri")
    moves = image and not PINNED.search(str(image))
    return Fail(f"imageUri must be pinned by digest, got {image}") if moves else None


def _caller(permission: Data) -> Result:
    principal = str(permission.get("principal"))
    if principal != "*" and not principal.endswith(".amazonaws.com"):
        return None
    if permission.has("sourceAccount") or permission.has("principalOrgId"):
        return None
    if is_narrowing({"ArnLike": {"aws:SourceArn": permission.get("sourceArn") or ()}}):
        return None
    return Fail(f"sourceArn or sourceAccount must be set for {principal}")
