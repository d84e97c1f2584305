"""Cases of what watches an environment: queues, events, dashboards, budgets, trails."""

from tests.provider_case import Case

CASES: dict[str, Case] = {}
