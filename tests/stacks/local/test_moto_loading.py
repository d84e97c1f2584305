"""What a local cloud loads once: in a process of its own, since it alters botocore and moto."""

import json
import subprocess
import sys

LOADED = """
import json
from stacks.local.aws import moto_loading
moto_loading.install()
import botocore.session
from moto.core import utils
from moto.iam.models import get_account_id_from, iam_backends
loaders = [botocore.session.Session().get_component("data_loader") for _ in range(2)]
account = iam_backends["123456789012"]
get_account_id_from("AKIAUNKNOWN")
print(json.dumps({
    "sessions": loaders[0] is loaders[1],
    "models": utils.create_loader() is utils.create_loader(),
    "partitions": list(account.keys()),
}))
"""


def test_models_are_read_by_one_loader_and_a_key_is_looked_for_in_one_partition() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True
    )
    said = json.loads(done.stdout)
    assert said == {"sessions": True, "models": True, "partitions": ["aws"]}
