"""Who may do what: trusts, personas, boundaries, and that IAM would take all of it."""

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Any

import pytest
from pydantic import ValidationError

from infra.access import POD_IDENTITY, RoleSpec, Trust, trust_policy
from infra.naming import Names
from infra.permissions_boundary import POLICY_CHARACTERS, boundary, boundary_arn
from infra.personas import PERSONAS, job_guards
from pipelines.workload import named
from policies.data import Resource
from stacks.settings import foundation
from stacks.settings.load import load_environment, load_foundation
from stacks.stack_name import stacks_of
from tests.kits.iam import decide, listed
from tests.kits.stacks import WORKLOADS, changed, serving, synth

NAMES = Names(env="test", account_id="123456789012", region="us-east-1")
INLINE_CHARACTERS, TRUST_CHARACTERS = 10240, 2048
"""Most characters of a role's inline policies together, and of a trust (IAM user guide, quotas)."""


ENVIRONMENTS = ("local", "prod")
"""The one with everything on, and the one that counts."""


@cache
def stack(env: str) -> list[Resource]:
    """Everything that an environment consists of, its workloads serving a model."""
    models = [name for name in map(str, stacks_of(env)) if _has_model(name)]
    others = [name for name in map(str, stacks_of(env)) if name not in models]
    found = [synth(name, _served(name)) for name in models] + [synth(name) for name in others]
    return [item for several in found for item in several]


def _has_model(stack: str) -> bool:
    return stack in {str(name) for name in WORKLOADS if named(str(name.workload)).model}


@cache
def _served(stack: str) -> Any:
    return serving(stack)


def inputs(env: str, kind: str) -> list[dict[str, Any]]:
    return [item.inputs.value for item in stack(env) if item.type.endswith(f":{kind}")]


def persona(name: str, env: str = "prod") -> list[dict[str, Any]]:
    """The inline policies of a persona's role, and its boundary."""
    names = load_environment(env).names
    found = [
        json.loads(item["policy"])
        for item in inputs(env, "RolePolicy")
        if item["role"] == names.of(name)
    ]
    assert found
    return found


PROD = load_environment("prod").names
JOB = PROD.arn("sagemaker", f"training-job/{PROD.of('mine')}")
VERSION = PROD.arn("sagemaker", "model-package/plinth-prod-flight-delay-model/7")
GOOD_JOB: dict[str, Any] = {
    "sagemaker__VpcSubnets": ["subnet-1"],
    "sagemaker__VpcSecurityGroupIds": ["sg-1"],
    "sagemaker__VolumeKmsKey": "key",
    "sagemaker__InstanceTypes": ["ml.m5.large"],
}


@pytest.mark.parametrize("name", ["data-scientist", "ml-engineer"])
def test_people_start_jobs_in_the_vpc_with_a_volume_key_on_small_instances(name: str) -> None:
    def job(**changes: Any) -> str:
        asked = {key: value for key, value in {**GOOD_JOB, **changes}.items() if value is not None}
        return decide(persona(name), "sagemaker:CreateTrainingJob", JOB, **asked)

    assert job() == "allow"
    assert job(sagemaker__VpcSubnets=None) == "deny"
    assert job(sagemaker__VpcSecurityGroupIds=None) == "deny"
    assert job(sagemaker__VolumeKmsKey=None) == "deny"
    assert job(sagemaker__InstanceTypes=["ml.p5.48xlarge"]) == "deny"
    assert job(sagemaker__InstanceTypes=["ml.m5.large", "ml.p5.48xlarge"]) == "deny"


def test_instances_with_local_nvme_storage_need_no_volume_key() -> None:
    """SageMaker refuses one there, so a denial without exception would forbid all GPUs."""
    policy = {"Statement": job_guards(["ml.g5.xlarge", "ml.m5.large"])}
    asked = {key: value for key, value in GOOD_JOB.items() if "VolumeKmsKey" not in key}

    def job(*instance_types: str) -> str:
        asked["sagemaker__InstanceTypes"] = list(instance_types)
        return decide([policy], "sagemaker:CreateProcessingJob", JOB, **asked)

    assert job("ml.g5.xlarge") == "nothing"
    assert job("ml.m5.large") == "deny"
    assert job("ml.g5.xlarge", "ml.m5.large") == "deny"


@pytest.mark.parametrize("name", PERSONAS)
def test_the_approver_alone_approves(name: str) -> None:
    def update(status: str) -> str:
        action = "sagemaker:UpdateModelPackage"
        return decide(persona(name), action, VERSION, sagemaker__ModelApprovalStatus=status)

    if name == "approver":
        assert [update("Approved"), update("Rejected")] == ["allow", "allow"]
    else:
        assert update("Approved") in ("deny", "nothing")
    assert update("PendingManualApproval") != "allow"


@pytest.mark.parametrize(
    "action",
    [
        "iam:PassRole", "sagemaker:CreateEndpoint", "sagemaker:CreateModel",
        "sagemaker:StartPipelineExecution", "sagemaker:UpdateEndpoint",
        "sagemaker:UpdateEndpointWeightsAndCapacities",
    ],
)  # fmt: skip
def test_the_approver_deploys_nothing(action: str) -> None:
    assert decide(persona("approver"), action) == "deny"


def test_the_approver_reads_what_models_are_judged_by_and_writes_nothing() -> None:
    key = "arn:aws:mock:::keys-storage"
    assert decide(persona("approver"), "kms:Decrypt", key) == "allow"
    assert decide(persona("approver"), "kms:CreateGrant", key) == "nothing"
    report = f"arn:aws:s3:::{PROD.bucket('artifacts')}/evaluation.json"
    assert decide(persona("approver"), "s3:GetObject", report) == "allow"
    assert decide(persona("approver"), "s3:PutObject", report) == "nothing"


def test_whoever_deploys_cannot_make_themselves_the_approver() -> None:
    deployer, limits = persona("deployer"), [boundary(PROD)]
    for role in ("approver", "deployer"):
        for action in ("iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy", "iam:AttachRolePolicy"):
            assert decide(deployer, action, PROD.role_arn(role)) == "deny"
    assert decide(deployer, "iam:PutRolePolicy", PROD.role_arn("job")) == "allow"
    sudo = PROD.role_arn("made-for-the-purpose")
    status = {"sagemaker__ModelApprovalStatus": "Approved"}
    here = {"aws__RequestedRegion": PROD.region}
    for who, answer in ((sudo, "deny"), (PROD.role_arn("approver"), "allow")):
        context = {**here, **status, "aws__PrincipalArn": who}
        assert decide(limits, "sagemaker:UpdateModelPackage", VERSION, **context) == answer
    for born, answer in (("Approved", "deny"), ("PendingManualApproval", "allow")):
        context = {**here, "sagemaker__ModelApprovalStatus": born}
        assert decide(limits, "sagemaker:CreateModelPackage", VERSION, **context) == answer


def test_whoever_deploys_creates_and_passes_the_roles_of_the_environment_alone() -> None:
    deployer, limits = persona("deployer"), [boundary(PROD)]
    bound = {
        "iam__PermissionsBoundary": f"arn:aws:iam::{PROD.account_id}:policy/plinth-prod-boundary"
    }
    assert decide(limits, "iam:CreateRole", PROD.role_arn("job"), **bound) == "allow"
    assert decide(limits, "iam:CreateRole", PROD.role_arn("job")) == "deny"
    other = f"arn:aws:iam::{PROD.account_id}:role/administrator"
    assert decide(deployer, "iam:CreateRole", other) == "nothing"
    sagemaker = {"iam__PassedToService": "sagemaker.amazonaws.com"}
    assert decide(deployer, "iam:PassRole", PROD.role_arn("job"), **sagemaker) == "allow"
    assert decide(deployer, "iam:PassRole", other, **sagemaker) == "nothing"
    assert decide(deployer, "iam:PassRole", PROD.role_arn("job")) == "nothing"


@pytest.mark.parametrize("action", ["iam:DeleteRolePermissionsBoundary", "iam:CreatePolicyVersion"])
def test_a_boundary_is_not_shaken_off(action: str) -> None:
    own = f"arn:aws:iam::{NAMES.account_id}:policy/plinth-test-boundary"
    resource = NAMES.role_arn("job") if "Role" in action else own
    assert decide([boundary(NAMES)], action, resource) == "deny"


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_every_role_has_the_boundary_of_its_environment(env: str) -> None:
    names = load_environment(env).names
    [policy] = [item for item in stack(env) if item.name == "access-boundary"]
    assert json.loads(policy.inputs.value["policy"]) == boundary(names)
    roles = inputs(env, "Role")
    assert len(roles) > 20
    made, offered = f"arn:aws:mock:::{policy.name}", boundary_arn(names)
    assert {role["permissionsBoundary"] for role in roles} == {made, offered}


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_the_boundary_leaves_room_for_everything_that_is_granted(env: str) -> None:
    """What a role is granted beyond its boundary fails only when it is used, on AWS."""
    names = load_environment(env).names
    limits = [boundary(names)]
    context = {
        "aws__PrincipalArn": names.role_arn("approver"),
        "aws__RequestedRegion": names.region,
        "iam__PermissionsBoundary": boundary_arn(names),
    }
    beyond = {
        (item.name, action, resource)
        for item in stack(env)
        if item.type == "aws:iam/rolePolicy:RolePolicy"
        for statement in json.loads(item.inputs.value["policy"])["Statement"]
        if statement["Effect"] == "Allow"
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
        if _about(action, resource)
        and decide(limits, action, _real(resource, names), **context) == "nothing"
    }
    assert beyond == set()


def _about(action: str, resource: str) -> bool:
    """A statement with many services and their resources is about each with its own."""
    service, of = action.partition(":")[0], resource.split(":")[2:3]
    return resource == "*" or of == ["mock"] or service.startswith(of[0])


def _real(resource: str, names: Names) -> str:
    """ARNs that AWS would make up, as AWS would make them up."""
    if not resource.startswith("arn:aws:mock:"):
        return resource
    name = resource.rpartition(":")[2]
    if name.startswith("access-"):
        return names.role_arn(name.removeprefix("access-"))
    return names.arn("sagemaker", name)


def test_every_persona_can_be_taken_on_by_its_own_people_alone() -> None:
    roles = {item["name"]: json.loads(item["assumeRolePolicy"]) for item in inputs("prod", "Role")}
    people = "arn:aws:iam::333333333333:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_"
    sets = ("DataScientist", "MlEngineer", "ModelApprover", "PlatformDeployer")
    for name, own in zip(PERSONAS, sets, strict=True):
        for who in sets:
            policy = [{"Statement": [{**s, "Resource": "*"} for s in _statements(roles, name)]}]
            answer = decide(policy, "sts:AssumeRole", aws__PrincipalArn=f"{people}{who}_0a1b2c")
            assert answer == ("allow" if who == own else "nothing"), (name, who)


def _statements(roles: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = roles[PROD.of(name)]["Statement"]
    return found


def test_principals_that_are_not_from_identity_center_sign_in_with_mfa() -> None:
    arn = "arn:aws:iam::444444444444:role/auditor"
    [statement] = trust_policy(RoleSpec(trust=Trust(principal_arns=[arn, arn])), NAMES)["Statement"]
    assert statement["Principal"] == {"AWS": [arn]}
    assert statement["Condition"] == {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
    trust = Trust(principal_arns=[arn], require_mfa=False, external_id="word")
    [statement] = trust_policy(RoleSpec(trust=trust), NAMES)["Statement"]
    assert statement["Condition"] == {"StringEquals": {"sts:ExternalId": "word"}}


def with_deployers(**more: Any) -> Any:
    """The foundation of prod with somebody who deploys one workload."""
    settings = load_foundation("prod")
    deployers = {"block_time": foundation.Trust(permission_sets=["BlockTimeDeployer"])}
    access = settings.access.model_copy(update={"deployers": deployers, **more})
    return changed(settings, access=access)


@cache
def workload_deployer() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What whoever deploys the workload is allowed, and its boundary."""
    found = synth("prod.foundation", with_deployers())
    role = PROD.of("deployer-block-time")
    policies = [
        json.loads(item.inputs.value["policy"])
        for item in found
        if item.type == "aws:iam/rolePolicy:RolePolicy" and item.inputs.value["role"] == role
    ]
    assert len(policies) == 1
    return policies, [dict(boundary(PROD))]


OWN = PROD.of_workload("block-time")


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("sagemaker:UpdateEndpoint", OWN.arn("sagemaker", f"endpoint/{OWN.of('realtime')}")),
        ("sagemaker:UpdatePipeline", OWN.arn("sagemaker", f"pipeline/{OWN.of('training')}")),
        ("sagemaker:CreateFeatureGroup", OWN.arn("sagemaker", f"feature-group/{OWN.of('x')}")),
        ("lambda:UpdateFunctionCode", OWN.arn("lambda", f"function:{OWN.of('retraining')}")),
        (
            "cloudwatch:PutDashboard",
            f"arn:aws:cloudwatch::{OWN.account_id}:dashboard/{OWN.of('dashboard')}",
        ),
        ("dynamodb:DeleteTable", OWN.arn("dynamodb", f"table/{OWN.of('retraining')}")),
        ("events:PutRule", OWN.arn("events", f"rule/{OWN.of('approvals')}")),
        ("logs:CreateLogGroup", OWN.arn("logs", f"log-group:/aws/lambda/{OWN.of('retraining')}")),
        ("scheduler:CreateSchedule", OWN.arn("scheduler", f"schedule/default/{OWN.of('drift')}")),
        ("iam:PutRolePolicy", OWN.role_arn("job")),
        ("budgets:ModifyBudget", f"arn:aws:budgets::{OWN.account_id}:budget/{OWN.of('monthly')}"),
    ],
)
def test_whoever_deploys_a_workload_changes_what_it_owns_and_of_no_other(
    action: str, resource: str
) -> None:
    allowed, _ = workload_deployer()
    assert decide(allowed, action, resource) == "allow"
    for other in ("flight-delay", "weather", "block"):
        theirs = resource.replace("block-time", other)
        assert theirs != resource
        assert decide(allowed, action, theirs) == "nothing"
    platform = resource.replace("-block-time", "")
    assert decide(allowed, action, platform) == "nothing"


@pytest.mark.parametrize(
    "action",
    [
        "ec2:DeleteVpc", "eks:DeleteCluster", "kms:ScheduleKeyDeletion", "s3:DeleteBucket",
        "s3:PutBucketPolicy", "ecr:DeleteRepository", "ce:DeleteAnomalyMonitor",
        "cloudtrail:StopLogging", "iam:DeletePolicyVersion",
    ],
)  # fmt: skip
def test_whoever_deploys_a_workload_cannot_touch_the_platform(action: str) -> None:
    allowed, _ = workload_deployer()
    for resource in ("*", PROD.arn(action.partition(":")[0], "anything/plinth-prod-cluster")):
        assert decide(allowed, action, resource) in ("nothing", "deny")
    for role in ("approver", "deployer", "deployer-block-time", "deployer-weather"):
        for change in ("iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy", "iam:AttachRolePolicy"):
            assert decide(allowed, change, PROD.role_arn(role)) == "nothing"


def test_whoever_deploys_a_workload_makes_and_passes_its_roles_below_the_boundary() -> None:
    allowed, limits = workload_deployer()
    sagemaker = {"iam__PassedToService": "sagemaker.amazonaws.com"}
    bound = {"iam__PermissionsBoundary": boundary_arn(PROD)}
    assert decide(allowed, "iam:PassRole", OWN.role_arn("job"), **sagemaker) == "allow"
    assert decide(allowed, "iam:PassRole", PROD.role_arn("weather-job"), **sagemaker) == "nothing"
    assert decide(allowed, "iam:PassRole", PROD.role_arn("cluster"), **sagemaker) == "nothing"
    assert decide(allowed, "iam:PassRole", OWN.role_arn("job")) == "nothing"
    assert decide(allowed, "iam:CreateRole", OWN.role_arn("job")) == "allow"
    assert decide(limits, "iam:CreateRole", OWN.role_arn("job")) == "deny"
    assert decide(limits, "iam:CreateRole", OWN.role_arn("job"), **bound) == "allow"


def test_whoever_deploys_a_workload_approves_nothing() -> None:
    allowed, _ = workload_deployer()
    version = OWN.arn("sagemaker", f"model-package/{OWN.of('model')}/7")
    assert decide(allowed, "sagemaker:UpdateModelPackage", version) == "deny"


def test_a_pipeline_deploys_from_one_github_environment_exactly() -> None:
    github = foundation.GitHub(
        repository="acme/plinth", deploy_environment="prod", preview_environment="prod-preview"
    )
    found = synth("prod.foundation", with_deployers(github=github))
    roles = {
        item.inputs.value["name"]: json.loads(item.inputs.value["assumeRolePolicy"])
        for item in found
        if item.type == "aws:iam/role:Role"
    }
    subject = "token.actions.githubusercontent.com:sub"
    wanted_environments = {
        "deployer": ["prod.cluster", "prod.foundation"],
        "deployer-block-time": ["prod.block_time"],
        "preview": ["prod-preview"],
    }
    for role, several in wanted_environments.items():
        [statement] = [
            item
            for item in roles[f"plinth-prod-{role}"]["Statement"]
            if item["Action"] == "sts:AssumeRoleWithWebIdentity"
        ]
        wanted = statement["Condition"]["StringEquals"]
        assert wanted[subject] == [f"repo:acme/plinth:environment:{one}" for one in several]
        assert wanted["token.actions.githubusercontent.com:aud"] == "sts.amazonaws.com"
    assert len([item for item in found if item.type.endswith(":OpenIdConnectProvider")]) == 1


def test_a_pod_has_its_role_by_pod_identity_in_our_clusters() -> None:
    spec = RoleSpec(service=POD_IDENTITY, service_account="karpenter/karpenter")
    [statement] = trust_policy(spec, NAMES)["Statement"]
    assert statement["Action"] == ["sts:AssumeRole", "sts:TagSession"]
    assert statement["Condition"] == {
        "StringEquals": {
            "aws:SourceAccount": "123456789012",
            "aws:RequestTag/kubernetes-namespace": "karpenter",
            "aws:RequestTag/kubernetes-service-account": "karpenter",
        },
        "ArnLike": {"aws:SourceArn": "arn:aws:eks:us-east-1:123456789012:cluster/plinth-test-*"},
    }


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (RoleSpec(), "a role needs a service or a trust, got neither"),
        (RoleSpec(service="ec2.amazonaws.com", service_account="a/b"), "service_account needs"),
    ],
)
def test_a_role_that_nobody_could_assume_is_refused(spec: RoleSpec, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        trust_policy(spec, NAMES)


@pytest.mark.parametrize("other", ["data_scientist", "ml_engineer", "deployer"])
def test_the_approver_is_nobody_else(other: str) -> None:
    both = foundation.Trust(permission_sets=["Both", other])
    approver = foundation.Trust(permission_sets=["Both"])
    with pytest.raises(ValidationError, match=f"approver and {other} must be different people"):
        foundation.Personas.model_validate({"approver": approver, other: both})


def test_whoever_deploys_a_workload_is_not_the_approver() -> None:
    both = foundation.Trust(permission_sets=["ModelApprover"])
    with pytest.raises(ValidationError, match=r"approver and deployers\.weather must be different"):
        foundation.Access(deployers={"weather": both})


@pytest.mark.parametrize(
    ("trust", "problem"),
    [
        ({}, "must have permission_sets or principal_arns"),
        (
            {"principal_arns": ["arn:aws:iam::1" + "0" * 11 + ":role/a"], "require_mfa": False},
            "need require_mfa or an external_id",
        ),
    ],
)
def test_a_trust_that_asks_for_nothing_is_refused(trust: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        foundation.Trust.model_validate(trust)


def test_a_preview_does_not_run_where_deployments_run() -> None:
    with pytest.raises(ValidationError, match="preview_environment must differ"):
        foundation.GitHub(
            repository="acme/plinth", deploy_environment="prod", preview_environment="prod"
        )
    with pytest.raises(ValidationError, match=r"must not be one that deploys .*'prod\.weather'"):
        foundation.GitHub(
            repository="acme/plinth", deploy_environment="prod", preview_environment="prod.weather"
        )


@cache
def known_actions() -> frozenset[str]:
    """Every action of AWS, as cfn-lint carries them from AWS's policy generator."""
    text = files("cfnlint.data.AdditionalSpecs").joinpath("Policies.json").read_text()
    return frozenset(
        f"{service}:{action}".lower()
        for service, known in json.loads(text).items()
        for action in known["Actions"]
    )


def statements(env: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for item in stack(env):
        if item.type in ("aws:iam/policy:Policy", "aws:iam/rolePolicy:RolePolicy"):
            for statement in json.loads(item.inputs.value["policy"])["Statement"]:
                yield item.name, statement


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_every_action_in_a_policy_exists(env: str) -> None:
    asked = {(name, a.lower()) for name, s in statements(env) for a in listed(s["Action"])}
    unknown = {
        (name, pattern)
        for name, pattern in asked
        if not any(fnmatchcase(action, pattern) for action in known_actions())
    }
    assert unknown == set()


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_policies_fit_into_iam(env: str) -> None:
    inline: dict[str, int] = {}
    for item in inputs(env, "RolePolicy"):
        inline[item["role"]] = inline.get(item["role"], 0) + _characters(item["policy"])
    assert {role: size for role, size in inline.items() if size > INLINE_CHARACTERS} == {}
    for policy in stack(env):
        if policy.type == "aws:iam/policy:Policy":
            assert _characters(policy.inputs.value["policy"]) <= POLICY_CHARACTERS
    for role in inputs(env, "Role"):
        assert _characters(role["assumeRolePolicy"]) <= TRUST_CHARACTERS


def _characters(policy: str) -> int:
    return len("".join(policy.split()))
