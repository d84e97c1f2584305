"""Resource types that moto's CloudFormation lacks: each is made by the API of its service.

A property is the member of the request that has its name; what differs is said in a row. Sources:
the resource schemas of CloudFormation and botocore's models.
"""

from __future__ import annotations

import json
import secrets
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stacks.local.aws.account_id import ACCOUNT_ID
from stacks.local.aws.cloudformation.resource_types import told
from stacks.local.aws.cloudformation.sagemaker_resources import SCALARS, Refused
from stacks.local.aws.emulator import Emulator

Properties = Mapping[str, Any]
Requests = Callable[[Properties], Iterator[dict[str, Any]]]


def _of_topics(properties: Properties) -> Iterator[dict[str, Any]]:
    text = json.dumps(properties["PolicyDocument"])
    for arn in properties["Topics"]:
        yield {"TopicArn": arn, "AttributeName": "Policy", "AttributeValue": text}


def _of_queues(properties: Properties) -> Iterator[dict[str, Any]]:
    text = json.dumps(properties["PolicyDocument"])
    for url in properties["Queues"]:
        yield {"QueueUrl": url, "Attributes": {"Policy": text}}


def _of_subscription(properties: Properties) -> Iterator[dict[str, Any]]:
    """All but three of its properties are attributes, which are texts."""
    own = {name: properties[name] for name in SUBSCRIBED if name in properties}
    attributes = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in properties.items()
        if name not in {*SUBSCRIBED, "Region"}
    }
    yield {**own, "Attributes": attributes, "ReturnSubscriptionArn": True}


SUBSCRIBED = ("TopicArn", "Protocol", "Endpoint")


def _of_secret(properties: Properties) -> Iterator[dict[str, Any]]:
    """One whose text CloudFormation makes, where a template asks for that."""
    given = {name: value for name, value in properties.items() if name != GENERATED}
    asked = properties.get(GENERATED)
    if asked is not None:
        left_out = {*asked.get("ExcludeCharacters", "")}
        kinds = [kind for name, kind in LETTERS.items() if not _flag(asked.get(name))]
        letters = [one for kind in kinds for one in kind if one not in left_out]
        length = int(asked.get("PasswordLength", PASSWORD_LENGTH))
        text = "".join(secrets.choice(letters) for _ in range(length))
        if key := asked.get("GenerateStringKey"):
            text = json.dumps({**json.loads(asked["SecretStringTemplate"]), key: text})
        given["SecretString"] = text
    yield given


GENERATED, PASSWORD_LENGTH = "GenerateSecretString", 32
LETTERS = {
    "ExcludeLowercase": string.ascii_lowercase,
    "ExcludeUppercase": string.ascii_uppercase,
    "ExcludeNumbers": string.digits,
    "ExcludePunctuation": string.punctuation,
}
"""Property of GenerateSecretString -> the letters that it leaves out."""


def _flag(value: Any) -> bool:
    return str(value).lower() == "true"


@dataclass(frozen=True, kw_only=True)
class Row:
    """How a type is made."""

    service: str
    """Name of the boto3 client."""

    create: str
    """The operation. One that begins with Put, Set or Register changes what is there, too."""

    delete: str = ""
    """Default: it goes with what it belongs to."""

    key: tuple[str, ...] = ()
    """Members of the request that deletes it."""

    name: str = ""
    """Property for which CloudFormation makes a name where a template has none."""

    renamed: Mapping[str, str] = field(default_factory=dict)
    """Property -> member of another name."""

    requests: Requests | None = None
    """Default: one, of the properties."""

    attributes: Mapping[str, str] = field(default_factory=dict)
    """Attribute -> the member of request or answer that it is, or an ARN with those in braces."""


ALARM = "arn:aws:cloudwatch:{region}:{account}:alarm:{AlarmName}"

ROWS: Mapping[str, Row] = {
    "AWS::ApplicationAutoScaling::ScalableTarget": Row(
        service="application-autoscaling", create="RegisterScalableTarget",
        delete="DeregisterScalableTarget",
        key=("ServiceNamespace", "ResourceId", "ScalableDimension"),
        attributes={"Id": "ResourceId"},
    ),
    "AWS::Athena::WorkGroup": Row(
        service="athena", create="CreateWorkGroup", delete="DeleteWorkGroup", key=("WorkGroup",),
        renamed={"WorkGroupConfiguration": "Configuration"}, attributes={"WorkGroup": "Name"},
    ),
    "AWS::CloudWatch::Alarm": Row(
        service="cloudwatch", create="PutMetricAlarm", delete="DeleteAlarms", key=("AlarmNames",),
        name="AlarmName", attributes={"Arn": ALARM, "AlarmNames": "AlarmName"},
    ),
    "AWS::CloudWatch::CompositeAlarm": Row(
        service="cloudwatch", create="PutCompositeAlarm", delete="DeleteAlarms",
        key=("AlarmNames",), name="AlarmName",
        attributes={"Arn": ALARM, "AlarmNames": "AlarmName"},
    ),
    "AWS::Glue::Database": Row(
        service="glue", create="CreateDatabase", delete="DeleteDatabase", key=("Name",),
        attributes={"Name": "DatabaseInput.Name", "DatabaseName": "DatabaseInput.Name"},
    ),
    "AWS::Glue::Table": Row(
        service="glue", create="CreateTable", delete="DeleteTable", key=("DatabaseName", "Name"),
        attributes={"Name": "TableInput.Name", "Id": "TableInput.Name"},
    ),
    "AWS::IAM::RolePolicy": Row(
        service="iam", create="PutRolePolicy", delete="DeleteRolePolicy",
        key=("RoleName", "PolicyName"),
    ),
    "AWS::Lambda::Alias": Row(
        service="lambda", create="CreateAlias", delete="DeleteAlias", key=("FunctionName", "Name"),
    ),
    "AWS::Logs::LogStream": Row(
        service="logs", create="CreateLogStream", delete="DeleteLogStream",
        key=("logGroupName", "logStreamName"), name="LogStreamName",
    ),
    "AWS::Logs::MetricFilter": Row(
        service="logs", create="PutMetricFilter", delete="DeleteMetricFilter",
        key=("logGroupName", "filterName"), name="FilterName",
    ),
    "AWS::Logs::SubscriptionFilter": Row(
        service="logs", create="PutSubscriptionFilter", delete="DeleteSubscriptionFilter",
        key=("logGroupName", "filterName"), name="FilterName",
    ),
    "AWS::S3::BucketPolicy": Row(
        service="s3", create="PutBucketPolicy", delete="DeleteBucketPolicy", key=("Bucket",),
        renamed={"PolicyDocument": "Policy"},
    ),
    "AWS::Scheduler::Schedule": Row(
        service="scheduler", create="CreateSchedule", delete="DeleteSchedule",
        key=("Name", "GroupName"), name="Name", attributes={"Arn": "ScheduleArn"},
    ),
    "AWS::Scheduler::ScheduleGroup": Row(
        service="scheduler", create="CreateScheduleGroup", delete="DeleteScheduleGroup",
        key=("Name",), name="Name", attributes={"Arn": "ScheduleGroupArn"},
    ),
    "AWS::SNS::Subscription": Row(
        service="sns", create="Subscribe", delete="Unsubscribe", key=("SubscriptionArn",),
        requests=_of_subscription, attributes={"Arn": "SubscriptionArn"},
    ),
    "AWS::SNS::TopicPolicy": Row(
        service="sns", create="SetTopicAttributes", requests=_of_topics,
        attributes={"Id": "AttributeName"},
    ),
    "AWS::SQS::QueuePolicy": Row(
        service="sqs", create="SetQueueAttributes", requests=_of_queues,
        attributes={"Id": "QueueUrl"},
    ),
    "AWS::SecretsManager::ResourcePolicy": Row(
        service="secretsmanager", create="PutResourcePolicy", delete="DeleteResourcePolicy",
        key=("SecretId",), attributes={"Id": "ARN"},
    ),
    "AWS::SecretsManager::Secret": Row(
        service="secretsmanager", create="CreateSecret", delete="DeleteSecret", key=("SecretId",),
        name="Name", requests=_of_secret, attributes={"Id": "ARN", "SecretId": "ARN"},
    ),
}  # fmt: skip
"""What moto lacks and a stack around a model has."""

CHANGING = ("Put", "Register", "Set")


def classes(emulator: Emulator) -> dict[str, type]:
    """A class of moto's kind for each row, by its type."""
    from moto.core.common_models import CloudFormationModel

    found = {}
    for kind, row in ROWS.items():
        members = {"__module__": __name__, **_Made(emulator, kind, row).methods()}
        found[kind] = type("ServiceResource", (CloudFormationModel,), members)
    return found


@dataclass(frozen=True)
class _Made:
    """The model of one type, as moto's parser wants it."""

    emulator: Emulator
    kind: str
    row: Row

    def methods(self) -> dict[str, Any]:
        """Members of the class; moto calls those of a class without an instance."""
        found = {
            "cloudformation_type": staticmethod(lambda: self.kind),
            "cloudformation_name_type": staticmethod(lambda: self.row.name),
            "has_cfn_attr": staticmethod(lambda attribute: True),
            "create_from_cloudformation_json": classmethod(self._create),
            "physical_resource_id": property(self.reference),
            "get_cfn_attribute": lambda one, name: self.attribute(one, str(name)),
            "delete": lambda one, *_: self.delete(one),
        }
        if self.row.create.startswith(CHANGING):
            found["update_from_cloudformation_json"] = classmethod(self._update)
        return found

    def _create(self, cls: Any, /, name: str, resource: Properties, *_: str, **__: Any) -> Any:
        made = cls()
        self._make(made, name, resource.get("Properties") or {})
        return made

    def _update(self, cls: Any, /, **asked: Any) -> Any:
        old, properties = asked["original_resource"], asked["cloudformation_json"]["Properties"]
        fixed = {*told(self.kind, "createOnlyProperties"), "Topics", "Queues"}
        if any(old.properties.get(name) != properties.get(name) for name in fixed):
            self.delete(old)
            return self._create(cls, asked["new_resource_name"], asked["cloudformation_json"])
        name = old.known.get(self.row.name) or asked["new_resource_name"]
        self._make(old, name, properties)
        return old

    def _make(self, made: Any, name: str, properties: Properties) -> None:
        given = dict(properties)
        if self.row.name:
            given.setdefault(self.row.name, name)
        requests = self.row.requests or self._request
        made.properties, made.known = properties, {}
        for request in requests(given):
            answer = self._call(self.row.create, request)
            made.known |= {**request, **answer}

    def _request(self, properties: Properties) -> Iterator[dict[str, Any]]:
        """The properties as members of the operation; Refused where it has none for one."""
        members = self._shape(self.row.create).members
        by_name = {name.lower(): name for name in members}
        request = {}
        for name, value in properties.items():
            member = by_name.get(self.row.renamed.get(name, name).lower())
            if member is None:
                raise Refused(f"{self.kind}: {name} is not emulated by the local cloud")
            request[member] = shaped(value, members[member])
        yield request

    def reference(self, one: Any) -> str:
        """What `Ref` says: its primary identifier."""
        names = told(self.kind, "primaryIdentifier")
        return "|".join(str(self.attribute(one, name)) for name in names)

    def attribute(self, one: Any, name: str) -> Any:
        """A member of what was asked and answered, by the name that the schema has for it."""
        said = self.row.attributes.get(name, name)
        if "{" in said:
            place = {"region": self.emulator.region, "account": ACCOUNT_ID}
            return said.format(**place, **one.known)
        by_name = {member.lower(): value for member, value in one.known.items()}
        first, *rest = said.lower().split(".")
        if first not in by_name:
            from moto.cloudformation.exceptions import UnformattedGetAttTemplateException

            raise UnformattedGetAttTemplateException
        value = by_name[first]
        for part in rest:
            value = {member.lower(): inner for member, inner in value.items()}[part]
        return value

    def delete(self, one: Any) -> None:
        """Delete it, unless it goes with what it belongs to."""
        if not self.row.delete:
            return
        members = self._shape(self.row.delete).members
        key = {}
        for name in self.row.key:
            value = self.attribute(one, name)
            key[name] = [value] if members[name].type_name == "list" else value
        more = {"ForceDeleteWithoutRecovery": True} & members.keys()
        self._call(self.row.delete, {**key, **dict.fromkeys(more, True)})

    def _shape(self, operation: str) -> Any:
        from stacks.local.aws.protocols import model_of

        return model_of(self.row.service).operation_model(operation).input_shape

    def _call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError

        client = self.emulator.own_client(self.row.service)
        try:
            answer = client._make_api_call(operation, dict(request))
        except ClientError as error:
            code, why = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
            raise Refused(f"{self.kind}: {code}: {why}") from error
        except BotoCoreError as error:
            raise Refused(f"{self.kind}: {error}") from error
        return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def shaped(value: Any, shape: Any) -> Any:
    """A value of a template as a service's API has it: other capitals, text for numbers, a
    document as its JSON, a list of tags as a map."""
    if shape.type_name == "structure" and isinstance(value, Mapping):
        by_name = {name.lower(): name for name in shape.members}
        lost = sorted(name for name in value if name.lower() not in by_name)
        if lost:
            raise Refused(f"{lost[0]} is not emulated by the local cloud")
        names = {name: by_name[name.lower()] for name in value}
        return {names[name]: shaped(own, shape.members[names[name]]) for name, own in value.items()}
    if shape.type_name == "map":
        return {name: shaped(own, shape.value) for name, own in _pairs(value)}
    if shape.type_name == "list" and isinstance(value, Sequence) and not isinstance(value, str):
        return [shaped(own, shape.member) for own in value]
    if shape.type_name == "string" and isinstance(value, Mapping | list):
        return json.dumps(value)
    of = SCALARS.get(shape.type_name)
    return value if of is None or isinstance(value, bool) else of(value)


def _pairs(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from value.items()
    else:
        yield from ((one["Key"], one["Value"]) for one in value)
