"""What is asked after a deployment: each check is a function, and all of them are listed here."""

from stacks.checks import buckets_and_keys, endpoints, expectations, kubernetes
from stacks.checks.check import CLUSTER, FOUNDATION, WORKLOAD, Check

VERIFY = (
    Check("endpoints", "endpoints", endpoints.check_endpoints, WORKLOAD),
    Check("answers", "answer of the endpoint", endpoints.check_answers, WORKLOAD),
    Check("alarms", "alarms of endpoints", endpoints.check_alarms, WORKLOAD),
    Check("pipelines", "pipeline definitions", endpoints.check_pipelines, WORKLOAD),
    Check("resources", "deployed resources", expectations.check),
    Check("buckets", "buckets", buckets_and_keys.check_buckets, FOUNDATION),
    Check("keys", "keys", buckets_and_keys.check_keys, FOUNDATION),
    Check("nodes", "nodes and their GPUs", kubernetes.check_nodes, CLUSTER),
    Check("team quotas", "quotas of the teams", kubernetes.check_quotas, CLUSTER),
)
