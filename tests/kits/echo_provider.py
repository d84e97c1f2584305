"""A Pulumi provider that answers every type with its own inputs, for tests of what is around."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""How the engine writes an unknown value."""


class EchoProvider(provider_pb2_grpc.ResourceProviderServicer):
    """Creates nothing; ids and ARNs are unknown in a preview and made up in an update."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.created: list[str] = []

    def Handshake(self, request: Any, context: Any) -> Any:
        return provider_pb2.ProviderHandshakeResponse(
            accept_secrets=True, accept_resources=True, accept_outputs=True
        )

    def Attach(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version="7.51.1")

    def CheckConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.DiffResponse()

    def Configure(self, request: Any, context: Any) -> Any:
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True, supportsPreview=True, acceptResources=True, acceptOutputs=False
        )

    def Check(self, request: Any, context: Any) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def Diff(self, request: Any, context: Any) -> Any:
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Create(self, request: Any, context: Any) -> Any:
        name = request.urn.rpartition("::")[2]
        outputs = struct_pb2.Struct()
        outputs.CopyFrom(request.properties)
        made = {"id": name, "arn": f"arn:aws:echo:::{name}"}
        for key, value in made.items():
            if key not in outputs:
                outputs[key] = UNKNOWN if request.preview else value
        if not request.preview:
            with self._lock:
                self.created.append(request.urn)
        return provider_pb2.CreateResponse(id="" if request.preview else name, properties=outputs)

    def Delete(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def Cancel(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()


@contextmanager
def echo_provider() -> Iterator[tuple[EchoProvider, int]]:
    """A running provider and its port; set PULUMI_DEBUG_PROVIDERS=aws:<port>."""
    provider = EchoProvider()
    server = grpc.server(ThreadPoolExecutor(max_workers=8))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield provider, port
    finally:
        server.stop(grace=None).wait()
