"""Model artefacts that somebody with bad intent could put in the place of a model.

Each is written into a folder, and all of them must be refused: no code of theirs runs, nothing
takes long, and what the server says names what is wrong.
"""

from __future__ import annotations

import functools
import io
import json
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.kits.serving import SIGNATURE, classifier, trained

Write = Callable[[Path], None]
"""Makes the folder of a model."""

MIB = 1 << 20


class Payload:
    """Leaves a file when it is unpickled."""

    def __reduce__(self) -> Any:
        return os.system, ("touch executed",)


Members = dict[str, bytes]


def members() -> Members:
    with zipfile.ZipFile(io.BytesIO(classifier())) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def written(folder: Path, files: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(trained(folder) / "model.skops", "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def raw(content: Callable[[], bytes]) -> Write:
    return lambda folder: void(trained(folder).joinpath("model.skops").write_bytes(content()))


def void(_: object) -> None:
    """For calls that answer something nobody needs."""


def schema_with(node: Any) -> Write:
    def write(folder: Path) -> None:
        files = members()
        schema = json.loads(files["schema.json"])
        schema["content"]["content"]["extra"] = node
        written(folder, files | {"schema.json": json.dumps(schema).encode()})

    return write


def schema_of(text: Callable[[], bytes], method: int = zipfile.ZIP_DEFLATED) -> Write:
    return lambda folder: written(folder, members() | {"schema.json": text()}, method)


def array_of(content: Callable[[], bytes], method: int = zipfile.ZIP_STORED) -> Write:
    """One of the arrays replaced."""

    def write(folder: Path) -> None:
        files = members()
        name = next(name for name in files if name.endswith(".npy"))
        written(folder, files | {name: content()}, method)

    return write


def npy(header: str, body: bytes = b"", version: bytes = b"\1\0") -> Callable[[], bytes]:
    text = header.encode()
    size = struct.pack("<H", len(text)) if version == b"\1\0" else struct.pack("<I", len(text))
    return lambda: b"\x93NUMPY" + version + size + text + body


def shaped(shape: str, kind: str = "'<f8'") -> Callable[[], bytes]:
    return npy(f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}\n", bytes(64))


def fitted(change: Callable[[Any], object]) -> Write:
    """The model itself, changed and saved again."""

    def write(folder: Path) -> None:
        import skops.io

        from serving.model import TRUSTED_TYPES

        model = skops.io.loads(classifier(), trusted=list(TRUSTED_TYPES))
        changed = change(model)
        held = model if changed is None else changed
        trained(folder).joinpath("model.skops").write_bytes(skops.io.dumps(held))

    return write


def node(field: str, value: float) -> Write:
    """The root of the first tree with another value."""

    def change(model: Any) -> None:
        model._predictors[0][0].nodes[field][0] = value

    return fitted(change)


def attribute(name: str, value: Any) -> Write:
    return fitted(lambda model: setattr(model, name, value))


def no_nodes(model: Any) -> None:
    tree = model._predictors[0][0]
    tree.nodes = tree.nodes[:0]


def other_nodes(model: Any) -> None:
    import numpy as np

    model._predictors[0][0].nodes = np.zeros((4, 4))


def leaf_that_is_no_number(model: Any) -> None:
    nodes = model._predictors[0][0].nodes
    nodes["value"][-1] = float("nan")


def pool(folder: Path) -> None:
    files = members()
    text = files["schema.json"].decode()
    schema = json.loads(text)
    waiting: list[Any] = [schema]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if "pool_size" in item:
                item["pool_size"]["content"] = str(10**6)
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
    written(folder, files | {"schema.json": json.dumps(schema).encode()})


def same_array_often(folder: Path) -> None:
    files = members()
    schema = json.loads(files["schema.json"])
    name = next(name for name in files if name.endswith(".npy"))
    one = {"__class__": "ndarray", "__module__": "numpy", "__loader__": "NdArrayNode"}
    one |= {"type": "numpy", "file": name}
    schema["content"]["content"]["extra"] = {
        "__class__": "list", "__module__": "builtins", "__loader__": "ListNode",
        "content": [one | {"__id__": 7 + i} for i in range(10_000)],
    }  # fmt: skip
    written(folder, files | {"schema.json": json.dumps(schema).encode()})


def signature(content: Callable[[], bytes | str]) -> Write:
    def write(folder: Path) -> None:
        text = content()
        data = text.encode() if isinstance(text, str) else text
        trained(folder).joinpath("signature.json").write_bytes(data)

    return write


def signed(**changes: Any) -> Write:
    return signature(lambda: json.dumps(SIGNATURE | changes))


def many_members(folder: Path) -> None:
    written(folder, members() | {f"{number}.npy": b"" for number in range(70_000)})


def twice(folder: Path) -> None:
    written(folder, members())
    with zipfile.ZipFile(folder / "model.skops", "a") as archive:
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            archive.writestr("schema.json", b"{}")


def claims(field_at: int, value: int) -> Write:
    """The end record with another number: of members, or of bytes of their list."""

    def write(folder: Path) -> None:
        content = bytearray(classifier())
        struct.pack_into(
            "<H" if field_at < 12 else "<L", content, len(content) - 22 + field_at, value
        )
        trained(folder).joinpath("model.skops").write_bytes(content)

    return write


def zip64(folder: Path) -> None:
    content = classifier()
    locator = b"PK\6\7" + struct.pack("<LQL", 0, len(content) - 22, 1)
    trained(folder).joinpath("model.skops").write_bytes(content[:-22] + locator + content[-22:])


@functools.cache
def zeros(mib: int) -> bytes:
    return bytes(mib * MIB)


def typed(name: str, loader: str, **more: Any) -> Write:
    module, _, kind = name.rpartition(".")
    return schema_with({"__class__": kind, "__module__": module, "__loader__": loader, **more})


CALLS = {
    "os.system": "FunctionNode",
    "builtins.eval": "FunctionNode",
    "builtins.exec": "TypeNode",
    "subprocess.Popen": "ObjectNode",
    "operator.methodcaller": "OperatorFuncNode",
    "functools.partial": "PartialNode",
    "importlib.import_module": "FunctionNode",
    "shutil.rmtree": "MethodNode",
    "numpy.load": "FunctionNode",
    "sklearn.neural_network.MLPClassifier": "ObjectNode",
    "sklearn.pipeline.Pipeline": "ObjectNode",
    "ctypes.CDLL": "ReduceNode",
}
LOADERS = ("BytesNode", "DefaultDictNode", "MethodNode", "NoNode", "PartialNode", "SetNode")
OTHER_LOADERS = {
    f"loader {loader} of a type that is ours": typed("builtins.dict", loader, content={})
    for loader in LOADERS
}
DEEP = 200_000

FILES: dict[str, Write] = {
    "pickle": raw(lambda: pickle.dumps(Payload())),
    "packed pickle": raw(lambda: zlib.compress(pickle.dumps(Payload()))),
    "pickle before a zip archive": raw(lambda: pickle.dumps(Payload()) + classifier() + b"x"),
    "array of pickled objects": array_of(
        npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n", pickle.dumps([Payload()]))
    ),
    **{f"type {name}": typed(name, loader) for name, loader in CALLS.items()},
    **OTHER_LOADERS,
    "shape of 800 GB": array_of(shaped("(100000000000,)")),
    "shape of many dimensions": array_of(shaped("(99999, 99999, 99999)")),
    "negative shape": array_of(shaped("(-8,)")),
    "items of no size": array_of(shaped("(1000000000000,)", "'|V0'")),
    "one item of 2 GB": array_of(shaped("(1,)", "'|V2000000000'")),
    "shape that is code": array_of(shaped("__import__('os').system('touch executed')")),
    "nested shape": array_of(shaped("(" * 9000 + ")" * 9000)),
    "array of another version": array_of(npy("{}", version=b"\2\0")),
    "array of no version": array_of(npy("{}", version=b"\x09\0")),
    "array that ends early": array_of(lambda: b"\x93NUM"),
    "empty array file": array_of(lambda: b""),
    "one array often": same_array_often,
    "schema of 200 MB": schema_of(lambda: b'{"a":"' + zeros(200) + b'"}'),
    "nested schema": schema_of(lambda: b'{"content":' * DEEP + b"1" + b"}" * DEEP),
    "schema of millions of things": schema_of(lambda: b"[" + b"{}," * 3_000_000 + b"{}]"),
    "schema of digits": schema_of(lambda: b"9" * 10_000_000),
    "schema that is a list": schema_of(lambda: b"[]"),
    "schema that is no JSON": schema_of(lambda: b"\xff\xfe"),
    "pool that takes for ever": pool,
    "unpacks to 1.5 GB": array_of(lambda: zeros(1536), zipfile.ZIP_DEFLATED),
    "many members": many_members,
    "claims 60,000 members": claims(10, 60_000),
    "claims a list of 4 GB": claims(12, 0xFFFFFFF0),
    "claims to be of Zip64": zip64,
    "two schemas": twice,
    "packed with bzip2": lambda folder: written(folder, members(), zipfile.ZIP_BZIP2),
    "packed with LZMA": lambda folder: written(folder, members(), zipfile.ZIP_LZMA),
    "member above its folder": lambda folder: written(folder, members() | {"../x": b"owned"}),
    "no schema": lambda folder: written(folder, {"a.npy": b""}),
    "half a file": raw(lambda: classifier()[: len(classifier()) // 2]),
    "nothing": raw(lambda: b""),
    "text": raw(lambda: b"#!/bin/sh\ntouch executed\n"),
    "tree that leads to itself": node("left", 0),
    "tree that leads out": node("right", 4_000_000_000),
    "tree of another feature": node("feature_idx", 10**9),
    "tree of a feature before the first": node("feature_idx", -1),
    "tree of categories": node("is_categorical", 1),
    "leaf that is no number": fitted(leaf_that_is_no_number),
    "tree without nodes": fitted(no_nodes),
    "tree of something else": fitted(other_nodes),
    "trees without end": attribute("n_trees_per_iteration_", 10**12),
    "trees that are none": attribute("_predictors", {"a": 1}),
    "no trees at all": fitted(lambda model: delattr(model, "_predictors")),
    "two trees in an iteration": fitted(lambda m: m._predictors[0].append(m._predictors[0][0])),
    "answer that is data": attribute("predict_proba", {"a": 1}),
    "more features": attribute("n_features_in_", 10**9),
    "preprocessor that is data": attribute("_preprocessor", {"a": 1}),
    "model that is data": fitted(lambda _: {"a": 1}),
    "list of models": fitted(lambda model: [model] * 50),
    "signature of 200 MB": signature(lambda: zeros(200)),
    "nested signature": signature(lambda: "[" * DEEP),
    "signature that is no text": signature(lambda: b"\xff"),
    "signature of another format": signed(format=2),
    "signature without features": signed(features=[]),
    "signature of a million names twice": signed(
        features=[{"name": f"f{i % 50_000}", "kind": "numeric"} for i in range(100_000)]
    ),
    "signature of no text": signed(features=[{"name": 1, "kind": "numeric"}]),
    "signature of another kind": signed(target={"kind": "image"}),
}  # fmt: skip
"""What is wrong with an artefact -> how it is made."""
