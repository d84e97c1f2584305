"""The loop of a transform job: records are asked of the container, answers put in their order.

Objects are processed one after the other, their requests side by side. An object with a bad record
has no output; the others are processed all the same, and the job has failed (developer guide,
"Batch transform", errors).
"""

import gzip
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

import urllib3

from stacks.local.aws.sagemaker.servers import POLL_SECONDS, Server, ServingFailed
from stacks.local.aws.sagemaker.transform.association import Association
from stacks.local.aws.sagemaker.transform.splitting import (
    MEGABYTE,
    BadRecord,
    Record,
    batches,
    split,
)
from stacks.local.runtime.s3_files import Source, TransferFailed, bring

RETRY_SECONDS = 0.2
SHOWN = 300
"""Characters of a container's words in a reason."""


class Stopped(Exception):
    """Somebody stopped the job."""


class Unanswered(Exception):
    """A request that failed for good; the text is what the job's log says of its object."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        """`ClientError` or `AlgorithmError`."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a job asks."""

    association: Association
    single: bool
    max_payload_mb: int
    concurrent: int
    split_type: str
    compression: str
    lines: bool
    """Whether each record of the output ends with a newline (AssembleWith)."""

    headers: Mapping[str, str]
    timeout_seconds: int
    retries: int

    @property
    def max_bytes(self) -> int | None:
        """None: MaxPayloadInMB is 0, and a payload of any size is sent in chunks."""
        return self.max_payload_mb * MEGABYTE or None


@dataclass(kw_only=True, eq=False)
class Output:
    """What is known of one object."""

    source: Source
    path: Path
    failure: Unanswered | None = None
    """Default: everything was answered so far."""


@dataclass(frozen=True, kw_only=True)
class Transform:
    """One run, and what it works with."""

    settings: Settings
    server: Server
    end: Callable[[], object]
    """Ends the server."""

    s3: Any
    folder: Path
    stopping: threading.Event
    say: Callable[[Source, str], None]
    """Writes to the job's own log."""

    outputs: list[Output] = field(default_factory=list)
    """One for each object, in the order in which they are read."""

    def run(self, found: list[Source]) -> None:
        """Ask everything; Stopped and ServingFailed end it, `outputs` says how each object went."""
        waiting: deque[tuple[Output, list[Record], Future[bytes]]] = deque()
        with ThreadPoolExecutor(self.settings.concurrent, "transform") as pool:
            try:
                for output, records in self._batches(found):
                    waiting.append((output, records, pool.submit(self._ask, records)))
                    if len(waiting) >= self.settings.concurrent:
                        self._settle(*waiting.popleft())
                while waiting:
                    self._settle(*waiting.popleft())
            except BaseException:
                self.end()  # so that what is asked still is waited for no longer
                raise

    def _batches(self, found: list[Source]) -> Iterator[tuple[Output, list[Record]]]:
        settings = self.settings
        for number, source in enumerate(found):
            output = Output(source=source, path=self.folder / f"{number}.out")
            output.path.touch()
            self.outputs.append(output)
            try:
                with _opened(self.s3, source, self.folder, settings.compression) as stream:
                    records = self._asked(split(stream, settings.split_type))
                    for batch in batches(
                        records, single=settings.single, max_bytes=settings.max_bytes
                    ):
                        if output.failure is not None:
                            break
                        yield output, batch
            except (BadRecord, TransferFailed, OSError, EOFError) as error:  # gzip's, too
                self._failed(output, Unanswered("ClientError", str(error)))

    def _asked(self, records: Iterator[Record]) -> Iterator[Record]:
        """Records as the model gets them."""
        association = self.settings.association
        for record in records:
            if association.asks:
                bare = association.asked(record.bare)
                yield Record(bare + b"\n", bare, record.bare)
            else:
                yield record

    def _ask(self, records: list[Record]) -> bytes:
        body = records[0].bare if self.settings.single else b"".join(r.raw for r in records)
        return post(self.server, body, self.settings)

    def _settle(self, output: Output, records: list[Record], answer: Future[bytes]) -> None:
        """Take in an answer."""
        while True:
            if self.stopping.is_set():
                raise Stopped
            try:
                told = answer.result(timeout=POLL_SECONDS)
            except NotYet:
                continue
            except Unanswered as error:
                self._failed(output, error)
                return
            break
        if output.failure is not None:
            return
        end = b"\n" if self.settings.lines else b""
        try:
            kept = self.settings.association.kept([record.original for record in records], told)
        except BadRecord as error:
            self._failed(output, Unanswered("ClientError", str(error)))
            return
        with output.path.open("ab") as out:
            out.writelines(item if item.endswith(b"\n") else item + end for item in kept)

    def _failed(self, output: Output, error: Unanswered) -> None:
        if output.failure is None:
            output.failure = error
            for line in str(error).splitlines():
                self.say(output.source, line)


def post(server: Server, body: bytes, settings: Settings) -> bytes:
    """The last container's answer; each of them is asked what the one before it said."""
    headers = settings.headers
    for one in server.containers:
        is_last = one is server.containers[-1]
        told = {name: text for name, text in headers.items() if is_last or name != "Accept"}
        answer = _post(one, body, told, settings)
        body = answer.data
        headers = {**headers, "Content-Type": answer.headers.get("Content-Type", "")}
    return body


def _post(
    server: Server, body: bytes, headers: Mapping[str, str], settings: Settings
) -> urllib3.BaseHTTPResponse:
    """A container's answer; what may be gone the next time is asked again."""
    told = ""
    for attempt in range(settings.retries + 1):
        if attempt:
            time.sleep(RETRY_SECONDS)
        try:
            answer = server.request(
                "POST",
                "/invocations",
                headers=headers,
                timeout=settings.timeout_seconds,
                **_payload(body, settings),
            )
        except urllib3.exceptions.HTTPError as error:
            if server.process.poll() is not None:
                raise ServingFailed(f"the container ended: {error}") from error
            told = f"Unable to get response from algorithm: {error}"
            continue
        if 200 <= answer.status < 300:
            return answer
        said = answer.data.decode(errors="replace")[:SHOWN]
        if answer.status < 500:
            raise Unanswered("ClientError", f"ClientError: {answer.status}\nMessage:\n{said}")
        told = f"Bad HTTP status received from algorithm: {answer.status}\nMessage:\n{said}"
    raise Unanswered("AlgorithmError", told)


def _payload(body: bytes, settings: Settings) -> dict[str, Any]:
    if settings.max_bytes is not None:
        return {"body": body}
    chunks = (body[start : start + MEGABYTE] for start in range(0, len(body), MEGABYTE))
    return {"body": chunks, "chunked": True}


def _opened(s3: Any, source: Source, folder: Path, compression: str) -> BinaryIO:
    """An object's content, brought to this machine and decompressed where it is compressed."""
    path = folder / "object"
    bring(s3, source, path)
    return cast(BinaryIO, gzip.open(path)) if compression == "Gzip" else path.open("rb")
