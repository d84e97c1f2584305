"""Buckets."""

from fnmatch import fnmatchcase

from policies.data import Data, Resource
from policies.reading.documents import denies_plaintext, statements
from policies.rule import Fail, Result, Scope, every, rule
from policies.theme import Theme

BUCKETS = ("aws:s3/bucket:Bucket", "aws:s3/bucketV2:BucketV2")
BLOCKS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")


@rule(
    "PF-S3-001",
    applies_to=BUCKETS,
    kind="stack",
    severity="high",
    fix="give the bucket its own public access block, TLS-only policy, KMS encryption,\n"
    "versioning, logging and a lifecycle that aborts uploads (infra/storage.py does)",
    url="https://docs.aws.amazon.com/AmazonS3/latest/userguide/security-best-practices.html",
    themes=Theme.ENCRYPTION_AT_REST
    | Theme.NETWORK_ISOLATION
    | Theme.AUDIT_LOGS
    | Theme.DATA_QUALITY,
)
def require_governed_bucket(resource: Resource, scope: Scope) -> Result:
    """Buckets are private, TLS only, encrypted with KMS, versioned, logged and tidied up.

    The bucket that receives access logs needs no log of its own and may keep S3's own key, because
    S3's log delivery cannot write to a bucket with a KMS default. Buckets named in
    `locked_buckets` also have object lock.
    """
    facets = [
        _private,
        _unlisted,
        _tls_only,
        _encrypted,
        _versioned,
        _logged,
        _aborts_uploads,
        _locked,
    ]
    return every(facets, lambda facet: facet(resource, scope))


def _satellites(bucket: Resource, scope: Scope, kind: str, key: str = "bucket") -> list[Resource]:
    """The resources of this kind that configure the bucket; provider 6 called some of them V2."""
    tokens = [f"aws:s3/bucket{suffix}:Bucket{suffix}" for suffix in (kind, f"{kind}V2")]
    return [found for token in tokens for found in scope.pointing_at(bucket, token, key)]


def _receives_logs(bucket: Resource, scope: Scope) -> bool:
    return bool(_satellites(bucket, scope, "Logging", "targetBucket"))


def _private(bucket: Resource, scope: Scope) -> Result:
    for block in _satellites(bucket, scope, "PublicAccessBlock"):
        if open_doors := [key for key in BLOCKS if block.outputs.get(key) is not True]:
            return Fail(f"the public access block must set {', '.join(open_doors)}")
        return None
    return Fail("must have a public access block, got none")


def _tls_only(bucket: Resource, scope: Scope) -> Result:
    name = bucket.outputs.value.get("bucket")
    inside = f"s3:::{name}/a" if isinstance(name, str) else ""
    for policy in _satellites(bucket, scope, "Policy"):
        document = Data(policy.outputs.get("policy"), "policy")
        if any(denies_plaintext(each, "s3", inside) for each in statements(document)):
            return None
    return Fail("must have a policy that denies requests without TLS, got none")


ACL = "Acl"
OPEN_ACLS = ("public-read", "public-read-write", "authenticated-read")


def _unlisted(bucket: Resource, scope: Scope) -> Result:
    """No list of access lets everybody in: the block, once taken off, would open it."""
    lists = [bucket, *_satellites(bucket, scope, ACL)]
    acls = {str(each.outputs.get("acl")).lower() for each in lists}
    found = sorted(acls & {*OPEN_ACLS})
    return Fail(f"acl must be private, got {', '.join(found)}") if found else None


def _encrypted(bucket: Resource, scope: Scope) -> Result:
    algorithms = {
        rule.get("applyServerSideEncryptionByDefault", "sseAlgorithm")
        for encryption in _satellites(bucket, scope, "ServerSideEncryptionConfiguration")
        for rule in encryption.outputs.each("rules")
    }
    if algorithms & {"aws:kms", "aws:kms:dsse"}:
        return None
    if _receives_logs(bucket, scope):
        return None
    return Fail("must be encrypted with aws:kms by default")


def _versioned(bucket: Resource, scope: Scope) -> Result:
    versionings = _satellites(bucket, scope, "Versioning")
    states = {v.outputs.get("versioningConfiguration", "status") for v in versionings}
    return None if "Enabled" in states else Fail("must have versioning enabled")


def _logged(bucket: Resource, scope: Scope) -> Result:
    if _satellites(bucket, scope, "Logging") or _receives_logs(bucket, scope):
        return None
    return Fail("must have access logging, got none")


def _aborts_uploads(bucket: Resource, scope: Scope) -> Result:
    rules = [
        rule
        for lifecycle in _satellites(bucket, scope, "LifecycleConfiguration")
        for rule in lifecycle.outputs.each("rules")
    ]
    aborting = any(
        rule.get("status") == "Enabled" and rule.has("abortIncompleteMultipartUpload")
        for rule in rules
    )
    return None if aborting else Fail("must have a lifecycle rule that aborts incomplete uploads")


def _locked(bucket: Resource, scope: Scope) -> Result:
    if not scope.config.locked_buckets:
        return None
    name = str(bucket.outputs.get("bucket"))
    if not any(fnmatchcase(name, pattern) for pattern in scope.config.locked_buckets):
        return None
    return (
        None if bucket.outputs.get("objectLockEnabled") else Fail("must have object lock enabled")
    )
