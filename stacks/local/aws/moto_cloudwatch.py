"""Composite alarms in moto's CloudWatch, which keeps their rules and has no operation for them."""


def install() -> None:
    """Let PutCompositeAlarm make an alarm with a rule (moto 5.2: `put_metric_alarm` reads one)."""
    from moto.cloudwatch.responses import CloudWatchResponse

    CloudWatchResponse.put_composite_alarm = CloudWatchResponse.put_metric_alarm
