"""Snapshots of the local cloud as files and as objects: what comes back, and what is refused."""

import io
import json
import os
import pickle
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from moto import mock_aws

from stacks.local.aws.recorded.recorder import Thing
from stacks.local.aws.recorded.table import KINDS
from stacks.local.aws.sagemaker.mlflow_app import Server
from stacks.local.aws.sagemaker.records import Records
from stacks.local.aws.store import Resource, Store
from stacks.local.daemon.record import last_port
from stacks.local.keeping import pickling
from stacks.local.keeping.bodies import INLINE_BYTES, Bodies
from stacks.local.keeping.forms import CannotKeep, Refused
from stacks.local.keeping.loading import Loaded, load
from stacks.local.keeping.places import fill, moto_places, objects
from stacks.local.keeping.snapshots import PURPOSE, Snapshots
from stacks.local.provider.ledger import Ledger
from stacks.local.runtime import files, keys

ACCOUNT, CLOUD_ID = "123456789012", "0123456789abcdef"
LARGE = b"a model" * INLINE_BYTES


@pytest.fixture
def home(tmp_path: Path) -> Snapshots:
    folder = tmp_path / "local" / "data"
    folder.mkdir(parents=True)
    return Snapshots(folder=folder, keys=keys.ensure(tmp_path))


@pytest.fixture
def s3() -> Iterator[Any]:
    """moto's S3 in this process, with one bucket."""
    with mock_aws():
        from moto.s3.models import s3_backends

        backend = s3_backends[ACCOUNT]["aws"]
        backend.create_bucket("plinth-kept", "us-east-1")
        yield backend


def write(home: Snapshots, places: dict[str, Any]) -> Path:
    """A snapshot as the keeper writes it, but for the fork."""
    content, bodies = io.BytesIO(), Bodies(home.bodies_folder)
    for key in objects():
        bodies.write(key)
    dumped = pickling.dump(places, bodies, content)
    return home.write(CLOUD_ID, content.getvalue(), dumped)


def taken(home: Snapshots, places: dict[str, Any]) -> Loaded:
    """What a new cloud takes; the places are filled."""
    return load(home, places, Bodies(home.bodies_folder))


def again(places: dict[str, Any]) -> Any:
    """What is kept of places, as it comes back."""
    content, bodies = io.BytesIO(), Bodies(Path("/nowhere"))
    pickling.dump(places, bodies, content)
    return pickling.load(content.getvalue(), places, bodies)


# -- objects -----------------------------------------------------------------------------------


def records() -> Records:
    types = {"id": "String", "at": "String"}
    return Records(identifier="id", event_time="at", types=types, online=True, offline_uri=None)


def test_a_resource_comes_back_with_what_is_behind_it_and_its_locks_are_open() -> None:
    store, group = Store(), records()
    group.put({"id": "one", "at": "1"}, ["OnlineStore"], None)
    for name in ("first", "second"):
        store.add(Resource(kind="group", name=name, arn=name, fields={"a": 1}, live=group))
    with store.lock, group.lock:
        kept = again({"store": store})["store"]
    new = Store()
    fill(new, kept)
    first, second = new.all("group")
    assert first.live is second.live
    assert first.live.get("one", ["at"]) == {
        "Record": [{"FeatureName": "at", "ValueAsString": "1"}]
    }
    assert new.lock.acquire(blocking=False) and first.live.lock.acquire(blocking=False)
    assert (first.name, first.created) == ("first", store.all("group")[0].created)


def test_who_refers_to_a_place_refers_to_that_of_the_new_cloud() -> None:
    store = Store()
    kept = again({"store": store, "other": {"its": store}})
    assert kept["other"]["its"] is store


def test_a_row_is_the_one_of_this_cloud_and_a_process_is_gone() -> None:
    thing = Thing(KINDS[0], ("key",), {"a": [1]})
    server = Server(process=subprocess.Popen(["true"]), url="http://127.0.0.1:1")
    server.process.wait()
    kept = again({"things": {"one": thing, "server": server}})["things"]
    assert kept["one"].kind is KINDS[0] and kept["one"].members == {"a": [1]}
    assert kept["server"] is None


def test_a_private_key_an_event_and_a_dictionary_of_dictionaries_come_back() -> None:
    from collections import defaultdict

    key, event = rsa.generate_private_key(65537, 2048), threading.Event()
    event.set()
    nested: Any = defaultdict(lambda: defaultdict(dict))
    nested["a"]["b"]["c"] = 1
    kept = again({"it": {"key": key, "set": event, "open": threading.Event(), "nested": nested}})
    found = kept["it"]
    assert found["key"].private_numbers() == key.private_numbers()
    assert found["set"].is_set() and not found["open"].is_set()
    assert found["nested"] == nested and found["nested"]["x"]["y"] == {}


def test_what_has_no_form_is_refused_and_not_left_out() -> None:
    with pytest.raises(CannotKeep, match="lambda"):
        again({"it": {"call": lambda: None}})


@pytest.mark.parametrize(
    "wanted", [os.system, subprocess.Popen, files.write, eval, pickle.loads, getattr, Path.unlink]
)
def test_a_file_that_asks_for_something_to_run_is_refused(wanted: Callable[..., Any]) -> None:
    class Wants:
        def __reduce__(self) -> Any:
            return wanted, ("it",)

    with pytest.raises(Refused):
        pickling.load(pickle.dumps({"it": Wants()}), {}, Bodies(Path("/nowhere")))


# -- files -------------------------------------------------------------------------------------


def test_the_newest_snapshot_is_taken_and_two_are_kept(home: Snapshots) -> None:
    for number in range(4):
        write(home, {"it": {"number": number}})
    place: dict[str, Any] = {}
    loaded = taken(home, {"it": place})
    assert place == {"number": 3}
    assert (loaded.cloud_id, loaded.restored, loaded.lost) == (CLOUD_ID, True, False)
    assert [path.name for path in home.all()] == ["000000003.snapshot", "000000004.snapshot"]


def test_a_killed_cloud_says_that_something_is_lost(home: Snapshots) -> None:
    write(home, {"it": {"number": 1}})
    home.changed.touch()
    loaded = taken(home, {"it": {}})
    assert loaded.lost and "is lost" in loaded.notes[-1]
    assert not home.changed.exists()


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def one_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def another_head(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(CLOUD_ID.encode(), CLOUD_ID[::-1].encode(), 1))


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [cut_off, one_byte, another_head, empty])
def test_a_damaged_snapshot_is_passed_over_for_the_one_before(
    home: Snapshots, damage: Callable[[Path], None]
) -> None:
    write(home, {"it": {"number": 1}})
    newest = write(home, {"it": {"number": 2}})
    damage(newest)
    place: dict[str, Any] = {}
    loaded = taken(home, {"it": place})
    assert place == {"number": 1}
    assert loaded.lost and newest.name in loaded.notes[0]
    assert newest.with_suffix(".damaged").exists()


def test_what_another_home_wrote_is_put_aside(home: Snapshots, tmp_path: Path) -> None:
    write(home, {"it": {"number": 1}})
    (tmp_path / "local" / "keys.json").unlink()
    other = Snapshots(folder=home.folder, keys=keys.ensure(tmp_path))
    place: dict[str, Any] = {}
    loaded = taken(other, {"it": place})
    assert not place and not loaded.restored and loaded.cloud_id != CLOUD_ID
    assert home.folder.with_name("data-put-aside").exists()


@pytest.mark.parametrize("member", ["format", "moto"])
def test_what_another_version_wrote_is_put_aside_and_said(
    home: Snapshots, member: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as then:
        if member == "format":
            then.setattr("stacks.local.keeping.snapshots.FORMAT", 0)
        else:
            then.setattr("stacks.local.keeping.snapshots.version", lambda _: "0.1")
        write(home, {"it": {"number": 1}})
    loaded = taken(home, {"it": {}})
    assert not loaded.restored
    assert "the data were written by format" in loaded.notes[0]
    assert "starts anew" in loaded.notes[1]


def test_classes_that_hold_something_else_by_now_are_another_version(home: Snapshots) -> None:
    store = Store()
    store.add(Resource(kind="group", name="one", arn="one", fields={}))
    path = write(home, {"store": store})
    head, _, content = path.read_bytes().split(b"\n", 2)
    told = json.loads(head)
    told["fields"]["stacks.local.aws.store.Resource"].remove("live")
    head = json.dumps(told).encode()
    path.write_bytes(b"\n".join((head, home.keys.sign(PURPOSE, head), content)))
    loaded = taken(home, {"store": Store()})
    assert "other members of stacks.local.aws.store.Resource" in loaded.notes[0]


def test_files_are_their_owners_alone(home: Snapshots, s3: Any) -> None:
    s3.put_object("plinth-kept", "large", LARGE)
    write(home, moto_places())
    found = [path for path in home.folder.rglob("*") if path.is_file()]
    assert len(found) == 2
    assert {path.stat().st_mode & 0o077 for path in found} == {0}


# -- bodies of objects -------------------------------------------------------------------------


def bodies_of(home: Snapshots) -> int:
    return len([*home.bodies_folder.iterdir()])


def test_a_large_body_lies_beside_once_and_goes_with_the_last_snapshot(
    home: Snapshots, s3: Any
) -> None:
    for name in ("one", "same"):
        s3.put_object("plinth-kept", name, LARGE)
    s3.put_object("plinth-kept", "small", b"few")
    write(home, moto_places())
    assert bodies_of(home) == 1
    for name in ("one", "same"):
        s3.delete_object("plinth-kept", name)
    write(home, moto_places())
    assert bodies_of(home) == 1, "the snapshot before names it"
    write(home, moto_places())
    assert bodies_of(home) == 0


def test_objects_come_back_with_versions_parts_and_bodies(home: Snapshots, s3: Any) -> None:
    s3.put_bucket_versioning("plinth-kept", "Enabled")
    s3.put_object("plinth-kept", "large", b"older")
    s3.put_object("plinth-kept", "large", LARGE)
    upload = s3.create_multipart_upload(
        "plinth-kept", "later", {}, "STANDARD", [], None, None, None
    )
    s3.upload_part("plinth-kept", upload.id, 1, LARGE[::-1])
    write(home, moto_places())
    s3.reset()
    assert taken(home, {}).restored
    bucket = s3.get_bucket("plinth-kept")
    assert [one.value for one in bucket.keys.getlist("large")] == [b"older", LARGE]
    assert s3.get_object("plinth-kept", "large").lock.acquire(blocking=False)
    assert bucket.multiparts[upload.id].parts[1].value == LARGE[::-1]


def test_a_body_that_is_another_one_or_gone_damages_its_snapshot(home: Snapshots, s3: Any) -> None:
    write(home, moto_places())
    s3.put_object("plinth-kept", "large", LARGE)
    write(home, moto_places())
    [body] = home.bodies_folder.iterdir()
    body.write_bytes(LARGE[::-1])
    s3.reset()
    loaded = taken(home, {})
    assert loaded.lost and "another content" in loaded.notes[0]
    assert not s3.get_bucket("plinth-kept").keys


# -- what a cloud makes of older data ----------------------------------------------------------


def test_what_no_engine_holds_is_a_lost_answer_and_the_others_are_known() -> None:
    ledger, urn = Ledger(), "urn:pulumi:local.foundation::plinth::aws:s3/bucket:Bucket::it"
    ledger.created(urn, "held", {})
    ledger.seen(urn, "deleted-since", {})
    ledger.compare({(urn, "held")})
    lost = ledger.lost(urn)
    assert lost is not None and lost.id == "deleted-since"


def test_the_port_of_the_last_cloud_is_found(tmp_path: Path) -> None:
    assert last_port(tmp_path) == 0
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "daemon.lock").write_text('{"endpoint_url": "http://127.0.0.1:4711"}')
    assert last_port(tmp_path) == 4711
