"""Clients and questions that checks and commands need beside boto3's."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from infra.naming import Names
from stacks.checks.check import Unknowable

FETCH_SECONDS = 10


def unknowable(reason: str) -> Unknowable:
    """An error for what cannot be asked here."""
    return Unknowable(reason)


def fetch(url: str, headers: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
    """Status, headers and body; Unknowable where there is no network."""
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, urlopen

    try:
        with urlopen(Request(url, headers=dict(headers)), timeout=FETCH_SECONDS) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except HTTPError as error:
        return error.code, dict(error.headers), error.read()
    except (URLError, TimeoutError) as error:
        raise Unknowable(f"no network to {url.split('/')[2]}: {error}") from None


def plain_http(region: str) -> Callable[[str], Any]:
    """Clients that leave TLS out, to see that they are refused."""
    import boto3

    return partial(boto3.Session().client, region_name=region, use_ssl=False)


def kubernetes_of_file(path: Path, token: Callable[[str], str]) -> Any:
    """A client by the local cluster's kubeconfig; Unknowable where there is none, or no answer.

    `token`: name of the cluster -> what its exec command would print, which needs no AWS CLI here.
    """
    from lightkube import KubeConfig

    if not path.exists():
        raise Unknowable("no control plane runs behind the local cluster")
    config = json.loads(path.read_text())
    config["users"][0]["user"] = {"token": token(config["clusters"][0]["name"])}
    return _answering(KubeConfig.from_dict(config))


def kubernetes_of_account(clients: Callable[[str], Any], names: Names) -> Any:
    """A client of the environment's EKS cluster; Unknowable where it does not answer."""
    from lightkube import KubeConfig

    from infra.cluster import client_config

    name = names.platform.of("cluster")
    found = clients("eks").describe_cluster(name=name)["cluster"]
    authority = found["certificateAuthority"]["data"]
    config = client_config(found["name"], found["endpoint"], authority, names.region)
    return _answering(KubeConfig.from_dict(config))


def _answering(config: Any) -> Any:
    import httpx2
    from lightkube import Client
    from lightkube.resources.core_v1 import Namespace

    client: Any = Client(config=config, timeout=httpx2.Timeout(FETCH_SECONDS), trust_env=False)
    try:
        client.get(Namespace, "kube-system")
    except (httpx2.HTTPError, OSError) as error:
        raise Unknowable(f"its API server cannot be reached from here: {error}") from None
    return client
