"""Feature groups as resources, their features, and the calls of the feature store runtime."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from stacks.local.aws.account_id import ACCOUNT_ID
from stacks.local.aws.emulator import Emulator
from stacks.local.aws.role_sessions import CannotAssume
from stacks.local.aws.sagemaker import catalog
from stacks.local.aws.sagemaker.crud import paged
from stacks.local.aws.sagemaker.errors import ApiError, invalid
from stacks.local.aws.sagemaker.records import Records, seconds_of
from stacks.local.aws.sagemaker.resource_type import Missing, Request, short_name
from stacks.local.aws.sagemaker.role_needs import no_key
from stacks.local.aws.sagemaker.shapes import now
from stacks.local.aws.store import Resource, Store

GROUP = "feature group"
STORES = ("OnlineStore", "OfflineStore")
BATCH_LIMIT = 100
UPDATED = ("Standard_V2", "InMemory")
"""Storage types whose records can be changed in part (UpdateRecord, API reference)."""

RESERVED = ("is_deleted", "write_time", "api_invocation_time")
"""The offline store's own columns: no feature is called so (FeatureDefinition, API reference)."""

MISSING = Missing(
    code="ResourceNotFound",
    text="Resource Not Found: Amazon SageMaker can't find a FeatureGroup with name {name}",
)


def online_key(store: Store, name: str) -> str | None:
    """The KMS key of a group's online store; None: there is none of the customer's."""
    item = store.find(GROUP, short_name(name))
    config = item.fields.get("OnlineStoreConfig") if item else None
    return ((config or {}).get("SecurityConfig") or {}).get("KmsKeyId")


def start_group(emulator: Emulator, item: Resource, request: Request) -> None:
    """Open both stores of a new group."""
    _check(emulator, request)
    types = {f["FeatureName"]: f["FeatureType"] for f in request["FeatureDefinitions"]}
    online = request.get("OnlineStoreConfig", {})
    offline = request.get("OfflineStoreConfig")
    uri = None
    if offline is not None:
        base = offline["S3StorageConfig"]["S3Uri"].rstrip("/")
        stamp = int(item.created.timestamp())
        where = f"{ACCOUNT_ID}/sagemaker/{emulator.region}/offline-store/{item.name}-{stamp}/data"
        uri = f"{base}/{where}"
        storage = {**offline["S3StorageConfig"], "ResolvedOutputS3Uri": uri}
        catalogued = catalog.place(item, offline)
        shown = {**offline, "S3StorageConfig": storage}
        item.set(
            OfflineStoreConfig=shown | ({"DataCatalogConfig": catalogued} if catalogued else {}),
            OfflineStoreStatus={"Status": "Active"},
        )
        catalog.write(emulator, item)
    item.live = Records(
        identifier=request["RecordIdentifierFeatureName"],
        event_time=request["EventTimeFeatureName"],
        types=types,
        online=bool(online.get("EnableOnlineStore")),
        offline_uri=uri,
        ttl_seconds=_ttl(online.get("TtlDuration")),
    )
    item.set(FeatureGroupStatus="Created")


def _check_names(definitions: Sequence[Mapping[str, str]]) -> None:
    """ValidationException where a feature would have a name of the offline store's own columns."""
    reserved = [one["FeatureName"] for one in definitions if one["FeatureName"] in RESERVED]
    if reserved:
        told = f"FeatureName cannot be any of the following: {', '.join(RESERVED)}"
        raise invalid(f"{told}, got {reserved[0]}")


def _check(emulator: Emulator, request: Request) -> None:
    """ValidationException where a group cannot be as it is asked for."""
    _check_names(request["FeatureDefinitions"])
    types = {f["FeatureName"]: f["FeatureType"] for f in request["FeatureDefinitions"]}
    if len(types) < len(request["FeatureDefinitions"]):
        raise invalid("feature names must be unique")
    for member in ("RecordIdentifierFeatureName", "EventTimeFeatureName"):
        if request[member] not in types:
            raise invalid(f"{member} {request[member]!r} is not among FeatureDefinitions")
    if types[request["EventTimeFeatureName"]] == "Integral":
        raise invalid("the event time feature must be String or Fractional")
    online = request.get("OnlineStoreConfig", {})
    offline = request.get("OfflineStoreConfig")
    if not online.get("EnableOnlineStore") and offline is None:
        raise invalid("a feature group needs an online store, an offline store, or both")
    if offline is not None and "RoleArn" not in request:
        raise invalid("RoleArn must be given with OfflineStoreConfig: it writes the offline store")
    if online.get("StorageType") == "InMemory" and offline is not None:
        raise invalid("an InMemory online store cannot stand beside an offline store")
    for key in _keys(request):
        if told := no_key(emulator, key):
            raise invalid(f"{told} (NotFoundException of kms:DescribeKey)")


def _keys(request: Request) -> Iterator[str]:
    """Keys of both stores, which whoever creates a group, and its role, must be able to look up
    (KmsKeyId of OnlineStoreSecurityConfig and S3StorageConfig, API reference)."""
    yield request.get("OnlineStoreConfig", {}).get("SecurityConfig", {}).get("KmsKeyId", "")
    yield request.get("OfflineStoreConfig", {}).get("S3StorageConfig", {}).get("KmsKeyId", "")


def update_group(emulator: Emulator, item: Resource, request: Request) -> None:
    """Features are only added; the time to live may change."""
    records: Records = item.live
    added = request.get("FeatureAdditions", [])
    _check_names(added)
    known = sorted(f["FeatureName"] for f in added if f["FeatureName"] in records.types)
    if known:
        raise invalid(f"FeatureAdditions names features that exist: {', '.join(known)}")
    flush(emulator, item)  # what was written before has the old columns
    records.types.update({f["FeatureName"]: f["FeatureType"] for f in added})
    item.set(
        FeatureDefinitions=[*item.fields["FeatureDefinitions"], *added],
        LastUpdateStatus={"Status": "Successful"},
    )
    catalog.write(emulator, item)
    if "OnlineStoreConfig" in request:
        online = {**item.fields.get("OnlineStoreConfig", {}), **request["OnlineStoreConfig"]}
        records.ttl_seconds = _ttl(online.get("TtlDuration"))
        item.set(OnlineStoreConfig=online)


def describe_group(emulator: Emulator, item: Resource) -> None:
    """What a reader of the offline store finds is up to date once the group was described."""
    flush(emulator, item)
    item.fields["NextToken"] = ""


def describe_feature(emulator: Emulator, request: Request) -> dict[str, Any]:
    """What people say of a feature (DescribeFeatureMetadata)."""
    return _described(*_feature(emulator, request))


def metadata(item: Resource) -> list[dict[str, Any]]:
    """The same of every feature of a group, as Search finds them."""
    return [_described(item, feature) for feature in item.fields["FeatureDefinitions"]]


def _described(item: Resource, feature: Mapping[str, str]) -> dict[str, Any]:
    said = _metadata(item, feature["FeatureName"])
    parameters = [{"Key": key, "Value": value} for key, value in said["parameters"].items()]
    return {
        "FeatureGroupArn": item.arn,
        "FeatureGroupName": item.name,
        "FeatureName": feature["FeatureName"],
        "FeatureType": feature["FeatureType"],
        "CreationTime": item.created,
        "LastModifiedTime": said.get("modified", item.created),
        "Parameters": parameters,
        **({"Description": said["description"]} if "description" in said else {}),
    }


def update_feature(emulator: Emulator, request: Request) -> dict[str, Any]:
    """Description and parameters of a feature (UpdateFeatureMetadata)."""
    with emulator.store.lock:
        item, feature = _feature(emulator, request)
        said = _metadata(item, feature["FeatureName"])
        said["parameters"] |= {p["Key"]: p["Value"] for p in request.get("ParameterAdditions", ())}
        for key in request.get("ParameterRemovals", ()):
            said["parameters"].pop(key, None)
        if "Description" in request:
            said["description"] = request["Description"]
        said["modified"] = now()
    return {}


def _metadata(item: Resource, feature: str) -> dict[str, Any]:
    known: dict[str, Any] = item.fields.setdefault("FeatureMetadata", {})
    found: dict[str, Any] = known.setdefault(feature, {"parameters": {}})
    return found


def _feature(emulator: Emulator, request: Request) -> tuple[Resource, Mapping[str, str]]:
    item, name = _item(emulator, request["FeatureGroupName"]), request["FeatureName"]
    for feature in item.fields["FeatureDefinitions"]:
        if feature["FeatureName"] == name:
            return item, feature
    told = f"Amazon SageMaker can't find a feature with name {name} in {item.name}"
    raise ApiError("ResourceNotFound", f"Resource Not Found: {told}")


METADATA: Mapping[str, Callable[[Emulator, Request], dict[str, Any]]] = {
    "DescribeFeatureMetadata": describe_feature,
    "UpdateFeatureMetadata": update_feature,
}
"""Operations on what people say of features."""


def delete_group(emulator: Emulator, item: Resource, request: Request) -> None:
    """The offline store's files stay, as on AWS."""
    flush(emulator, item)


def flush(emulator: Emulator, item: Resource) -> None:
    """Write waiting records to the offline store; where that fails the store is Blocked."""
    records: Records = item.live
    status = {"Status": "Active"}
    try:
        if records.unwritten:
            records.flush(emulator.act(item.fields.get("RoleArn", ""), item.arn).s3)
    except (CannotAssume, ClientError) as error:
        status = {"Status": "Blocked", "BlockedReason": str(error)[:1024]}
    if records.offline_uri is not None and item.fields["OfflineStoreStatus"] != status:
        item.set(OfflineStoreStatus=status)


def put_record(emulator: Emulator, request: Request) -> Mapping[str, Any]:
    records = _records(emulator, request["FeatureGroupName"])
    values = _values(request["Record"])
    records.put(values, _stores(records, request), request.get("TtlDuration"))
    return {}


def _values(features: Sequence[Mapping[str, str]]) -> dict[str, str]:
    for value in features:
        if "ValueAsString" not in value:
            raise ApiError("ValidationError", f"{value['FeatureName']!r} must have ValueAsString")
    return {value["FeatureName"]: value["ValueAsString"] for value in features}


def update_record(emulator: Emulator, request: Request) -> Mapping[str, Any]:
    """Not for every storage type (UpdateRecord, API reference)."""
    records = _records(emulator, request["FeatureGroupName"])
    kind = _item(emulator, request["FeatureGroupName"]).fields.get("OnlineStoreConfig", {})
    if kind.get("StorageType", "Standard") not in UPDATED:
        raise ApiError("ValidationError", f"StorageType must be one of {', '.join(UPDATED)}")
    records.update(
        request["RecordIdentifierValueAsString"],
        _values(request["Features"]),
        _stores(records, request),
        request.get("TtlDuration"),
    )
    return {}


def batch_write_record(emulator: Emulator, request: Request) -> Mapping[str, Any]:
    """Every entry by itself; what is wrong with one is told and spoils no other."""
    errors = []
    for entry in request["Entries"]:
        ttl = {"TtlDuration": request["TtlDuration"]} if "TtlDuration" in request else {}
        try:
            put_record(emulator, {**ttl, **entry})
        except ApiError as error:
            told = {"ErrorCode": error.code, "ErrorMessage": error.message}
            errors.append({"Entry": entry, **told})
    return {"Errors": errors, "UnprocessedEntries": []}


def list_records(emulator: Emulator, request: Request) -> Mapping[str, Any]:
    records = _online(emulator, request["FeatureGroupName"])
    found = records.identifiers(request.get("IncludeSoftDeletedRecords", False))
    return paged("RecordIdentifiers", found, request)


def get_record(emulator: Emulator, request: Request) -> Mapping[str, Any]:
    records = _online(emulator, request["FeatureGroupName"])
    names = request.get("FeatureNames", [])
    return _told(records.get(request["RecordIdentifierValueAsString"], names), request)


def _told(found: Mapping[str, Any], request: Request) -> dict[str, Any]:
    """ExpiresAt only for who asks for it (ExpirationTimeResponse)."""
    if request.get("ExpirationTimeResponse") == "Enabled":
        return dict(found)
    return {name: value for name, value in found.items() if name != "ExpiresAt"}


def batch_get_record(emulator: Emulator, request: Request) -> Mapping[str, Any]:
    asked = [
        (entry, identifier)
        for entry in request["Identifiers"]
        for identifier in entry["RecordIdentifiersValueAsString"]
    ]
    if len(asked) > BATCH_LIMIT:
        raise ApiError("ValidationError", f"at most {BATCH_LIMIT} records, got {len(asked)}")
    records, errors = [], []
    for entry, identifier in asked:
        names = {
            "FeatureGroupName": entry["FeatureGroupName"],
            "RecordIdentifierValueAsString": identifier,
        }
        try:
            group = _records(emulator, entry["FeatureGroupName"])
            found = group.get(identifier, entry.get("FeatureNames", []))
        except ApiError as error:
            errors.append({**names, "ErrorCode": error.code, "ErrorMessage": error.message})
            continue
        if found:
            records.append({**names, **_told(found, request)})
    return {"Records": records, "Errors": errors, "UnprocessedIdentifiers": []}


def delete_record(emulator: Emulator, request: Request) -> Mapping[str, Any]:
    records = _records(emulator, request["FeatureGroupName"])
    records.delete(
        request["RecordIdentifierValueAsString"],
        request["EventTime"],
        _stores(records, request),
        request.get("DeletionMode") == "HardDelete",
    )
    return {}


RUNTIME: Mapping[str, Callable[[Emulator, Request], Mapping[str, Any]]] = {
    "BatchGetRecord": batch_get_record,
    "BatchWriteRecord": batch_write_record,
    "DeleteRecord": delete_record,
    "GetRecord": get_record,
    "ListRecords": list_records,
    "PutRecord": put_record,
    "UpdateRecord": update_record,
}
"""Operations of sagemaker-featurestore-runtime."""


def _item(emulator: Emulator, name_or_arn: str) -> Resource:
    name = short_name(name_or_arn)
    item = emulator.store.find(GROUP, name)
    if item is None:
        raise MISSING.error(name=name)
    return item


def _records(emulator: Emulator, name_or_arn: str) -> Records:
    records: Records = _item(emulator, name_or_arn).live
    return records


def _online(emulator: Emulator, name_or_arn: str) -> Records:
    records = _records(emulator, name_or_arn)
    if not records.online:
        raise ApiError("ValidationError", "the feature group has no online store")
    return records


def _stores(records: Records, request: Request) -> list[str]:
    has = {"OnlineStore": records.online, "OfflineStore": records.offline_uri is not None}
    for store in request.get("TargetStores", []):
        if not has[store]:
            raise ApiError("ValidationError", f"the feature group has no {store}")
    return [store for store in request.get("TargetStores", STORES) if has[store]]


def _ttl(duration: Mapping[str, Any] | None) -> float:
    return seconds_of(duration) if duration else math.inf
