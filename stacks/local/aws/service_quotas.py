"""Service Quotas of the local cloud: moto has those of `vpc` alone.

Values are what a new account has, but for what an ML account asks AWS for first: those stand in
GRANTED. An increase is granted at once, where AWS takes hours or days. The local cloud enforces
none of them, but for those of instances in a new account (refusals/quotas.py).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

from stacks.checks import quota_table as table
from stacks.checks.quota_table import Quota
from stacks.local.aws.account_id import ACCOUNT_ID

FIDELITY = (
    "answers with AWS's default values and grants every increase; PLINTH_QUOTAS=new enforces those "
    "of instances as of an account that was granted nothing"
)

NEW = "PLINTH_QUOTAS"
"""Variable that says `new` where the account of `local` is to be one that never asked AWS for
more: no GPUs. Default: it was granted GRANTED."""


def is_new() -> bool:
    """Whether this cloud's account is a new one."""
    return os.environ.get(NEW) == "new"


def of_new_account(instance_type: str) -> int | None:
    """Instances of a SageMaker type that a new account has for any use; None: nobody knows.

    AWS publishes none of these by code; machines with accelerators are 0 for everybody who did not
    ask (General Reference, Amazon SageMaker AI endpoints and quotas).
    """
    quota = table.vcpu_quota(instance_type.removeprefix("ml."), "ON_DEMAND")
    if quota is not None and quota.default == 0:
        return 0
    return SAGEMAKER_INSTANCES if instance_type in SAGEMAKER_TYPES else None


def increases(region: str) -> dict[str, float]:
    """What was granted since the cloud started, kept where moto keeps its own things."""
    from moto.servicequotas.models import servicequotas_backends

    backend = servicequotas_backends[ACCOUNT_ID][region]
    granted: dict[str, float] = vars(backend).setdefault("plinth_increases", {})
    return granted


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
    increases(response.region)[quota["QuotaCode"]] = wanted
    request = {
        "Id": f"{quota['QuotaCode']}-{wanted:g}",
        "ServiceCode": quota["ServiceCode"],
        "QuotaCode": quota["QuotaCode"],
        "QuotaName": quota["QuotaName"],
        "DesiredValue": wanted,
        "Status": "APPROVED",
    }
    return json.dumps({"RequestedQuota": request})


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
            item["Value"] = increases(response.region).get(item["QuotaCode"], item["Value"])
    return found


def _table() -> Iterator[tuple[Quota, float]]:
    vcpus = {quota.code: quota for by_market in table.VCPU_QUOTAS for quota in by_market.values()}
    for quota in (*vcpus.values(), *table.COUNTED):
        yield quota, 0 if is_new() else GRANTED.get(quota.code, 0)
    for instance_type in SAGEMAKER_TYPES:
        for use in table.SAGEMAKER_USES.values():
            name = f"{instance_type} {use}"
            # AWS's codes of these are not public: a stable one of the same form stands in
            granted = of_new_account(instance_type) if is_new() else SAGEMAKER_INSTANCES
            yield Quota("sagemaker", code_of(name), name, 0), granted or 0


def code_of(name: str) -> str:
    """The code of a quota of SageMaker's, by its name."""
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
