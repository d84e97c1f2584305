"""Event source mappings: the records of a Kinesis stream brought to a function, as Lambda does it.

Level-triggered: each round looks at what lies behind the last record that a mapping is done with.
A mapping reads its shards one after the other, in batches; where the function fails, the batch is
bisected or tried again, and at last given up to the destination on failure.
"""

import json
import logging
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from stacks.local.aws.emulator import Emulator, moto_backend
from stacks.local.aws.function_roles import may_read, may_send
from stacks.local.runtime.lambda_functions import Call

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0  # seconds between two tries of the same records
DEPTH_SECONDS = 60.0
"""How often the depth of a dead-letter queue is told when it stays the same."""

Record = Any
"""A record of moto's: sequence_number, partition_key, data (base64), created_at (seconds)."""

log = logging.getLogger(__name__)


@dataclass
class Streams:
    """How far each mapping has read, and which are being worked on."""

    done: dict[tuple[str, str], int] = field(default_factory=dict)
    """Sequence number of the last finished record by mapping and shard."""

    busy: set[str] = field(default_factory=set)
    depths: dict[str, tuple[int, float]] = field(default_factory=dict)
    """Last depth of a dead-letter queue, and when it was told."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Records of one shard that go to the function together."""

    mapping: Any
    stream: Any
    shard_id: str
    records: Sequence[Record]

    def part(self, records: Sequence[Record]) -> "Batch":
        return Batch(
            mapping=self.mapping, stream=self.stream, shard_id=self.shard_id, records=records
        )


def read(emulator: Emulator, streams: Streams) -> None:
    """One round: start reading for every mapping that has something to read."""
    by_arn = {
        stream.arn: stream for stream in [*moto_backend("kinesis", emulator).streams.values()]
    }
    for mapping in _mappings(emulator):
        stream = by_arn.get(mapping.event_source_arn)
        if stream is None:
            continue
        _tell_depth(emulator, streams, mapping)
        if mapping.uuid not in streams.busy and next(_waiting(streams, mapping, stream), None):
            if not may_read(emulator, _function(emulator, mapping), stream):
                continue  # AWS says so as the mapping's LastProcessingResult, and tries again
            streams.busy.add(mapping.uuid)
            _start(emulator, streams, mapping, stream)


def _start(emulator: Emulator, streams: Streams, mapping: Any, stream: Any) -> None:
    def work() -> None:
        while batch := next(_waiting(streams, mapping, stream), None):
            if not deliver(emulator, batch):
                break
            last = batch.records[-1].sequence_number
            streams.done[mapping.uuid, batch.shard_id] = last
        streams.busy.discard(mapping.uuid)

    emulator.background(work, broken=lambda _: streams.busy.discard(mapping.uuid))


def _mappings(emulator: Emulator) -> list[Any]:
    """The enabled mappings of this moment."""
    found = moto_backend("lambda", emulator).list_event_source_mappings(None, None)
    return [mapping for mapping in list(found) if mapping.enabled]


def _waiting(streams: Streams, mapping: Any, stream: Any) -> Iterator[Batch]:
    """What lies behind the last finished record, a batch per shard."""
    for shard in list(stream.shards.values()):
        place = (mapping.uuid, shard.shard_id)
        if place not in streams.done:
            late = mapping.starting_position == "LATEST"
            streams.done[place] = shard.get_max_sequence_number() if late else 0
        records = [r for n, r in list(shard.records.items()) if n > streams.done[place]]
        if records:
            yield Batch(
                mapping=mapping,
                stream=stream,
                shard_id=shard.shard_id,
                records=records[: mapping.batch_size],
            )


def deliver(emulator: Emulator, batch: Batch) -> bool:
    """Bring a batch to the function until all of it is handled or given up.

    False: the mapping was deleted or disabled meanwhile.
    """
    mapping, parts, tries, pause = batch.mapping, [batch], 0, FIRST_PAUSE
    while parts:
        if mapping not in _mappings(emulator):
            return False
        part = parts.pop()
        left, answer = _call(emulator, part)
        if not left:
            tries, pause = 0, FIRST_PAUSE
            continue
        if len(left) < len(part.records):  # what was handled is not tried again
            tries, pause = 0, FIRST_PAUSE
        elif mapping.bisect_on_error and len(left) > 1:  # bisecting uses up no try
            middle = len(left) // 2
            parts += [part.part(left[middle:]), part.part(left[:middle])]
            continue
        tries += 1
        if mapping.max_retry_attempts not in (None, -1) and tries > mapping.max_retry_attempts:
            _give_up(emulator, part.part(left), answer, tries)
            tries, pause = 0, FIRST_PAUSE
            continue
        parts.append(part.part(left))
        time.sleep(pause)
        pause = min(LONGEST_PAUSE, pause * 2)
    return True


def _call(emulator: Emulator, batch: Batch) -> tuple[Sequence[Record], Mapping[str, Any]]:
    """The records that the function did not handle, and how the call went."""
    function = _function(emulator, batch.mapping)
    told = function._invoke_lambda(Call(event={"Records": _events(batch, function.role)}))
    _tell(
        emulator, "AWS/Lambda", {"FunctionName": function.function_name}, IteratorAge=_age_ms(batch)
    )
    answer = {"statusCode": 200, "executedVersion": "$LATEST"}
    if told.failed:
        log.warning("%s failed: %s", function.function_name, told.payload[:500])
        return batch.records, {**answer, "functionError": "Unhandled"}
    return _left(batch, json.loads(told.payload)), answer


def _left(batch: Batch, answer: Any) -> Sequence[Record]:
    """From the first record that the function names as failed on, if it may name any."""
    reports = "ReportBatchItemFailures" in (batch.mapping.function_response_types or ())
    items = (answer or {}).get("batchItemFailures") or () if reports else ()
    if not items:
        return []
    # Lambda takes the lowest number as its checkpoint, and an unknown one for all
    numbers = [str(record.sequence_number) for record in batch.records]
    named = [item.get("itemIdentifier") for item in items]
    known = all(name in numbers for name in named)
    return batch.records[min(map(numbers.index, named)) if known else 0 :]


def _events(batch: Batch, role: str) -> list[dict[str, Any]]:
    """Records as a function sees them (Lambda developer guide, Kinesis event)."""
    return [
        {
            "kinesis": {
                "kinesisSchemaVersion": "1.0",
                "partitionKey": record.partition_key,
                "sequenceNumber": str(record.sequence_number),
                "data": record.data,
                "approximateArrivalTimestamp": record.created_at,
            },
            "eventSource": "aws:kinesis",
            "eventVersion": "1.0",
            "eventID": f"{batch.shard_id}:{record.sequence_number}",
            "eventName": "aws:kinesis:record",
            "invokeIdentityArn": role,
            "awsRegion": batch.stream.region,
            "eventSourceARN": batch.stream.arn,
        }
        for record in batch.records
    ]


def _give_up(emulator: Emulator, batch: Batch, answer: Mapping[str, Any], tries: int) -> None:
    """Tell the destination on failure which records were given up, without their content."""
    arn = _destination(batch.mapping)
    if not arn:
        return
    first, last = batch.records[0], batch.records[-1]
    message = {
        "requestContext": {
            "requestId": str(uuid.uuid4()),
            "functionArn": batch.mapping.function_arn,
            "condition": "RetryAttemptsExhausted",
            "approximateInvokeCount": tries,
        },
        "responseContext": answer,
        "version": "1.0",
        "timestamp": _time(time.time()),
        "KinesisBatchInfo": {
            "shardId": batch.shard_id,
            "startSequenceNumber": str(first.sequence_number),
            "endSequenceNumber": str(last.sequence_number),
            "approximateArrivalOfFirstRecord": _time(first.created_at),
            "approximateArrivalOfLastRecord": _time(last.created_at),
            "batchSize": len(batch.records),
            "streamArn": batch.stream.arn,
        },
    }
    name = arn.rpartition(":")[2]
    queue = moto_backend("sqs", emulator).queues.get(name)
    if queue and may_send(emulator, _function(emulator, batch.mapping), queue):
        moto_backend("sqs", emulator).send_message(name, json.dumps(message))


def _function(emulator: Emulator, mapping: Any) -> Any:
    return moto_backend("lambda", emulator).get_function_by_arn(mapping.function_arn)


def _destination(mapping: Any) -> str:
    on_failure = (mapping.destination_config or {}).get("OnFailure") or {}
    return str(on_failure.get("Destination") or "")


def _tell_depth(emulator: Emulator, streams: Streams, mapping: Any) -> None:
    """The depth of the dead-letter queue as a metric, when it changed or a minute passed."""
    name = _destination(mapping).rpartition(":")[2]
    queue = moto_backend("sqs", emulator).queues.get(name)
    if queue is None:
        return
    depth, now = queue.approximate_number_of_messages, time.monotonic()
    told, when = streams.depths.get(name, (-1, 0.0))
    if depth != told or now - when > DEPTH_SECONDS:
        streams.depths[name] = (depth, now)
        metric = {"ApproximateNumberOfMessagesVisible": depth}
        _tell(emulator, "AWS/SQS", {"QueueName": name}, **metric)


def _tell(
    emulator: Emulator, namespace: str, dimensions: Mapping[str, str], **metrics: float
) -> None:
    pairs = [{"Name": name, "Value": value} for name, value in dimensions.items()]
    data = [
        {"MetricName": name, "Value": value, "Dimensions": pairs} for name, value in metrics.items()
    ]
    moto_backend("cloudwatch", emulator).put_metric_data(namespace, data)


def _age_ms(batch: Batch) -> float:
    arrived: float = batch.records[-1].created_at
    return max(0.0, time.time() - arrived) * 1000


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
