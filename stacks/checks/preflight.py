"""What is asked before a deployment: each check is a function, and all of them are listed here."""

from stacks.checks import (
    account,
    addresses,
    charts,
    cluster_access,
    cost,
    endpoint_services,
    image_layers,
    one_per_account,
    pins,
    quotas,
    reservations,
    service_roles,
    state,
    support,
)
from stacks.checks.check import CLUSTER, FOUNDATION, Check

PREFLIGHT = (
    Check("account", "account of the credentials", account.check_account, once=True),
    Check("machine", "tools on this machine", account.check_machine, once=True),
    Check("placeholders", "values to fill in", account.check_placeholders),
    Check("state", "place and key of the state", state.check, once=True),
    Check("permissions", "permissions of the caller", account.check_permissions),
    Check("access", "access to the cluster", cluster_access.check_access, CLUSTER),
    Check("reach", "API of the cluster", cluster_access.check_reach, CLUSTER),
    Check("quotas", "service quotas", quotas.check, once=True),
    Check("reservations", "capacity reservations", reservations.check, CLUSTER),
    Check("amis", "AMI releases", pins.check_amis, CLUSTER),
    Check("add-ons", "EKS add-ons", pins.check_add_ons, CLUSTER),
    Check("charts", "Helm charts", charts.check_charts, CLUSTER),
    Check("service-linked roles", "roles of AWS services", service_roles.check),
    Check("endpoint services", "endpoints of AWS services", endpoint_services.check, FOUNDATION),
    Check("image layers", "layers of images", image_layers.check, once=True),
    Check("one per account", "what an account has one of", one_per_account.check, FOUNDATION),
    Check("support", "support of Kubernetes", support.check_support, CLUSTER),
    Check("addresses", "address ranges", addresses.check, FOUNDATION),
    Check("cost", "price per month of all stacks", cost.check_environment, once=True),
    Check("cost", "price per month", cost.check),
)

PINS = (
    Check("ages", "age of the pins", support.check_ages, CLUSTER),
    *(check for check in PREFLIGHT if check.id in ("support", "amis", "add-ons", "charts")),
)
"""What is asked of versions alone."""
