"""Cases of the rules about pipelines beyond the two gates in access.py."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pulumi_aws as aws

from policies.rule import Status
from tests.policies.cases.access import (
    FAIL,
    TRAIN,
    holds,
    pipeline,
    register,
    step,
    unread_pipeline,
)
from tests.policies.cases.case import KEY, Case, Program, later

HOME = "arn:aws:iam::123456789012:role/jobs"
AWAY = "arn:aws:iam::210987654321:role/jobs"
PARAMETER = {"Get": "Parameters.X"}


def case(rule: str, status: Status, program: Program, says: str = "", **config: Any) -> Case:
    return Case(rule=f"ML-PL-{rule}", status=status, program=program, says=says, config=config)


def undecided(rule: str, program: Program = unread_pipeline, says: str = "") -> Case:
    return Case(rule=f"ML-PL-{rule}", status="unknown", program=program, says=says, preview=True)


def of(*steps: Any) -> Program:
    return partial(pipeline, "training", *steps)


def document(
    *steps: Any, parameters: tuple[Any, ...] = (), role: Any = HOME, tags: Any = None, **more: Any
) -> None:
    """A pipeline with parameters, and a resource around it."""
    text = {"Version": "2020-12-01", "Parameters": list(parameters), "Steps": list(steps)}
    given = {"pipeline_definition": json.dumps(text)}
    aws.sagemaker.Pipeline(
        "training",
        pipeline_name="training",
        pipeline_display_name="training",
        role_arn=role,
        tags=tags,
        **{**given, **more},
    )


def parameter(name: str = "X", **changes: Any) -> dict[str, Any]:
    return {"Name": name, "Type": "String", "DefaultValue": "x", **changes}


# Gates before RegisterModel

EVALUATED = step("Evaluate", "Processing", ("Train",))
PENDING = register("PendingManualApproval")
RATED = step(
    "Register",
    "RegisterModel",
    ("Clarify0", "Clarify1"),
    CustomerMetadataProperties={"risk": "High"},
)
CARD = {"ModelCardContent": json.dumps({"intended_uses": {"risk_rating": "High"}})}
QUALITY_OF_MODEL = holds([PENDING], [FAIL], asks="Evaluate")


def clarify(*kinds: str, **fields: Any) -> list[dict[str, Any]]:
    return [
        {**step(f"Clarify{i}", "ClarifyCheck"), "CheckType": kind, **fields}
        for i, kind in enumerate(kinds)
    ]


BOTH = ("DATA_BIAS", "MODEL_EXPLAINABILITY")

GATES = [
    case("002", "pass", of(TRAIN, EVALUATED, QUALITY_OF_MODEL)),
    case("002", "pass", of(step("Look", "Processing"), holds([PENDING], [FAIL], asks="Look"))),
    case("002", "fail", of(TRAIN, EVALUATED, PENDING), "Steps[2] (Register) must be behind a"),
    case(
        "002",
        "fail",
        of(TRAIN, step("Look", "Processing"), holds([PENDING], [FAIL], asks="Look")),
        "IfSteps[0] (Register)",
    ),
    case(
        "002",
        "fail",
        of(
            TRAIN, EVALUATED, holds([PENDING], [register("x") | {"Name": "Worse"}], asks="Evaluate")
        ),
        "(Register) must be behind",
    ),
    undecided("002"),
    case("002", "not_applicable", of(TRAIN), "registers no model"),
    case("004", "pass", of(*clarify(*BOTH), RATED)),
    case("004", "fail", of(RATED), "must be behind a check of bias and of explainability"),
    case("004", "fail", of(*clarify("DATA_BIAS"), RATED), "a check of explainability"),
    case("004", "fail", of(*clarify(*BOTH, SkipCheck=True), RATED), "bias and of"),
    case("004", "fail", of(step("Register", "RegisterModel", ModelCard=CARD)), "check of bias"),
    case("004", "fail", partial(document, PENDING, tags={"risk": "high"}), "check of bias"),
    undecided("004"),
    case("004", "not_applicable", of(PENDING), "rated as high risk"),
]

# Jobs

CLUSTER = {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeKmsKeyId": KEY}
NETWORK = {"EnableNetworkIsolation": True, "VpcConfig": {"Subnets": ["subnet-1"]}}
OPEN = {**NETWORK, "EnableNetworkIsolation": False}


def processing(cluster: Any = None, **changes: Any) -> dict[str, Any]:
    request = {
        "ProcessingResources": {"ClusterConfig": {**CLUSTER, **(cluster or {})}},
        "NetworkConfig": NETWORK,
        "ProcessingOutputConfig": {"Outputs": [], "KmsKeyId": KEY},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }
    return step("Process", "Processing", **{**request, **changes})


TRANSFORM = step(
    "Transform",
    "Transform",
    TransformResources={"InstanceType": "ml.g5.xlarge", "InstanceCount": 2},
    TransformOutput={"KmsKeyId": KEY},
)
AUTO = step("Auto", "AutoML", AutoMLJobConfig={}, OutputDataConfig={"KmsKeyId": KEY})

JOBS = [
    case("005", "pass", of(processing(), TRANSFORM)),
    case("005", "pass", of(processing(ProcessingOutputConfig=None))),
    case("005", "pass", of(processing(NetworkConfig=OPEN)), calling_steps=("Process",)),
    case(
        "005",
        "fail",
        of(processing(NetworkConfig=OPEN)),
        "Steps[0].Arguments.NetworkConfig.EnableNetworkIsolation must be true, got false",
        calling_steps=("Other",),
    ),
    case(
        "005",
        "fail",
        of(processing(NetworkConfig={})),
        "NetworkConfig.VpcConfig must be set, got none",
        calling_steps=("Process",),
    ),
    case(
        "005",
        "fail",
        of(processing(NetworkConfig={}, ProcessingOutputConfig={"Outputs": []})),
        "NetworkConfig.VpcConfig must be set, got none; "
        "Steps[0].Arguments.NetworkConfig.EnableNetworkIsolation must be true",
    ),
    case("005", "fail", of(processing({"InstanceCount": 2})), "must be true on several instances"),
    case("005", "fail", of(processing({"VolumeKmsKeyId": None})), "must be set on ml.m5.xlarge"),
    case(
        "005", "fail", of(processing({"InstanceType": "ml.g5.xlarge"})), "must be absent on ml.g5"
    ),
    case("005", "fail", of(AUTO), "AutoMLJobConfig.SecurityConfig.VpcConfig must be set"),
    case("005", "unknown", of(processing({"VolumeKmsKeyId": PARAMETER})), "VolumeKmsKeyId"),
    undecided("005"),
    case("005", "not_applicable", of(FAIL), "runs no job"),
    case("006", "pass", of(processing(), TRANSFORM)),
    case("006", "fail", of(processing(StoppingCondition={})), "MaxRuntimeInSeconds must be set"),
    case(
        "006",
        "fail",
        of(processing(), TRANSFORM),
        "TransformResources.InstanceType must be one of ml.m5.*, got ml.g5.xlarge",
        job_instance_types=["ml.m5.*"],
    ),
    case(
        "006", "unknown", of(processing({"InstanceType": PARAMETER})), "ClusterConfig.InstanceType"
    ),
    case("006", "not_applicable", of(FAIL), "runs no job"),
]

# The definition as a whole, and the resource around it

USES_X = step("A", "Processing", Environment={"X": PARAMETER})
WAITS_FOR_B = step("A", "Processing", ("B",))
WAITS_FOR_A = step("B", "Processing", ("A",))
PRODUCTION: dict[str, Any] = {"project": "plinth", "environment": "prod"}
CHOOSES = step("A", "Training", ResourceConfig={"InstanceType": PARAMETER})


def reads(uri: str) -> dict[str, Any]:
    return step("A", "Processing", ProcessingInputs=[{"S3Input": {"S3Uri": uri}}])


def unsound(says: str, *steps: Any, **more: Any) -> Case:
    return case("007", "fail", partial(document, *steps, **more), says)


def in_s3(version: Any = None) -> None:
    place = {"bucket": "b", "object_key": "k", "version_id": version}
    document(pipeline_definition=None, pipeline_definition_s3_location=place)


def parallel(most: Any) -> Program:
    return lambda: document(
        parallelism_configuration={
            "max_parallel_execution_steps": most() if callable(most) else most
        }
    )


SHAPE = [
    case("007", "pass", partial(document, USES_X, parameters=(parameter(),))),
    case("007", "pass", partial(document, CHOOSES, parameters=(parameter(EnumValues=["x"]),))),
    case("007", "pass", partial(document, reads("s3://plinth-prod-data/x"), tags=PRODUCTION)),
    unsound("Steps[0].Arguments.Environment.X must name a parameter, got 'Parameters.X'", USES_X),
    unsound("Parameters[0] (X) must be used, or go", parameters=(parameter(),)),
    unsound(
        "Parameters[0] (X) must have a DefaultValue",
        USES_X,
        parameters=({"Name": "X", "Type": "String"},),
    ),
    unsound("(X) must have EnumValues", CHOOSES, parameters=(parameter(),)),
    unsound("A -> B -> A must not wait for each other", WAITS_FOR_B, WAITS_FOR_A),
    unsound("Steps[0].DependsOn[0] must be a step, got 'B'", WAITS_FOR_B),
    unsound("Steps[1] (A) must have a name of its own", reads("s3://b"), reads("s3://b")),
    unsound("must name a step, got 'Steps.Validate.PropertyFiles.Report'", holds()),
    unsound(
        "must name a property file of Evaluate, got 'Report'", EVALUATED, holds(asks="Evaluate")
    ),
    unsound("must name what a run knows", step("A", "Fail", ErrorMessage={"Get": "Execution.Id"})),
    unsound("must name account 123456789012 only", step("A", "Training", RoleArn=AWAY)),
    unsound("got s3://plinth-dev-data/x", reads("s3://plinth-dev-data/x"), tags=PRODUCTION),
    unsound("account", reads("s3://data-210987654321/x")),
    undecided("007"),
    case("007", "not_applicable", lambda: aws.sns.Topic("topic")),
    case("008", "pass", parallel(4)),
    case("008", "fail", document, "must be between 1 and 50, got none"),
    case("008", "fail", parallel(60), "got 60"),
    undecided("008", parallel(lambda: later().apply(lambda _: 4)), "maxParallelExecutionSteps"),
    case("008", "not_applicable", lambda: aws.sns.Topic("topic")),
    case("011", "pass", document),
    case("011", "pass", partial(in_s3, "3")),
    case("011", "fail", in_s3, "versionId must be set, got none"),
    undecided("011", lambda: in_s3(later()), "versionId"),
    case("011", "not_applicable", lambda: aws.sns.Topic("topic")),
    case("007", "unknown", partial(in_s3, "3"), "what stands there"),
]

CACHED = {"CacheConfig": {"Enabled": True, "ExpireAfter": "p7d"}}
FETCH = step("Fetch", "Processing", ProcessingInputs=[{"InputName": "code"}])

CACHING = [
    case("010", "pass", of({**TRAIN, **CACHED})),
    case("010", "pass", of({**reads("s3://b"), **CACHED})),
    case("010", "fail", of({**TRAIN, "CacheConfig": {"Enabled": True}}), "ExpireAfter must be set"),
    case("010", "fail", of({**FETCH, **CACHED}), "Fetch fetches data by itself"),
    undecided("010"),
    case("010", "not_applicable", of(TRAIN, {**FETCH, "CacheConfig": {"Enabled": False}})),
]

# The role

PASS = {
    "Effect": "Allow",
    "Action": "iam:PassRole",
    "Resource": HOME,
    "Condition": {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
}


def with_role(*statements: Any, model: bool = False, policy: Any = None) -> None:
    role = aws.iam.Role("pipeline", name="pipeline", assume_role_policy="{}")
    text = json.dumps({"Statement": list(statements)})
    aws.iam.RolePolicy("pipeline", role=role.id, policy=policy or text)
    if model:
        aws.sagemaker.Model("model", execution_role_arn=role.arn)
    document(role=role.arn)


ROLES = [
    case("009", "pass", partial(with_role, PASS)),
    Case(rule="ML-PL-009", status="pass", program=partial(with_role, PASS), preview=True),
    case("009", "fail", partial(with_role, PASS, model=True), "share its role with model model"),
    case("009", "fail", partial(with_role, {**PASS, "Action": "sagemaker:*"}), "sagemaker:*"),
    case("009", "fail", partial(with_role, {**PASS, "Resource": "*"}), "pass named roles only"),
    case("009", "fail", partial(with_role, {**PASS, "Condition": {}}), "on iam:PassedToService"),
    undecided("009", lambda: with_role(policy=later()), "policy"),
    case("009", "not_applicable", document, "not of this stack"),
]

MORE_PIPELINES = [*GATES, *JOBS, *SHAPE, *CACHING, *ROLES]
