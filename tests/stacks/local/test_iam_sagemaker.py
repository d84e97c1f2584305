"""IAM decides on every operation of the local SageMaker, whether it behaves or is only recorded."""

from collections.abc import Mapping
from typing import Any

import boto3
import pytest

from stacks.local.aws.sagemaker.api import OPERATIONS
from tests.kits.answers import request
from tests.kits.local_cloud import ROLE, Cloud, refusal, trusted_role

HERE = "arn:aws:sagemaker:us-east-1:123456789012"


class As:
    """Clients of a role that may do what a statement says."""

    def __init__(self, cloud: Cloud, name: str, **statement: Any) -> None:
        trusted_role(cloud.client("iam"), name, **statement)
        arn = f"{ROLE.rpartition('/')[0]}/{name}"
        entered = cloud.client("sts").assume_role(RoleArn=arn, RoleSessionName="me")
        keys = entered["Credentials"]
        self._url = cloud.info.endpoint_url
        self._session = boto3.session.Session(
            keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], "us-east-1"
        )

    def __call__(self, service: str) -> Any:
        return self._session.client(service, endpoint_url=self._url)


@pytest.fixture(scope="module")
def nobody(cloud: Cloud) -> As:
    return As(cloud, "nobody", Action="s3:ListAllMyBuckets")


UNSUITABLE = ("AddTags", "DeleteTags", "ListTags", "CreatePipeline", "UpdatePipeline")
"""Operations for which the tests have no small request; `test_iam` asks about tags."""


def _asked() -> dict[str, dict[str, Any]]:
    found = {}
    for name in sorted(OPERATIONS.keys() - set(UNSUITABLE)):
        try:
            found[name] = request(name)
        except LookupError:
            continue
    return found


ASKED = _asked()


def test_nearly_every_operation_is_asked_about() -> None:
    assert len(ASKED) > 0.85 * len(OPERATIONS)


@pytest.mark.parametrize("operation", ASKED)
def test_who_may_nothing_does_nothing(operation: str, nobody: As) -> None:
    """Denied, or counted as not decided where the resource cannot be told of the request."""
    sagemaker = nobody("sagemaker")
    code, message, _ = refusal(
        lambda **asked: sagemaker._make_api_call(operation, asked), **ASKED[operation]
    )
    assert (code, "is not authorized to perform: sagemaker:" in message) == (
        "AccessDeniedException",
        True,
    )


@pytest.mark.parametrize(
    ("name", "operation", "asked", "resource"),
    [
        ("sagemaker", "DescribeUserProfile", {"DomainId": "d-a", "UserProfileName": "ann"},
         "user-profile/d-a/ann"),
        ("sagemaker", "DescribeApp", {"DomainId": "d-a", "SpaceName": "s", "AppType": "JupyterLab",
         "AppName": "default"}, "app/d-a/s/JupyterLab/default"),
        ("sagemaker", "CreateDomain", {"DomainName": "ours", "AuthMode": "IAM",
         "DefaultUserSettings": {}}, "domain/*"),
        ("sagemaker", "UpdateDomain", {"DomainId": "d-a"}, "domain/d-a"),
        ("sagemaker", "DescribeProject", {"ProjectName": "p"}, "project/p"),
        ("sagemaker", "DescribeImageVersion", {"ImageName": "i", "Version": 2},
         "image-version/i/2"),
        ("sagemaker", "DescribeImageVersion", {"ImageName": "i"}, "image-version/i/*"),
        ("sagemaker", "CreateImageVersion",
         {"ImageName": "i", "BaseImage": "b", "ClientToken": "t" * 32}, "image/i"),
        ("sagemaker", "ListImageVersions", {"ImageName": "i"}, "image/i"),
        ("sagemaker", "DescribeHubContent",
         {"HubName": "h", "HubContentType": "Model", "HubContentName": "c"},
         "hub/h"),
        ("sagemaker", "DeleteStudioLifecycleConfig", {"StudioLifecycleConfigName": "l"},
         "studio-lifecycle-config/l"),
        ("sagemaker", "DescribeModelQualityJobDefinition", {"JobDefinitionName": "q"},
         "model-quality-job-definition/q"),
        ("sagemaker", "StartMonitoringSchedule", {"MonitoringScheduleName": "m"},
         "monitoring-schedule/m"),
        ("sagemaker", "DescribeTrialComponent", {"TrialComponentName": "c"},
         "experiment-trial-component/c"),
        ("sagemaker", "UpdateInferenceComponentRuntimeConfig",
         {"InferenceComponentName": "i", "DesiredRuntimeConfig": {"CopyCount": 1}},
         "inference-component/i"),
        ("sagemaker-featurestore-runtime", "ListRecords", {"FeatureGroupName": "g"},
         "feature-group/g"),
        ("sagemaker-featurestore-runtime", "BatchWriteRecord",
         {"Entries": [{"FeatureGroupName": "g", "Record": [{"FeatureName": "id"}]}]},
         "feature-group/g"),
    ],
)  # fmt: skip
def test_a_denial_names_the_resource(
    name: str, operation: str, asked: Mapping[str, Any], resource: str, nobody: As
) -> None:
    client = nobody(name)
    message = refusal(lambda **more: client._make_api_call(operation, more), **asked)[1]
    assert f"sagemaker:{operation} on resource: {HERE}:{resource} because" in message


def test_a_role_does_what_it_may_to_what_it_may(cloud: Cloud) -> None:
    names = ["Create", "Describe", "Delete"]
    resource = f"{HERE}:experiment/ours-*"
    actions = [f"sagemaker:{name}Experiment" for name in names]
    sagemaker = As(cloud, "scientist", Action=actions, Resource=resource)("sagemaker")
    assert sagemaker.create_experiment(ExperimentName="ours-1")
    assert sagemaker.describe_experiment(ExperimentName="ours-1")["ExperimentName"] == "ours-1"
    denied = "AccessDeniedException"
    assert refusal(sagemaker.create_experiment, ExperimentName="theirs")[0] == denied
    assert refusal(sagemaker.update_experiment, ExperimentName="ours-1")[0] == denied
    tagged = {"ExperimentName": "ours-2", "Tags": [{"Key": "team", "Value": "a"}]}
    code, message, _ = refusal(sagemaker.create_experiment, **tagged)
    assert code == denied and "sagemaker:AddTags" in message
    sagemaker.delete_experiment(ExperimentName="ours-1")


def test_a_role_is_given_only_by_who_may_pass_it(cloud: Cloud) -> None:
    sagemaker = As(cloud, "imager", Action="sagemaker:*")("sagemaker")
    asked = {"ImageName": "ours", "RoleArn": ROLE}
    code, message, _ = refusal(sagemaker.create_image, **asked)
    assert code == "AccessDeniedException" and "iam:PassRole" in message
    passing = As(cloud, "passing", Action=["sagemaker:*", "iam:PassRole"])("sagemaker")
    assert passing.create_image(**asked)["ImageArn"] == f"{HERE}:image/ours"
