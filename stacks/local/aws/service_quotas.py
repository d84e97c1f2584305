"""Service Quotas of the local cloud: moto has those of `vpc` alone.

Values are what a new account has, but for what an ML account asks AWS for first: those stand in
GRANTED. An increase is granted at once, where AWS takes hours or days. No other service of the
local cloud enforces any of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from stacks.checks import quota_table as table
from stacks.checks.quota_table import Quota

FIDELITY = "answers with AWS's default values and grants every increase; nothing enforces them"

GRANTED = {
    table.STANDARD["ON_DEMAND"].code: 64,
    table.STANDARD["SPOT"].code: 64,
    table.G_AND_VT["ON_DEMAND"].code: 128,
    table.G_AND_VT["SPOT"].code: 128,
}
"""vCPUs that this account was granted."""

SAGEMAKER_TYPES = ("ml.c5.xlarge", "ml.g5.xlarge", "ml.m5.large", "ml.m5.xlarge", "ml.m5.2xlarge")
SAGEMAKER_INSTANCES = 8
"""Instances of each of these types that this account was granted, for every use."""


def install() -> None:
    """Let moto's Service Quotas answer for the services of the table too."""
    from moto.servicequotas.responses import ServiceQuotasResponse

    for operation in (
        get_aws_default_service_quota,
        get_service_quota,
        list_aws_default_service_quotas,
        list_service_quotas,
        request_service_quota_increase,
    ):
        setattr(ServiceQuotasResponse, operation.__name__, operation)


def get_service_quota(response: Any) -> str:
    return json.dumps({"Quota": _one(response, applied=True)})


def get_aws_default_service_quota(response: Any) -> str:
    return json.dumps({"Quota": _one(response, applied=False)})


def list_service_quotas(response: Any) -> str:
    return json.dumps({"Quotas": _all(response, applied=True)})


def list_aws_default_service_quotas(response: Any) -> str:
    return json.dumps({"Quotas": _all(response, applied=False)})


def request_service_quota_increase(response: Any) -> str:
    quota = _one(response, applied=True)
    wanted = float(json.loads(response.body)["DesiredValue"])
    _increases(response)[quota["QuotaCode"]] = wanted
    request = {
        "Id": f"{quota['QuotaCode']}-{wanted:g}",
        "ServiceCode": quota["ServiceCode"],
        "QuotaCode": quota["QuotaCode"],
        "QuotaName": quota["QuotaName"],
        "DesiredValue": wanted,
        "Status": "APPROVED",
    }
    return json.dumps({"RequestedQuota": request})


def _increases(response: Any) -> dict[str, float]:
    """What was granted since the cloud started, kept where moto keeps its own things."""
    increases: dict[str, float] = vars(response.backend).setdefault("plinth_increases", {})
    return increases


def _one(response: Any, *, applied: bool) -> dict[str, Any]:
    from moto.servicequotas.exceptions import NoSuchResource

    code = json.loads(response.body)["QuotaCode"]
    for quota in _all(response, applied=applied):
        if quota["QuotaCode"] == code:
            return quota
    raise NoSuchResource


def _all(response: Any, *, applied: bool) -> list[dict[str, Any]]:
    """The quotas of a service; moto's own first, which hold for `vpc`."""
    from moto.servicequotas.exceptions import NoSuchResource
    from moto.servicequotas.resources.default_quotas.vpc import VPC_DEFAULT_QUOTAS

    service = json.loads(response.body)["ServiceCode"]
    found = [dict(quota) for quota in VPC_DEFAULT_QUOTAS if service == "vpc"]
    known = {quota["QuotaCode"] for quota in found}
    for quota, granted in _table():
        if quota.service == service and quota.code not in known:
            value = max(quota.default, granted) if applied else quota.default
            found.append(_shown(quota, value))
    if not found:
        raise NoSuchResource
    if applied:
        for item in found:
            item["Value"] = _increases(response).get(item["QuotaCode"], item["Value"])
    return found


def _table() -> Iterator[tuple[Quota, float]]:
    vcpus = {quota.code: quota for by_market in table.VCPU_QUOTAS for quota in by_market.values()}
    for quota in (*vcpus.values(), *table.COUNTED):
        yield quota, GRANTED.get(quota.code, 0)
    for instance_type in SAGEMAKER_TYPES:
        for use in table.SAGEMAKER_USES.values():
            name = f"{instance_type} {use}"
            # AWS's codes of these are not public: a stable one of the same form stands in
            yield Quota("sagemaker", _code(name), name, 0), SAGEMAKER_INSTANCES


def _code(name: str) -> str:
    from hashlib import sha256

    return f"L-{sha256(name.encode()).hexdigest()[:8].upper()}"


def _shown(quota: Quota, value: float) -> dict[str, Any]:
    return {
        "ServiceCode": quota.service,
        "QuotaCode": quota.code,
        "QuotaName": quota.name,
        "QuotaArn": f"arn:aws:servicequotas:us-east-1:123456789012:{quota.service}/{quota.code}",
        "Value": value,
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
    }
