"""The local cloud: one process with the AWS endpoint and the Pulumi providers.

Start: stop what an earlier cloud left, bind the port, take its data, serve AWS (our SageMaker in
front of moto), start what served, serve the providers, and only then write cloud.json. Stop
(SIGTERM or SIGINT): remove cloud.json, write the data down, then end every child.
"""

from __future__ import annotations

import argparse
import functools
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import psutil

from stacks import garbage
from stacks.local.daemon.client import ALREADY_RUNNING, take_lock
from stacks.local.daemon.record import last_port, write_down
from stacks.local.provider.aws.kept_answers import Answers
from stacks.local.provider.peers import Admits, owner_with
from stacks.local.runtime.container import (
    ContainerRuntime,
    find_namespace,
    isolation,
    without_network,
)
from stacks.local.runtime.keys import SECRET_VARIABLE, Keys
from stacks.local.runtime.keys import ensure as ensure_keys
from stacks.local.runtime.processes import Children, port_owner

if TYPE_CHECKING:
    from stacks.local.aws.emulator import Emulator
    from stacks.local.aws.gate import Gate
    from stacks.local.aws.recorded.recorder import Recorder
    from stacks.local.daemon.data import Data
    from stacks.local.kubernetes.attach import Attachment
    from stacks.local.provider.aws.backend import AwsBackend
    from stacks.local.provider.aws.row import Believed
    from stacks.local.provider.backend import Backend

REGION = os.environ.get("PLINTH_REGION", "us-east-1")
"""The one region of this account. Another than the default is for AWS's clients alone: `plinth`
deploys to the default."""

REPLACES_AS = "PLINTH_REPLACES_AS"
"""Variable that says `aws` where `local` is to replace what AWS would, and nothing else that the
official provider replaces. Default: both."""


# No catalogue of images that nobody asked for; managed policies, because roles attach them.
MOTO_SETTINGS = {
    "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",
    "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",
    "S3_IGNORE_SUBDOMAIN_BUCKETNAME": "true",
}

log = logging.getLogger("stacks.local.daemon.main")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the cloud until it is told to stop; the exit code."""
    garbage.put_off()
    arguments = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for noisy in ("werkzeug", "botocore", "boto3", "urllib3", "httpx2"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    home: Path = arguments.home.absolute()
    os.umask(0o077)  # whatever a job or a server writes is its owner's alone
    lock = take_lock(home)
    if lock is None:
        log.error("another local cloud of %s is running or about to", home)
        return ALREADY_RUNNING
    children = Children(folder=home / "local" / "run")
    children.reap()
    try:
        listener = _listen(arguments.port) if arguments.port else _listen_again(home)
    except OSError as error:
        log.error(
            "port %d must be free, got %s: used by %s",
            arguments.port, error.strerror, port_owner(arguments.port),
        )  # fmt: skip
        return 2
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    _serve(arguments, home, children, listener, stop=stop, lock=lock)
    children.reap()
    logging.shutdown()
    os._exit(0)  # threads of jobs and of the provider must not keep a stopped cloud alive


def _serve(
    arguments: argparse.Namespace,
    home: Path,
    children: Children,
    listener: socket.socket,
    *,
    stop: threading.Event,
    lock: TextIO,
) -> None:
    from stacks.local.daemon.data import Data

    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    namespace = find_namespace()
    os.environ.update(MOTO_SETTINGS)
    keys = ensure_keys(home)
    sagemaker_app = _overlay(home, url, namespace, children, keys)
    data = Data.of(home, keys, sagemaker_app)
    gate = _guarded(sagemaker_app, listener, keys, data)
    data.load()
    _serve_http(gate, listener)
    ready = data.resume()
    threading.Thread(
        target=data.rounds.run, args=(sagemaker_app, data.quiet, stop), daemon=True
    ).start()
    attachment = _attachment(home, children, gate, sagemaker_app, keys)
    attachment.look()  # a cluster that was there answers before anybody asks for it
    threading.Thread(target=attachment.run, args=(stop,), daemon=True).start()
    admits = owner_with(SECRET_VARIABLE, keys.secret_access_key)
    ports = [0, 0]
    if not arguments.no_provider:
        from stacks.local.provider.kubernetes.backend import KubernetesBackend

        aws = _aws_backend(url, keys, data.answers)
        data.delete_again(aws)
        backends = (aws, KubernetesBackend(attachment))
        ports = [_serve_provider(backend, admits, data) for backend in backends]
    ready()
    data.begin()
    garbage.take_up()
    log.info("ready at %s", url)
    write_down(home, _record(url, ports, namespace, data), lock, data.made, stop)
    (home / "local" / "cloud.json").unlink(missing_ok=True)
    log.info("stopping")
    data.finish()


def _record(
    url: str, ports: Sequence[int], namespace: tuple[str, ...], data: Data
) -> dict[str, object]:
    """What cloud.json says."""
    return {
        "pid": os.getpid(),
        "create_time": psutil.Process().create_time(),
        "cloud_id": data.cloud_id,
        "endpoint_url": url,
        "provider_port": ports[0],
        "kubernetes_port": ports[1],
        "job_isolation": isolation(namespace),
        "restored": data.restored,
        "notes": data.notes,
    }


def _overlay(
    home: Path, url: str, namespace: tuple[str, ...], children: Children, keys: Keys
) -> Any:
    from stacks.local.aws import (
        eventbridge,
        function_roles,
        lambda_async,
        moto_lambda,
        service_linked_roles,
        service_quotas,
    )
    from stacks.local.aws.app import SageMakerApp
    from stacks.local.aws.cloudformation import moto_cloudformation
    from stacks.local.aws.emulator import Emulator
    from stacks.local.aws.faults import Faults
    from stacks.local.aws.iam import owner, simulation
    from stacks.local.aws.sagemaker.capture import Captures
    from stacks.local.aws.store import Store
    from stacks.local.daemon.deciding import authorizer
    from stacks.local.runtime import lambda_functions

    host = ContainerRuntime(
        home=home,
        endpoint_url=url,
        region=REGION,
        keys=keys,
        namespace=namespace,
        closed_namespace=without_network(namespace),
        children=children,
    )
    _mend_moto()
    service_linked_roles.install()
    simulation.install()
    service_quotas.install()
    service_linked_roles.make()
    owner.make(keys, REGION)
    store = Store()
    emulator = Emulator(
        host=host, store=store, authorizer=authorizer(host, store, REGION), faults=Faults(home=home)
    )
    lambda_functions.install(host, lambda function: function_roles.acting(emulator, function))
    moto_lambda.install(functools.partial(lambda_async.enqueue, emulator))
    eventbridge.install(emulator)
    moto_cloudformation.know(emulator)
    fallback = _recorder(emulator)
    captures = Captures(lambda role: emulator.act(role).s3)
    return SageMakerApp(emulator=emulator, captures=captures, fallback=fallback)


def _mend_moto() -> None:
    """What is mended before any of its applications is made."""
    from stacks.local.aws import (
        moto_cloudwatch,
        moto_ec2,
        moto_eks,
        moto_kms,
        moto_loading,
        moto_s3,
        moto_sns,
        moto_thread_safety,
    )

    moto_loading.install()
    moto_thread_safety.install()
    for mended in (moto_s3, moto_sns, moto_kms, moto_ec2, moto_eks, moto_cloudwatch):
        mended.install()


def _recorder(emulator: Emulator) -> Recorder:
    """What answers for what moto lacks, in front of moto."""
    from moto.server import DomainDispatcherApplication

    from stacks.local.aws import autoscaling, moto_app
    from stacks.local.aws.eks import entries, pod_identity
    from stacks.local.aws.emr import serverless
    from stacks.local.aws.recorded.recorder import Recorder

    moto = DomainDispatcherApplication(functools.partial(moto_app.make, emulator))
    made = Recorder(
        moto,
        REGION,
        operations=pod_identity.operations(REGION, emulator.authorizer.keys_of),
        after={**entries.AFTER, **autoscaling.after(emulator), **serverless.after(emulator)},
    )
    entries.install(made, emulator.authorizer)
    return made


def _guarded(
    sagemaker_app: Any,
    listener: socket.socket,
    keys: Keys,
    data: Data,
) -> Gate:
    """The endpoint behind the gate that checks origin and signature, and what AWS refuses."""
    from stacks.local.aws import service_quotas, session_tags, session_tokens
    from stacks.local.aws.answers import Answering
    from stacks.local.aws.faults import Failing
    from stacks.local.aws.gate import Gate, known_secrets
    from stacks.local.aws.refusals.account import Account
    from stacks.local.aws.refusals.filter import Refusing
    from stacks.local.aws.sagemaker.endpoints import CONFIG

    authorizer = sagemaker_app.emulator.authorizer
    session_tokens.install(data.sessions, authorizer.owners)
    session_tags.install()
    store = sagemaker_app.emulator.store
    account = Account(
        region=REGION,
        recorded=sagemaker_app.fallback.store,
        authorizer=authorizer,
        is_new=service_quotas.is_new(),
        endpoint_config=lambda name: getattr(store.find(CONFIG, name), "fields", {}),
    )
    return Gate(
        authorize=authorizer.check,
        application=data.quiet.around(
            Failing(
                application=data.journal.around(
                    data.answers.kept_by(
                        Answering(application=Refusing(application=sagemaker_app, account=account)),
                        keys.access_key_id,
                    )
                ),
                faults=sagemaker_app.emulator.faults,
            )
        ),
        port=listener.getsockname()[1],
        secret_of=known_secrets(keys.access_key_id, keys.secret_access_key, data.sessions),
    )


def _whose() -> Believed:
    """Whose replacements `local` makes: the official provider's too, or AWS's alone."""
    return "aws" if os.environ.get(REPLACES_AS) == "aws" else "here"


def _serve_http(application: Any, listener: socket.socket) -> None:
    """Serve in a thread."""
    from stacks.local.daemon.http import Server

    server = Server(listener, application)
    threading.Thread(target=server.serve_forever, name="aws", daemon=True).start()


def _aws_backend(url: str, keys: Keys, answers: Answers) -> AwsBackend:
    from stacks.local.provider.aws.backend import AwsBackend

    backend = AwsBackend(url, REGION, keys, whose=_whose(), answers=answers)
    threading.Thread(target=backend.warm, daemon=True).start()
    return backend


def _serve_provider(backend: Backend, admits: Admits, data: Data) -> int:
    from stacks.local.provider.server import serve

    server, port = serve(backend, admits=admits, ledger=data.ledger, deleted=data.deleted)
    _KEPT.append(server)
    return int(port)


def _attachment(
    home: Path, children: Children, gate: Gate, sagemaker_app: Any, keys: Keys
) -> Attachment:
    """What gives the EKS cluster a control plane, where this machine has the programs of one."""
    from stacks.local.aws.account_id import ACCOUNT_ID
    from stacks.local.aws.eks import joining
    from stacks.local.aws.eks.access import ClusterAccess
    from stacks.local.kubernetes.attach import Attachment
    from stacks.toolchain import control_plane

    url = f"http://127.0.0.1:{gate.port}"

    def config_map(namespace: str, name: str) -> Mapping[str, str]:
        return made.config_map(namespace, name)

    def access(cluster: str) -> ClusterAccess:
        return ClusterAccess(
            cluster=cluster,
            endpoint=url,
            store=sagemaker_app.fallback.store,
            authorizer=sagemaker_app.emulator.authorizer,
            secret_of=gate.secret_of,
            config_map=config_map,
        )

    made = Attachment(
        home=home,
        children=children,
        programs=control_plane.find(),
        account_id=ACCOUNT_ID,
        region=REGION,
        endpoint=url,
        keys=keys.aws(),
        access=access,
        join_failure=functools.partial(
            joining.join_failure, sagemaker_app.emulator.authorizer, sagemaker_app.fallback.store
        ),
    )
    made.install()
    return made


_KEPT: list[object] = []
"""A gRPC server stops when it is collected."""


def _listen_again(home: Path) -> socket.socket:
    """Where the cloud before listened, whose address clients have; else on a free port."""
    try:
        return _listen(last_port(home))
    except OSError:
        return _listen(0)


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="stacks.local.daemon.main", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="PLINTH_HOME")
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument("--no-provider", action="store_true", help="serve AWS only")
    return parser


if __name__ == "__main__":
    sys.exit(main())
