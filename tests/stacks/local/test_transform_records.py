"""How a transform job cuts objects, what it picks of a record and joins: without a container."""

import io
import json
import struct
from typing import Any

import pytest

from stacks.local.aws.sagemaker.transform.association import Association
from stacks.local.aws.sagemaker.transform.json_path import PathError, parse, select
from stacks.local.aws.sagemaker.transform.splitting import BadRecord, batches, split

ROW = ["a", "b", "c", "d", "e"]
OBJECT = {"id": 7, "features": [1, 2, 3], "of": {"x": {"n": 1}, "y": {"n": 2}}}


@pytest.mark.parametrize(
    ("path", "value", "found"),
    [
        ("$", ROW, ROW),
        ("$[1]", ROW, "b"),
        ("$[-1]", ROW, "e"),
        ("$[1,3,-1]", ROW, ["b", "d", "e"]),
        ("$[1:3]", ROW, ["b", "c"]),
        ("$[2:]", ROW, ["c", "d", "e"]),
        ("$[:-1]", ROW, ["a", "b", "c", "d"]),
        ("$[*]", ROW, ROW),
        ("$.features", OBJECT, [1, 2, 3]),
        ("$['features'][0]", OBJECT, 1),
        ("$.features[1:]", OBJECT, [2, 3]),
        ("$['id','features']", OBJECT, {"id": 7, "features": [1, 2, 3]}),
        ("$.of.['x','y']", OBJECT, {"x": {"n": 1}, "y": {"n": 2}}),
        ("$.of.*.n", OBJECT, [1, 2]),
        ('$["id"]', OBJECT, 7),
    ],
)
def test_a_path_finds_what_its_operators_say(path: str, value: Any, found: Any) -> None:
    assert select(value, parse(path)) == found


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("id", "it must start with $"),
        ("$[0:2,246:]", "Format [0:2,246:] is not supported"),
        ("$[?(@.x)]", "is not supported"),
        ("$..id", "cannot be read from '..id'"),
        ("$['a','b'].c", "nothing can follow several names"),
    ],
)
def test_a_path_that_sagemaker_does_not_read_is_refused(path: str, text: str) -> None:
    with pytest.raises(PathError) as refused:
        parse(path)
    assert str(refused.value).startswith(f"Invalid JsonPath: {path}: ")
    assert text in str(refused.value)


@pytest.mark.parametrize(
    ("path", "value"),
    [("$[5]", ROW), ("$[-6]", ROW), ("$.x", OBJECT), ("$[0]", OBJECT), ("$.id", ROW)],
)
def test_what_is_not_there_is_an_error(path: str, value: Any) -> None:
    with pytest.raises(PathError):
        select(value, parse(path))


def cut(content: bytes, how: str) -> list[tuple[bytes, bytes]]:
    return [(record.raw, record.bare) for record in split(io.BytesIO(content), how)]


def test_lines_are_records_with_and_without_their_ends() -> None:
    assert cut(b"a\r\n\nb", "Line") == [(b"a\r\n", b"a"), (b"\n", b""), (b"b", b"b")]
    assert cut(b"a\nb\n", "None") == [(b"a\nb\n", b"a\nb\n")]
    assert cut(b"", "None") == cut(b"", "Line") == []


def test_a_record_that_holds_the_magic_number_is_put_together_again() -> None:
    magic = struct.pack("<I", 0xCED7230A)
    parts = b"".join(
        magic + struct.pack("<I", flag << 29 | 2) + data + b"\0\0"
        for flag, data in ((1, b"ab"), (2, b"cd"), (3, b"ef"))
    )
    assert cut(parts, "RecordIO") == [(parts, b"ab" + magic + b"cd" + magic + b"ef")]
    for broken in (parts[:-1], parts[:12], b"no magic"):
        with pytest.raises(BadRecord):
            cut(broken, "RecordIO")


def test_batches_hold_as_many_records_as_fit_in_their_order() -> None:
    records = list(split(io.BytesIO(b"a\nbb\nccc\nd\n"), "Line"))
    sizes = [[r.bare for r in batch] for batch in batches(records, single=False, max_bytes=6)]
    assert sizes == [[b"a", b"bb"], [b"ccc", b"d"]]
    assert [len(batch) for batch in batches(records, single=True, max_bytes=3)] == [1, 1, 1, 1]
    assert [len(batch) for batch in batches(records, single=False, max_bytes=None)] == [4]
    with pytest.raises(BadRecord, match="a record of 4 bytes"):
        list(batches(records, single=False, max_bytes=3))


CSV = Association(joins=True, input_kind="csv", output_kind="csv")
JSON = Association(joins=True, input_kind="json", output_kind="json")


def test_rows_are_joined_column_by_column() -> None:
    assert CSV.kept([b'1,"x, y"', b"2,z"], b"0.5,yes\n0.7,no\n") == [
        b'1,"x, y",0.5,yes',
        b"2,z,0.7,no",
    ]


@pytest.mark.parametrize(
    ("record", "joined"),
    [
        (b'{"key": 1}', {"key": 1, "SageMakerOutput": {"label": 1}}),
        (b"[1, 2]", {"SageMakerInput": [1, 2], "SageMakerOutput": {"label": 1}}),
        (b'{"SageMakerOutput": 0}', {"SageMakerOutput": {"label": 1}}),
    ],
)
def test_an_answer_joins_an_object_or_stands_beside_anything_else(
    record: bytes, joined: Any
) -> None:
    (told,) = JSON.kept([record], b'{\n "label": 1\n}\n')
    assert json.loads(told) == joined


def test_answers_that_are_not_as_many_as_records_are_refused() -> None:
    with pytest.raises(BadRecord, match="mismatched line count between the input and the output"):
        CSV.kept([b"1", b"2"], b"0.5\n")
    with pytest.raises(BadRecord, match="Failed to parse a record as JSON"):
        JSON.kept([b"{}"], b"<html>")


def test_answers_that_nobody_reads_are_kept_to_the_byte() -> None:
    assert Association(output_kind="csv").kept([b"1", b"2"], b"\x89PNG\n") == [b"\x89PNG\n"]
