"""What stands for an image on a machine without a container engine: a table, and a person's rows.

A job that says its own entrypoint runs that. What an image would bring itself (`train`, `serve`,
the command of a processing job) has to be known here: our own image, AWS's framework images in
script mode, and what `images` in stacks/environments/local.yaml names. Nothing else is run in its
place.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

Purpose = Literal["train", "serve", "process"]

ENVIRONMENT = "local"
FILE = f"stacks/environments/{ENVIRONMENT}.yaml"
MODULE = ("python3", "-m")
HERE = "stacks.local.runtime.frameworks"
REGISTRY = re.compile(r"^([\w.-]+)\.dkr\.ecr\.[\w-]+\.amazonaws\.com(\.cn)?/")


class NoProgram(Exception):
    """Nothing stands for an image; the text names it and the row to add."""


@dataclass(frozen=True, kw_only=True)
class LocalImage:
    """A row: images, and the commands that are run here instead of theirs."""

    image: str
    """Repositories, as fnmatch(3) has patterns; without registry they are meant in any."""

    train: Sequence[str] = ()
    serve: Sequence[str] = ()
    process: Sequence[str] = ()
    """Commands. Default: the image has no such program here."""

    requirements: Sequence[str] = ()
    """What pip installs before, unless it is there. Default: nothing."""

    ours: bool = False
    """Whether our own code is the image's content. Default: it is somebody else's."""


def _framework(image: str, library: str, *requirements: str, serves: bool = True) -> LocalImage:
    """An image of AWS's that runs a person's script with a library installed."""
    return LocalImage(
        image=image,
        train=(*MODULE, f"{HERE}.train", library),
        serve=(*MODULE, f"{HERE}.serve", library) if serves else (),
        requirements=requirements,
    )


TABLE = (
    LocalImage(image="plinth-*-images", train=("train",), serve=("serve",), ours=True),
    _framework("sagemaker-scikit-learn", "sklearn", "scikit-learn", "pandas"),
    _framework("sagemaker-xgboost", "xgboost", "xgboost", "pandas"),
    _framework("pytorch-training", "torch", "torch"),
    _framework("pytorch-inference", "torch", "torch"),
    _framework("huggingface-pytorch-training", "transformers", "torch", "transformers"),
    _framework("huggingface-pytorch-inference", "transformers", "torch", "transformers"),
    LocalImage(
        image="sagemaker-model-monitor-analyzer",
        process=(*MODULE, f"{HERE}.analyze"),
        requirements=("pandas", "pyarrow", "scikit-learn"),
    ),
    LocalImage(
        image="sagemaker-clarify-processing",
        process=(*MODULE, f"{HERE}.clarify"),
        requirements=("pandas", "pyarrow", "scikit-learn"),
    ),
    # of Studio: a notebook job says its entrypoint itself
    *(
        LocalImage(image=f"sagemaker-{name}-*")
        for name in ("base-python", "data-science", "distribution", "sparkanalytics")
    ),
    # its serving container is TensorFlow Serving, which is no Python
    _framework("tensorflow-training", "tensorflow", "tensorflow", serves=False),
)
"""Ours, and AWS's by their repositories (developer guide, "Docker Registry Paths and Example
Code"; AWS Deep Learning Containers, "Available images")."""


BROUGHT: Mapping[str, Sequence[str]] = {
    "amazon_sagemaker_scheduler": (
        *MODULE, f"{HERE}.install",
        "ipykernel==7.4.0", "papermill==2.7.0", "sagemaker-headless-execution-driver==0.0.13",
        "--", *MODULE, f"{HERE}.notebook",
    ),
}  # fmt: skip
"""Programs of AWS's images that jobs name as their entrypoints -> what is run here (developer
guide, "Image constraints" of notebook jobs: the image brings the driver and papermill)."""


def entrypoint(said: Sequence[str], uri: str, purpose: Purpose) -> tuple[str, ...]:
    """What a job runs: its own entrypoint, or what stands for its image (NoProgram: nothing)."""
    if not said:
        return command(uri, purpose)
    return (*BROUGHT.get(said[0], said[:1]), *said[1:])


def find(uri: str, own: Iterable[LocalImage] | None = None) -> LocalImage | None:
    """The row of an image, a person's own first; None when there is none."""
    repository = uri.partition("@")[0]
    head, slash, last = repository.rpartition("/")
    repository = f"{head}{slash}{last.partition(':')[0]}"
    names = (repository, REGISTRY.sub("", repository))
    rows = [*(_rows_of_the_file() if own is None else own), *TABLE]
    return next((row for row in rows if any(fnmatchcase(n, row.image) for n in names)), None)


def command(uri: str, purpose: Purpose) -> tuple[str, ...]:
    """What is run for an image; NoProgram where nothing is."""
    row = find(uri)
    told: Sequence[str] = getattr(row, purpose) if row else ()
    if not told:
        name = REGISTRY.sub("", uri.partition("@")[0]).partition(":")[0] or "IMAGE"
        example = f"images: [{{image: {name!r}, {purpose}: [python3, /path/to/{purpose}.py]}}]"
        raise NoProgram(
            f"Requested image {uri} not found: there is no container engine here and no row says "
            f"how to {purpose} with it. Say it in {FILE}: {example}, with requirements: [...] for "
            "what pip must install"
        )
    if row is None or not row.requirements:
        return tuple(told)
    return (*MODULE, f"{HERE}.install", *row.requirements, "--", *told)


def is_elsewhere(uri: str, account_id: str) -> bool:
    """Whether an image is in the registry of another account, such as those of AWS's algorithms."""
    found = REGISTRY.match(uri)
    return found is not None and found[1] != account_id


def is_ours(uri: str) -> bool:
    """Whether our own code is what an image holds."""
    row = find(uri)
    return row is not None and row.ours


def is_aws(uri: str) -> bool:
    """Whether an image is one of AWS's, whose repositories let every account pull."""
    row = find(uri, own=())
    return row is not None and not row.ours


def _rows_of_the_file() -> list[LocalImage]:
    """A person's rows, read anew each time: no restart is needed to add one."""
    from infra.errors import UserError
    from stacks.settings.load import load_environment

    try:
        settings = load_environment(ENVIRONMENT)
    except UserError as error:
        raise NoProgram(str(error)) from error
    return [LocalImage(**row.model_dump()) for row in settings.images]
