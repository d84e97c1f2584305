"""The reference workload as this blueprint ships it: will a flight arrive 15 minutes late?

What a team changes first to make the platform its own: entities, features, model, pipeline.
"""

MODEL = "flight-delay"
MODEL_DESCRIPTION = "Will a flight arrive 15 or more minutes late, asked an hour before departure"
PIPELINE = "training"
TRACKING_ARN_PLACEHOLDER = "{{tracking-app-arn}}"
"""Stands in the compiled definition until the stack knows the ARN: AWS invents part of it."""
