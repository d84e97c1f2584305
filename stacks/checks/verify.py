"""What is asked after a deployment: each check is a function, and all of them are listed here."""

from stacks.checks import expectations, guarded, scheduled, served
from stacks.checks.check import Check

VERIFY = (
    Check("endpoints", "endpoints", served.check_endpoints),
    Check("answers", "answer of the endpoint", served.check_answers),
    Check("alarms", "alarms of endpoints", served.check_alarms),
    Check("pipelines", "pipeline definitions", served.check_pipelines),
    Check("resources", "deployed resources", expectations.check),
    Check("buckets", "buckets", guarded.check_buckets),
    Check("keys", "keys", guarded.check_keys),
    Check("nodes", "nodes and their GPUs", scheduled.check_nodes),
    Check("team quotas", "quotas of the teams", scheduled.check_quotas),
)
