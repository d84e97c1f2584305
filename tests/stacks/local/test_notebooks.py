"""Notebook instances, lifecycle configurations and code repositories of the local SageMaker."""

from datetime import timedelta
from typing import Any

import pytest

from stacks.local.aws.emulator import moto_backend
from stacks.local.aws.sagemaker.coverage import coverage
from stacks.local.aws.sagemaker.lifecycles import PASSING
from tests.kits.answers import request
from tests.kits.sagemaker_alone import Account

NAME = {"NotebookInstanceName": "a1"}
SCRIPT = [{"Content": "IyEvYmluL2Jhc2gK"}]
CONFIG = {"NotebookInstanceLifecycleConfigName": "setup"}


@pytest.fixture
def account() -> Account:
    return Account(waits=False)


def later(account: Account) -> None:
    account.later(PASSING + timedelta(seconds=1))


def notebook(account: Account, **more: Any) -> None:
    account.call("CreateNotebookInstance", **request("CreateNotebookInstance", **NAME, **more))


def shown(account: Account) -> dict[str, Any]:
    return account.call("DescribeNotebookInstance", **NAME)


def status(account: Account) -> str:
    return str(shown(account)["NotebookInstanceStatus"])


def stopped(account: Account) -> None:
    later(account)
    account.call("StopNotebookInstance", **NAME)
    later(account)


def test_an_instance_passes_through_its_statuses(account: Account) -> None:
    notebook(account)
    seen = [status(account)]
    for operation in ("Stop", "Start", "Stop"):
        later(account)
        seen.append(status(account))
        account.call(f"{operation}NotebookInstance", **NAME)
        seen.append(status(account))
    later(account)
    account.call("UpdateNotebookInstance", **NAME, InstanceType="ml.m5.xlarge")
    seen.append(status(account))
    later(account)
    seen.append(status(account))
    account.call("DeleteNotebookInstance", **NAME)
    seen.append(status(account))
    later(account)
    told = account.refusal("DescribeNotebookInstance", **NAME)
    assert told == ("ValidationException", "RecordNotFound")
    assert seen == [
        *("Pending", "InService", "Stopping", "Stopped", "Pending", "InService", "Stopping"),
        *("Updating", "Stopped", "Deleting"),
    ]


@pytest.mark.parametrize(
    ("reach", "operation", "wanted", "to"),
    [
        ((), "Delete", "Stopped, Failed", "Deleting"),
        ((), "Stop", "InService", "Stopping"),
        ((later,), "Start", "Stopped, Failed", "Pending"),
        ((later,), "Update", "Stopped, Failed", "Updating"),
        ((later,), "Delete", "Stopped, Failed", "Deleting"),
        ((stopped,), "Stop", "InService", "Stopping"),
    ],
)
def test_what_a_status_does_not_allow_is_refused_in_the_words_of_aws(
    reach: Any, operation: str, wanted: str, to: str, account: Account
) -> None:
    notebook(account)
    for way in reach:
        way(account)
    is_in = status(account)
    code, told = account.refusal(f"{operation}NotebookInstance", **NAME)
    arn = "arn:aws:sagemaker:us-east-1:123456789012:notebook-instance/a1"
    assert code == "ValidationException"
    assert told == (
        f"Status ({is_in}) not in ([{wanted}]). Unable to transition to ({to}) for Notebook "
        f"Instance ({arn})."
    )
    assert status(account) == is_in


def test_an_instance_has_the_defaults_that_its_documentation_names(account: Account) -> None:
    notebook(account)
    found = shown(account)
    assert (found["VolumeSizeInGB"], found["RootAccess"]) == (5, "Enabled")
    assert (found["DirectInternetAccess"], found["IpAddressType"]) == ("Enabled", "ipv4")
    assert found["PlatformIdentifier"] == "notebook-al2023-v1"
    assert found["Url"] == "a1.notebook.us-east-1.sagemaker.aws"


def test_what_an_instance_names_must_be_there(account: Account) -> None:
    asked = request("CreateNotebookInstance", **NAME)
    for named in (
        {"LifecycleConfigName": "setup"},
        {"DefaultCodeRepository": "flights"},
        {"AdditionalCodeRepositories": ["https://example.com/a", "flights"]},
        {"SubnetId": "subnet-0none"},
        {"SecurityGroupIds": ["sg-0none"]},
        {"DirectInternetAccess": "Disabled"},
    ):
        assert account.refusal("CreateNotebookInstance", **asked, **named)[0] == (
            "ValidationException"
        )
    assert account.call("ListNotebookInstances")["NotebookInstances"] == []
    account.call("CreateNotebookInstanceLifecycleConfig", **CONFIG, OnStart=SCRIPT)
    git = {"RepositoryUrl": "https://example.com/flights"}
    account.call("CreateCodeRepository", CodeRepositoryName="flights", GitConfig=git)
    given: dict[str, Any] = {
        "AdditionalCodeRepositories": ["https://example.com/a"],
        "DefaultCodeRepository": "flights",
    }
    notebook(account, LifecycleConfigName="setup", **given)
    assert given.items() <= shown(account).items()
    assert shown(account)["NotebookInstanceLifecycleConfigName"] == "setup"
    for wanted in (
        {"DefaultCodeRepositoryContains": "flig"},
        {"AdditionalCodeRepositoryEquals": "https://example.com/a"},
        {"NotebookInstanceLifecycleConfigNameContains": "set"},
        {"StatusEquals": "Pending"},
    ):
        assert len(account.call("ListNotebookInstances", **wanted)["NotebookInstances"]) == 1
    other = {"NotebookInstanceLifecycleConfigNameContains": "other"}
    assert account.call("ListNotebookInstances", **other)["NotebookInstances"] == []


def test_an_instance_is_in_a_subnet_with_groups_of_its_vpc(account: Account) -> None:
    ec2 = moto_backend("ec2", account.emulator)
    vpc, other = ec2.create_vpc("10.7.0.0/16"), ec2.create_vpc("10.8.0.0/16")
    subnet = ec2.create_subnet(vpc.id, "10.7.1.0/24", "us-east-1a").id
    groups = [ec2.create_security_group(f"g-{one.id}", "own", one.id).id for one in (vpc, other)]
    private = {"SubnetId": subnet, "DirectInternetAccess": "Disabled"}
    asked = request("CreateNotebookInstance", **NAME, **private)
    code, told = account.refusal("CreateNotebookInstance", **asked, SecurityGroupIds=groups)
    assert code == "ValidationException" and groups[1] in told
    notebook(account, **private, SecurityGroupIds=groups[:1])
    assert shown(account)["SecurityGroups"] == groups[:1]


def test_an_update_takes_away_replaces_and_only_grows(account: Account) -> None:
    account.call("CreateNotebookInstanceLifecycleConfig", **CONFIG, OnCreate=SCRIPT)
    notebook(account, LifecycleConfigName="setup", VolumeSizeInGB=20)
    stopped(account)
    less = account.refusal("UpdateNotebookInstance", **NAME, VolumeSizeInGB=10)
    assert less[0] == "ValidationException" and "can only grow" in less[1]
    unknown = account.refusal("UpdateNotebookInstance", **NAME, LifecycleConfigName="other")
    assert unknown[0] == "ValidationException"
    account.call(
        "UpdateNotebookInstance", **NAME, DisassociateLifecycleConfig=True, VolumeSizeInGB=30
    )
    found = shown(account)
    assert found["VolumeSizeInGB"] == 30
    assert "NotebookInstanceLifecycleConfigName" not in found


@pytest.mark.parametrize("operation", ["Create", "Update"])
def test_the_scripts_of_a_configuration_are_in_base64(operation: str, account: Account) -> None:
    act = f"{operation}NotebookInstanceLifecycleConfig"
    if operation == "Update":
        account.call("CreateNotebookInstanceLifecycleConfig", **CONFIG, OnStart=SCRIPT)
    code, told = account.refusal(act, **CONFIG, OnCreate=[{"Content": "echo 1234"}])
    assert code == "ValidationException" and "base64" in told
    account.call(act, **CONFIG, OnCreate=SCRIPT)
    found = account.call("DescribeNotebookInstanceLifecycleConfig", **CONFIG)
    assert found["OnCreate"] == SCRIPT
    assert found.get("OnStart", SCRIPT) == SCRIPT


def test_a_repository_keeps_its_address_when_its_secret_changes(account: Account) -> None:
    name = {"CodeRepositoryName": "flights"}
    git = {"RepositoryUrl": "https://example.com/flights", "Branch": "main"}
    account.call("CreateCodeRepository", **name, GitConfig=git)
    secret = {"SecretArn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:git-AbCdEf"}
    account.call("UpdateCodeRepository", **name, GitConfig=secret)
    found = account.call("DescribeCodeRepository", **name)
    assert found["GitConfig"] == {**git, **secret}


def test_coverage_says_that_no_notebook_server_starts(account: Account) -> None:
    rows = {row.operation: row for row in coverage()}
    told = {name: row.fidelity for name, row in rows.items()}
    recorded = ("CreateNotebookInstance", "StartNotebookInstance")
    behaving = ("StopNotebookInstance", "UpdateCodeRepository", "DeleteNotebookInstance")
    assert {told[name] for name in recorded} == {"recorded"}
    assert {told[name] for name in behaving} == {"behaves"}
    script = rows["CreateNotebookInstanceLifecycleConfig"].recorded["OnStart"]
    assert script == "no notebook instance runs the script"
    assert told["CreatePresignedNotebookInstanceUrl"] == "refused"
