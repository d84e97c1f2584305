"""What is asked before a deployment: each check is a function, and all of them are listed here."""

from stacks.checks import account, addresses, cost, pins, quotas, reservations
from stacks.checks.check import Check

PREFLIGHT = (
    Check("account", "account of the credentials", account.check_account),
    Check("permissions", "permissions of the caller", account.check_permissions),
    Check("quotas", "service quotas", quotas.check),
    Check("reservations", "capacity reservations", reservations.check),
    Check("amis", "AMI releases", pins.check_amis),
    Check("add-ons", "EKS add-ons", pins.check_add_ons),
    Check("charts", "Helm charts", pins.check_charts),
    Check("addresses", "address ranges", addresses.check),
    Check("cost", "price per month", cost.check),
)
