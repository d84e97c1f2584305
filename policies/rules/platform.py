"""Services around the models: registries, keys, logs, trails, functions, file systems, agents."""

from policies.data import Data, Resource
from policies.reading.documents import is_public, statements
from policies.reading.predicates import OFF, ON, SET, Must, at_least, meets, one_of
from policies.rule import Fail, NotApplicable, Result, Scope, every, rule
from policies.theme import Theme

REPOSITORY = "aws:ecr/repository:Repository"
REPOSITORY_POLICY = "aws:ecr/repositoryPolicy:RepositoryPolicy"
LIFECYCLE = "aws:ecr/lifecyclePolicy:LifecyclePolicy"
KEY = "aws:kms/key:Key"
LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
TRAIL = "aws:cloudtrail/trail:Trail"
EFS = "aws:efs/fileSystem:FileSystem"
EFS_PARTS = ("accessPoint:AccessPoint", "backupPolicy:BackupPolicy")
LUSTRE = "aws:fsx/lustreFileSystem:LustreFileSystem"
AGENT = "aws:bedrock/agentAgent:AgentAgent"


@rule(
    "PF-ECR-001",
    applies_to=REPOSITORY,
    kind="stack",
    severity="medium",
    fix="set imageTagMutability to IMMUTABLE, scanOnPush and a KMS key; add a LifecyclePolicy\n"
    "and name accounts in the RepositoryPolicy (infra/registry.py does)",
    url="https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html",
    themes=Theme.SUPPLY_CHAIN | Theme.ENCRYPTION_AT_REST,
)
def require_governed_repository(resource: Resource, scope: Scope) -> Result:
    """A repository keeps its tags, scans, encrypts with a key, tidies up and is not public.

    Who can move a tag replaces the image that the next node pulls.
    """
    wanted = {
        "imageTagMutability": one_of("IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION"),
        "imageScanningConfiguration.scanOnPush": ON,
        "encryptionConfigurations[].kmsKey": SET,
    }

    def tidied(_: Data) -> Result:
        tidy = scope.pointing_at(resource, LIFECYCLE, "repository")
        return None if tidy else Fail("must have a LifecyclePolicy, got none")

    def closed(_: Data) -> Result:
        policies = scope.pointing_at(resource, REPOSITORY_POLICY, "repository")
        return every([policy.outputs for policy in policies], _closed)

    checks = (lambda data: meets(data, wanted), tidied, closed)
    return every(checks, lambda check: check(resource.outputs))


def _closed(holder: Data) -> Result:
    """No statement of the policy lets everybody in."""
    document = holder.at("policy")
    return every(
        statements(document) if document.value else [],
        lambda each: Fail(f"{each.path} must not be for everybody") if is_public(each) else None,
    )


@rule(
    "PF-KMS-001",
    applies_to=KEY,
    severity="high",
    fix="set enableKeyRotation, a deletionWindowInDays of 14 or more and protect;\n"
    "name who may use the key, or add a condition on kms:CallerAccount",
    url="https://docs.aws.amazon.com/kms/latest/developerguide/rotate-keys.html",
    themes=Theme.ENCRYPTION_AT_REST,
)
def require_governed_key(resource: Resource, scope: Scope) -> Result:
    """A key is rotated, is nobody else's to use, and in production takes two weeks to delete.

    With the key goes everything that it encrypts, backups included: there it is protected, too.
    Keys that are not symmetric cannot be rotated by KMS.
    """
    inputs = resource.inputs
    days = 14 if scope.config.production else 7
    slow = Must(f"must be at least {days}", lambda value: value is None or value >= days)
    wanted = {
        "deletionWindowInDays": slow,
        "isEnabled": one_of(True, None),
        "bypassPolicyLockoutSafetyCheck": OFF,
    }
    if (inputs.get("customerMasterKeySpec") or "SYMMETRIC_DEFAULT") == "SYMMETRIC_DEFAULT":
        wanted["enableKeyRotation"] = ON

    def protected(_: Data) -> Result:
        kept = resource.options.protect or not scope.config.production
        return None if kept else Fail("must be protected")

    checks = (lambda data: meets(data, wanted), _closed, protected)
    return every(checks, lambda check: check(inputs))


@rule(
    "PF-LOG-001",
    applies_to=LOG_GROUP,
    severity="medium",
    fix="set retentionInDays, 180 or more for logs of endpoints, and kmsKeyId",
    url="https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html",
    themes=Theme.AUDIT_LOGS | Theme.ENCRYPTION_AT_REST,
)
def require_governed_logs(resource: Resource, scope: Scope) -> Result:
    """Logs are kept for a set time, those of endpoints for half a year, under a key of the account.

    Providers of high-risk systems keep their logs for at least six months (EU AI Act, article 19).
    CloudWatch keeps logs for ever where a program says nothing.
    """
    inputs = resource.inputs
    name = str(inputs.get("name") or inputs.get("namePrefix") or "")
    inference = name.startswith("/aws/sagemaker/Endpoints")
    least = scope.config.inference_log_days_min if inference else 1
    return meets(inputs, {"retentionInDays": at_least(least), "kmsKeyId": SET})


@rule(
    "PF-CT-001",
    applies_to=TRAIL,
    severity="medium",
    fix="set isMultiRegionTrail, enableLogFileValidation and kmsKeyId, and select data events\n"
    "of AWS::S3::Object (infra/audit.py does)",
    url="https://docs.aws.amazon.com/awscloudtrail/latest/userguide/logging-data-events-with-cloudtrail.html",
    themes=Theme.AUDIT_LOGS,
)
def require_governed_trail(resource: Resource, scope: Scope) -> Result:
    """A trail covers all regions, can be proved, is encrypted and tells who read data and models.

    Without data events nobody can say afterwards who fetched the training data.
    """
    wanted = {
        "isMultiRegionTrail": ON,
        "enableLogFileValidation": ON,
        "kmsKeyId": SET,
        "enableLogging": one_of(True, None),
    }

    def objects(trail: Data) -> Result:
        plain = any(_selects(each) for each in trail.each("eventSelectors"))
        advanced = any(_selects_by_fields(each) for each in trail.each("advancedEventSelectors"))
        if plain or advanced:
            return None
        return Fail("must select data events of AWS::S3::Object, reads included")

    checks = (lambda data: meets(data, wanted), objects)
    return every(checks, lambda check: check(resource.inputs))


def _selects(selector: Data) -> bool:
    """Whether an event selector has reads of objects; All is CloudTrail's default."""
    kinds = {each.get("type") for each in selector.each("dataResources")}
    return OBJECT in kinds and selector.get("readWriteType") in (None, "All", "ReadOnly")


def _selects_by_fields(selector: Data) -> bool:
    fields = {field.get("field"): field for field in selector.each("fieldSelectors")}
    kind, reads = fields.get("resources.type"), fields.get("readOnly")
    named = kind is not None and OBJECT in (kind.get("equals") or ())
    return named and (reads is None or "false" not in map(str, reads.get("equals") or ()))


OBJECT = "AWS::S3::Object"


@rule(
    "PF-EFS-001",
    applies_to=(EFS, LUSTRE),
    kind="stack",
    severity="medium",
    fix="set kmsKeyId; give EFS an AccessPoint and a BackupPolicy, a persistent Lustre file\n"
    "system an automaticBackupRetentionDays (infra/filesystem.py does)",
    url="https://docs.aws.amazon.com/efs/latest/ug/security-considerations.html",
    themes=Theme.ENCRYPTION_AT_REST,
)
def require_governed_file_system(resource: Resource, scope: Scope) -> Result:
    """A file system is encrypted with a key of the account, backed up, and shared by access points.

    An access point sets the user and the folder, whatever a pod says of itself. Scratch file
    systems cannot be backed up, and Lustre has no access points.
    """
    seen = resource.outputs
    if resource.type == LUSTRE:
        scratch = str(seen.get("deploymentType") or "SCRATCH_1").startswith("SCRATCH")
        if scratch:
            return NotApplicable("a scratch file system holds copies under FSx's own key")
        return meets(seen, {"kmsKeyId": SET, "automaticBackupRetentionDays": at_least(1)})

    def part(name: str) -> Result:
        found = scope.pointing_at(resource, f"aws:efs/{name}", "fileSystemId")
        return None if found else Fail(f"must have an {name.partition(':')[2]}, got none")

    own = meets(seen, {"encrypted": ON, "kmsKeyId": SET})
    return every([own], lambda result: result) or every(EFS_PARTS, part)


@rule(
    "PF-BED-001",
    applies_to=AGENT,
    severity="high",
    fix="set guardrailConfigurations, customerEncryptionKeyArn and idleSessionTtlInSeconds",
    url="https://docs.aws.amazon.com/bedrock/latest/userguide/agents-guardrail.html",
    themes=Theme.SUPPLY_CHAIN | Theme.ENCRYPTION_AT_REST,
)
def require_governed_agent(resource: Resource, scope: Scope) -> Result:
    """An agent has a guardrail in a fixed version, a key of the account and a session that ends.

    What an agent may call decides what an injected prompt can do; a draft of a guardrail changes
    under it.
    """
    fixed = Must("must be a version", lambda value: value not in (None, "", "DRAFT"))
    return meets(
        resource.inputs,
        {
            "guardrailConfigurations[].guardrailIdentifier": SET,
            "guardrailConfigurations[].guardrailVersion": fixed,
            "customerEncryptionKeyArn": SET,
            "idleSessionTtlInSeconds": Must("must be 1 to 3600", lambda v: 1 <= (v or 0) <= 3600),
        },
    )
