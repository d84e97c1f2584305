"""Models and what is said about them: containers, weights, cards."""

import json
from fnmatch import fnmatchcase

from policies.data import Data, Resource
from policies.reading.endpoints import MODEL, containers, is_serverless, name_of
from policies.reading.images import approved
from policies.reading.predicates import ON, SET, meets
from policies.reading.secrets import is_secret
from policies.rule import Fail, NotApplicable, Result, Scope, every, identities, rule
from policies.theme import Theme

BUCKET = "aws:s3/bucket:Bucket"
CARD = "aws:sagemaker/modelCard:ModelCard"
SUBNET = "aws:ec2/subnet:Subnet"

DOWNLOADS = ("HF_MODEL_ID", "HF_TASK", "MODEL_ID", "OPTION_MODEL_ID")
"""Variables by which serving containers of Hugging Face and DJL fetch weights by themselves."""

_SERVERLESS = "serverless endpoints have neither VPC nor network isolation"


@rule(
    "ML-MD-001",
    applies_to=MODEL,
    kind="stack",
    severity="medium",
    fix="set enable_network_isolation; let SageMaker fetch weights by model_data_source, because\n"
    "an isolated container can neither download nor call AWS",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/mkt-algo-model-internet-free.html",
    themes=Theme.NETWORK_ISOLATION,
)
def require_model_isolation(resource: Resource, scope: Scope) -> Result:
    """Model containers have no network: what answers callers sends their data nowhere else.

    Serverless endpoints do not offer it.
    """
    if is_serverless(resource, scope):
        return NotApplicable(_SERVERLESS)
    result = meets(resource.outputs, {"enableNetworkIsolation": ON})
    fetches = sorted(
        name
        for container in containers(resource.outputs)
        for name in container.keys("environment") & set(DOWNLOADS)
    )
    if result is None or not fetches:
        return result
    return Fail(f"{result.message}; {', '.join(fetches)} makes the container fetch its weights")


@rule(
    "ML-MD-002",
    applies_to=MODEL,
    kind="stack",
    severity="medium",
    mandatory="never",
    fix="set vpc_config with a security group and subnets of two availability zones",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/host-vpc.html",
    themes=Theme.NETWORK_ISOLATION,
)
def require_model_vpc(resource: Resource, scope: Scope) -> Result:
    """Models run in the VPC, in subnets of two availability zones or more."""
    if is_serverless(resource, scope):
        return NotApplicable(_SERVERLESS)
    if not resource.outputs.has("vpcConfig"):
        return Fail("vpcConfig must be set, got none")
    return every((_has_group, _in_two_zones), lambda facet: facet(resource, scope))


def _has_group(model: Resource, _: Scope) -> Result:
    if model.outputs.each("vpcConfig", "securityGroupIds"):
        return None
    return Fail("vpcConfig.securityGroupIds must be set, got none")


def _in_two_zones(model: Resource, scope: Scope) -> Result:
    """By the subnets' zones where they are in the stack, else by their number."""
    wanted = model.outputs.each("vpcConfig", "subnets")
    named = set(model.dependencies.get("vpcConfig", ()))
    ids = {subnet.value for subnet in wanted}
    subnets = [s for s in scope.of_type(SUBNET) if s.urn in named or identities(s) & ids]
    if not subnets:
        zones = {subnet.get() for subnet in wanted}
    else:
        zones = {
            s.outputs.get("availabilityZoneId") or s.outputs.get("availabilityZone")
            for s in subnets
        }
    if len(zones) >= 2:
        return None
    return Fail(f"vpcConfig.subnets must lie in two zones or more, got {len(zones)}")


@rule(
    "ML-MD-003",
    applies_to=MODEL,
    severity="high",
    fix="give the image as registry/repository@sha256:<digest>\n"
    "from a registry in approved_registries",
    url="https://docs.aws.amazon.com/AmazonECR/latest/userguide/docker-pull-ecr-image.html",
    themes=Theme.SUPPLY_CHAIN,
)
def require_pinned_image(resource: Resource, scope: Scope) -> Result:
    """Model containers run an image pinned by digest from an approved registry.

    A tag can be moved after the review, and an image from elsewhere was never scanned.
    """
    images = _with_image(resource)
    if not images:
        return NotApplicable("the image comes with the model package")
    return every(images, lambda container: approved(str(container.get("image")), scope))


def _with_image(model: Resource) -> list[Data]:
    return [found for found in containers(model.inputs) if found.keys() & {"image"}]


@rule(
    "ML-MD-004",
    applies_to=MODEL,
    severity="low",
    mandatory="never",
    fix="leave image_config out for images of ECR; for another registry set\n"
    "repository_access_mode Vpc",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-containers-inference-private.html",
    themes=Theme.SUPPLY_CHAIN | Theme.NETWORK_ISOLATION,
)
def require_private_image_pull(resource: Resource, scope: Scope) -> Result:
    """Images are pulled from ECR, or from another registry through the VPC.

    Security Hub's SageMaker.16 and .19 ask for the mode Vpc, which means a private Docker registry
    and cannot pull from ECR; the way to ECR is private by an interface endpoint.
    """
    del scope
    images = _with_image(resource)
    if not images:
        return NotApplicable("the image comes with the model package")
    return every(images, _pulls_privately)


def _pulls_privately(container: Data) -> Result:
    image = str(container.get("image"))
    mode = container.get("imageConfig", "repositoryAccessMode") or "Platform"
    needed = "Platform" if ".dkr.ecr." in image.partition("/")[0] else "Vpc"
    if mode == needed:
        return None
    return Fail(f"repositoryAccessMode of {image} must be {needed}, got {mode}")


@rule(
    "ML-MD-005",
    applies_to=MODEL,
    severity="high",
    fix="serve model_package_name, an approved version in the registry; weights that nobody here\n"
    "trained need an entry in weights_uris",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-deploy.html",
    themes=Theme.APPROVAL,
)
def require_registered_model(resource: Resource, scope: Scope) -> Result:
    """Production serves versions of the registry: what a person approved, and not a file.

    CreateModel itself refuses a version that is not approved.
    """
    if not scope.config.production:
        return NotApplicable("outside production a model may be tried before it is registered")
    return every(containers(resource.inputs), lambda container: _registered(container, scope))


def _registered(container: Data, scope: Scope) -> Result:
    if container.keys() & {"modelPackageName"}:
        return None
    uris = _data(container)
    if not uris:
        return Fail("a container must name a modelPackageName, got none")
    return every(uris, lambda uri: _allowed_weights(str(uri.get()), scope))


def _allowed_weights(uri: str, scope: Scope) -> Result:
    if any(fnmatchcase(uri, pattern) for pattern in scope.config.weights_uris):
        return None
    return Fail(f"a container must name a modelPackageName, got the file {uri}")


def _data(container: Data) -> list[Data]:
    """The S3 URIs that a container's weights come from."""
    uris = []
    if container.keys() & {"modelDataUrl"}:
        uris.append(Data(container.value["modelDataUrl"], f"{container.path}.modelDataUrl"))
    sources = container.each("modelDataSource", "s3DataSources")
    for more in container.each("additionalModelDataSources"):
        sources += more.each("s3DataSources")
    return uris + [Data(source.value["s3Uri"], f"{source.path}.s3Uri") for source in sources]


@rule(
    "ML-MD-006",
    applies_to=MODEL,
    kind="stack",
    severity="medium",
    fix="keep weights in a versioned bucket of the stack with aws:kms encryption,\n"
    "or name their bucket in model_buckets",
    url="https://docs.aws.amazon.com/AmazonS3/latest/userguide/Versioning.html",
    themes=Theme.SUPPLY_CHAIN | Theme.ENCRYPTION_AT_REST,
)
def require_governed_weights(resource: Resource, scope: Scope) -> Result:
    """Weights come from a bucket that keeps their versions and encrypts them, or a named one.

    Whoever can overwrite the file decides what production answers.
    """
    uris = [uri for container in containers(resource.outputs) for uri in _data(container)]
    if not uris:
        return NotApplicable("the weights come with the model package")
    return every(uris, lambda uri: _governed(str(uri.get()), scope))


def _governed(uri: str, scope: Scope) -> Result:
    name = uri.removeprefix("s3://").partition("/")[0]
    if any(fnmatchcase(name, pattern) for pattern in scope.config.model_buckets):
        return None
    for bucket in scope.of_type(BUCKET):
        if bucket.outputs.get("bucket") == name:
            return _versioned(bucket, scope) or _encrypted(bucket, scope)
    return Fail(f"{uri} must lie in a bucket of this stack or of model_buckets")


def _versioned(bucket: Resource, scope: Scope) -> Result:
    token = "aws:s3/bucketVersioning:BucketVersioning"
    found = scope.pointing_at(bucket, token, "bucket")
    if any(each.outputs.get("versioningConfiguration", "status") == "Enabled" for each in found):
        return None
    return Fail(f"bucket {bucket.name} must have versioning enabled")


def _encrypted(bucket: Resource, scope: Scope) -> Result:
    kind = "ServerSideEncryptionConfiguration"
    for each in scope.pointing_at(bucket, f"aws:s3/bucket{kind}:Bucket{kind}", "bucket"):
        for entry in each.outputs.each("rules"):
            algorithm = entry.get("applyServerSideEncryptionByDefault", "sseAlgorithm")
            if str(algorithm).startswith("aws:kms"):
                return None
    return Fail(f"bucket {bucket.name} must be encrypted with aws:kms by default")


@rule(
    "ML-MD-007",
    applies_to=MODEL,
    severity="critical",
    mandatory="everywhere",
    fix="put the secret into Secrets Manager and give the container its ARN",
    url="https://docs.aws.amazon.com/secretsmanager/latest/userguide/best-practices.html",
    themes=Theme.LEAST_PRIVILEGE,
)
def forbid_secrets_in_models(resource: Resource, scope: Scope) -> Result:
    """No secret stands in a container's environment, where DescribeModel shows it to everybody.

    The ARN of a secret is none, nor is the name of a parameter.
    """
    del scope
    variables = [
        (container, name)
        for container in containers(resource.inputs)
        for name in sorted(container.keys("environment"))
    ]
    if not variables:
        return NotApplicable("no container has an environment")
    return every(variables, lambda variable: _is_no_secret(*variable))


def _is_no_secret(container: Data, name: str) -> Result:
    if not is_secret(name, container.get("environment", name)):
        return None
    return Fail(f"{container.path}.environment.{name} must not be a secret")


@rule(
    "ML-MD-008",
    applies_to=MODEL,
    kind="stack",
    severity="medium",
    mandatory="never",
    fix="add a sagemaker.ModelCard whose model_overview names the model, with intended uses, risk\n"
    "rating, evaluation and a key; a person sets its status to Approved",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/model-cards.html",
    themes=Theme.APPROVAL,
)
def require_model_card(resource: Resource, scope: Scope) -> Result:
    """A production model has an approved card: intended uses, risk rating, evaluation, a key.

    A card that names a version of the registry has its evaluation from there.
    """
    if not scope.config.production:
        return NotApplicable("a card is due before production")
    packages = {each.get("modelPackageName") for each in containers(resource.outputs)} - {None}
    subjects = packages or {name_of(resource)}
    for card in scope.of_type(CARD):
        content = Data(json.loads(card.outputs.get("content")), "content")
        overview = content.get("model_overview") or {}
        if subjects & {overview.get("model_id"), overview.get("model_name")}:
            return _is_approved(card) or _says_enough(card, content)
    return Fail(f"a model card must name {', '.join(sorted(map(str, subjects)))}, got none")


def _is_approved(card: Resource) -> Result:
    status = card.outputs.get("modelCardStatus")
    if status == "Approved":
        return None
    return Fail(f"the model card must be Approved, got {status}")


def _says_enough(card: Resource, content: Data) -> Result:
    wanted = {"intended_uses.intended_uses": SET, "intended_uses.risk_rating": SET}
    model = str(content.get("model_overview", "model_id"))
    if ":model-package/" not in model:
        wanted["evaluation_details"] = SET
    return meets(content, wanted) or meets(card.outputs, {"securityConfig.kmsKeyId": SET})
