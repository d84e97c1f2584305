"""The models of a multi-model container: brought, loaded and unloaded as they are asked for.

Source: developer guide, "How multi-model endpoints work" and "Custom Containers Contract for
Multi-Model Endpoints": a model is downloaded and loaded by the first request for it; where the
container has no memory left (507), the model that was asked for least recently goes. Files stay for
the next time. Names in the contract are not those of TargetModel.
"""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import urllib3

from stacks.local.aws.sagemaker.errors import ApiError
from stacks.local.runtime import left
from stacks.local.runtime.s3_files import TransferFailed, fetch, split_uri, unpack

LOAD_SECONDS = 60
"""How long loading a model, or waiting for memory that others use, may take: as long as an answer
(InvokeEndpoint, API reference)."""

HAS_NO_MEMORY, IS_LOADED = 507, 409
"""What a container may answer to POST /models beside success."""

TARGET = "X-Amzn-SageMaker-Target-Model"

Observe = Callable[[str, float], None]
"""Takes a metric by its name: developer guide, "Monitor SageMaker AI with CloudWatch", multi-model
endpoints."""


class Asks(Protocol):
    """A container: asked over HTTP."""

    def request(self, method: str, path: str, **more: Any) -> urllib3.BaseHTTPResponse: ...


class Unloadable(Exception):
    """The container does not load a model: its status and its words."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status = status
        self.said = said


@dataclass(kw_only=True, eq=False)
class Models:
    """What one container has on its disk and in its memory."""

    prefix: str
    """ModelDataUrl: under it lie the models, by their TargetModel."""

    directory: Path
    """The container's, which it may write; its `ml/models` is what it sees as /opt/ml/models."""

    s3: Callable[[], Any]
    """A client of the model's execution role."""

    cached: bool
    """Whether a model stays in memory after its answer (ModelCacheSetting)."""

    loaded: dict[str, int] = field(default_factory=dict)
    """Models in memory, least recently asked first, and how many requests each answers now."""

    changed: threading.Condition = field(default_factory=threading.Condition)
    """Guards `loaded`; told when a request is over."""

    loading: dict[str, threading.Lock] = field(default_factory=dict)
    """So that a model is brought once, while others are asked."""

    def has(self, target: str) -> bool:
        """Whether a model is in memory: requests go where it is."""
        return _name(target) in self.loaded

    @contextmanager
    def path_of(self, container: Asks, target: str, observe: Observe) -> Iterator[str]:
        """Where a model is asked, loaded and kept loaded meanwhile."""
        name, begun = _name(target), time.perf_counter()
        with self._lock_of(name):
            hit = self._taken(name)
            observe("ModelCacheHit", float(hit))
            if not hit:
                self._bring(name, target, observe)
                self._load(container, name, observe)
                observe("ModelLoadingWaitTime", _microseconds(begun))
        try:
            yield f"/models/{name}/invoke"
        finally:
            self._release(container, name, observe)

    def _lock_of(self, name: str) -> threading.Lock:
        with self.changed:
            return self.loading.setdefault(name, threading.Lock())

    def _taken(self, name: str) -> bool:
        """Count a request for a model that is in memory, and make it the most recent one."""
        with self.changed:
            if name not in self.loaded:
                return False
            self.loaded[name] = self.loaded.pop(name) + 1
            return True

    def _bring(self, name: str, target: str, observe: Observe) -> None:
        """Download and unpack an artefact, unless it is on the disk."""
        model = self.directory / "ml" / "models" / name / "model"
        if model.is_dir():
            return
        begun = time.perf_counter()
        bucket, prefix = split_uri(self.prefix)
        key = f"{prefix.rstrip('/')}/{target.lstrip('/')}".lstrip("/")
        fresh = self.directory.with_name(f"{self.directory.name}-{name}")  # not the container's
        archive = fresh.with_suffix(".tar.gz")
        left.remove(fresh)
        s3 = self.s3()
        try:
            fetch(s3, bucket, key, archive)
            unpack(archive, fresh)
            left.bring(fresh, self.directory, model)
        except s3.exceptions.ClientError as error:
            raise ApiError(
                "ValidationError",
                f"Failed to download model data(bucket: {bucket}, key: {key}). Please ensure that "
                "there is an object located at the URL and that the role passed to CreateModel has "
                "permissions to download the model.",
            ) from error
        except (TransferFailed, OSError) as error:
            raise ApiError("ValidationError", f"s3://{bucket}/{key}: {error}") from error
        finally:
            archive.unlink(missing_ok=True)
            left.remove(fresh)
        observe("ModelDownloadingTime", _microseconds(begun))

    def _load(self, container: Asks, name: str, observe: Observe) -> None:
        """Let the container load a model; others go where it has no memory for it."""
        told = {"model_name": name, "url": f"/opt/ml/models/{name}/model"}
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        begun = time.perf_counter()
        while True:
            answer = container.request(
                "POST", "/models", body=json.dumps(told), headers=headers, timeout=LOAD_SECONDS
            )
            if answer.status == IS_LOADED or 200 <= answer.status < 300:
                break
            is_full = answer.status == HAS_NO_MEMORY
            if not is_full or not self._make_room(container, observe):
                raise Unloadable(answer.status, answer.data.decode(errors="replace"))
        observe("ModelLoadingTime", _microseconds(begun))
        with self.changed:
            self.loaded[name] = 1
            observe("LoadedModelCount", len(self.loaded))

    def _make_room(self, container: Asks, observe: Observe) -> bool:
        """Unload the model that was asked for least recently and answers nobody; False: none is."""
        deadline = time.monotonic() + LOAD_SECONDS
        with self.changed:
            while self.loaded:
                idle = [name for name, asked in self.loaded.items() if not asked]
                if idle:
                    self._unload(container, idle[0], observe)
                    return True
                if not self.changed.wait(deadline - time.monotonic()):
                    return False
        return False

    def _unload(self, container: Asks, name: str, observe: Observe) -> None:
        begun = time.perf_counter()
        container.request("DELETE", f"/models/{name}", timeout=LOAD_SECONDS)
        del self.loaded[name]
        observe("ModelUnloadingTime", _microseconds(begun))
        observe("LoadedModelCount", len(self.loaded))

    def _release(self, container: Asks, name: str, observe: Observe) -> None:
        with self.changed:
            if name in self.loaded:
                self.loaded[name] -= 1
                if not self.cached and not self.loaded[name]:
                    self._unload(container, name, observe)
            self.changed.notify_all()


def models_of(container: Mapping[str, Any], directory: Path, s3: Callable[[], Any]) -> Models:
    """The models of a container in MultiModel mode, none of them there yet."""
    setting = container.get("MultiModelConfig", {}).get("ModelCacheSetting", "Enabled")
    (directory / "ml" / "models").mkdir(parents=True)
    return Models(
        prefix=container["ModelDataUrl"], directory=directory, s3=s3, cached=setting == "Enabled"
    )


def _name(target: str) -> str:
    return hashlib.sha256(target.encode()).hexdigest()[:32]


def _microseconds(begun: float) -> float:
    return (time.perf_counter() - begun) * 1e6
