"""The OpenAI-compatible route of local endpoints, with the tokens that SageMaker's SDK makes."""

import base64
import json
import sys
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
import urllib3
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from stacks.local.aws.sagemaker.chat import PATH
from tests.kits.endpoints import settled
from tests.kits.local_cloud import OWN_IMAGE, ROLE, Cloud, trusted_role, until
from tests.kits.multi_model import deploy

SERVE = f"""#!{sys.executable}
import http.server, json, os, threading
go_on = threading.Event()
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self, status, said):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said.encode())
    def do_GET(self):
        self.answer(200, "")
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path != "/v1/chat/completions":
            return self.answer(404, "not here")
        said = body["messages"][0]["content"]
        if said == "go on":
            go_on.set()
        if said == "bad":
            return self.answer(400, '{{"error": {{"message": "no such word"}}}}')
        if not body.get("stream"):
            message = {{"role": "assistant", "content": said + "!"}}
            whole = {{"model": body["model"], "choices": [{{"message": message}}]}}
            return self.answer(200, json.dumps(whole))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in said.split():
            line = f"data: {{part}}\\n\\n"
            self.wfile.write(f"{{len(line):x}}\\r\\n{{line}}\\r\\n".encode())
            go_on.wait()
        self.wfile.write(b"0\\r\\n\\r\\n")
    def log_message(self, *_):
        pass
port = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""
"""Completes what it is told with an exclamation mark, or word by word where it is to stream."""


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("bin")
    (folder / "serve").write_text(SERVE)
    (folder / "serve").chmod(0o755)
    return {"Image": OWN_IMAGE, "Environment": {"PATH": f"{folder}:/usr/bin:/bin"}}


@pytest.fixture(scope="module")
def talks(sm: Any, container: dict[str, Any]) -> str:
    deploy(sm, "talks", container, role=ROLE)
    assert settled(sm, "talks")["EndpointStatus"] == "InService"
    return "talks"


@pytest.fixture(scope="module")
def http() -> Iterator[urllib3.PoolManager]:
    with urllib3.PoolManager(retries=False, timeout=30) as pool:
        yield pool


@pytest.fixture(scope="module")
def keys(cloud: Cloud) -> Credentials:
    """Of somebody who may talk to one endpoint."""
    return entered(cloud, "talker", ["sagemaker:CallWithBearerToken", "sagemaker:InvokeEndpoint"])


def entered(cloud: Cloud, name: str, actions: list[str]) -> Credentials:
    """A session of a role that may do so much."""
    trusted_role(cloud.client("iam"), name, Action=actions)
    asked = {"RoleArn": f"{ROLE.rpartition('/')[0]}/{name}", "RoleSessionName": "me"}
    given = cloud.client("sts").assume_role(**asked)["Credentials"]
    return Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])


def token(keys: Credentials, *, region: str = "us-east-1", expires: int = 300) -> str:
    """As the SDK's `generate_token` makes it, which refuses more than twelve hours itself."""
    from sagemaker.core.token_generator import _generate_token

    return f"Bearer {_generate_token(keys, region, expires)}"


def ask(
    http: urllib3.PoolManager, cloud: Cloud, authorization: str, said: str = "hello", **more: Any
) -> urllib3.BaseHTTPResponse:
    path, streamed = more.pop("path", "/endpoints/talks"), more.pop("streamed", False)
    body = {"model": "", "messages": [{"role": "user", "content": said}], "stream": streamed}
    return http.request(
        "POST",
        f"{cloud.info.endpoint_url}{path}/openai/v1/chat/completions",
        body=json.dumps(body),
        headers={"Content-Type": "application/json", "Authorization": authorization, **more},
        preload_content=not streamed,
    )


def error(answer: urllib3.BaseHTTPResponse) -> tuple[int, str, str]:
    """Status, code and message, as OpenAI's clients read them."""
    told = json.loads(answer.data)["error"]
    return answer.status, told["code"], told["message"]


def test_the_container_s_own_answer_comes_back(
    http: urllib3.PoolManager, cloud: Cloud, talks: str, keys: Credentials
) -> None:
    answer = ask(http, cloud, token(keys))
    assert answer.status == 200, answer.data
    assert answer.headers["Content-Type"] == "application/json"
    assert json.loads(answer.data)["choices"][0]["message"]["content"] == "hello!"


def test_a_stream_comes_as_the_container_writes_it(
    http: urllib3.PoolManager, cloud: Cloud, talks: str, keys: Credentials
) -> None:
    """The second part is written only once the first one was read."""
    answer = ask(http, cloud, token(keys), "one two", streamed=True)
    assert answer.headers["Content-Type"] == "text/event-stream"
    parts = answer.stream(1 << 16)
    assert next(parts) == b"data: one\n\n"
    ask(http, cloud, token(keys), "go on")
    assert b"".join(parts) == b"data: two\n\n"


def test_what_the_container_refuses_is_an_error_that_says_so(
    http: urllib3.PoolManager, cloud: Cloud, talks: str, keys: Credentials
) -> None:
    answer = ask(http, cloud, token(keys), "bad")
    status, code, message = error(answer)
    assert (status, code) == (424, "ModelError") and "no such word" in message
    assert json.loads(answer.data)["OriginalStatusCode"] == 400
    status, code, _ = error(ask(http, cloud, token(keys), path="/endpoints/none"))
    assert (status, code) == (400, "ValidationError")


def test_an_inference_component_is_named_in_the_path(
    http: urllib3.PoolManager, cloud: Cloud, sm: Any, container: dict[str, Any], keys: Credentials
) -> None:
    sm.create_model(ModelName="part", ExecutionRoleArn=ROLE, PrimaryContainer=container)
    variant = {"VariantName": "v", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sm.create_endpoint_config(
        EndpointConfigName="parts", ExecutionRoleArn=ROLE, ProductionVariants=[variant]
    )
    sm.create_endpoint(EndpointName="parts", EndpointConfigName="parts")
    assert settled(sm, "parts")["EndpointStatus"] == "InService"
    needs = {"MinMemoryRequiredInMb": 128}
    sm.create_inference_component(
        InferenceComponentName="part",
        EndpointName="parts",
        VariantName="v",
        Specification={"ModelName": "part", "ComputeResourceRequirements": needs},
        RuntimeConfig={"CopyCount": 1},
    )
    described = until(
        lambda: sm.describe_inference_component(InferenceComponentName="part"),
        "InferenceComponentStatus",
    )
    assert described["InferenceComponentStatus"] == "InService"
    path = "/endpoints/parts/inference-components/part"
    answer = ask(http, cloud, token(keys), path=path)
    assert json.loads(answer.data)["choices"][0]["message"]["content"] == "hello!"
    by_header = {"X-Amzn-SageMaker-Inference-Component": "part"}
    told = error(ask(http, cloud, token(keys), path="/endpoints/parts", **by_header))
    assert told[:2] == (400, "ValidationError") and "in the path" in told[2]


@pytest.mark.parametrize(
    ("actions", "missing"),
    [
        (["sagemaker:InvokeEndpoint"], "sagemaker:CallWithBearerToken"),
        (["sagemaker:CallWithBearerToken"], "sagemaker:InvokeEndpoint on resource: arn:aws:"),
    ],
)
def test_a_token_opens_nothing_to_who_lacks_one_of_both_rights(
    http: urllib3.PoolManager, cloud: Cloud, talks: str, actions: list[str], missing: str
) -> None:
    own = entered(cloud, f"may-{actions[0].rpartition(':')[2]}", actions)
    status, code, message = error(ask(http, cloud, token(own)))
    assert (status, code) == (403, "AccessDeniedException")
    assert f"is not authorized to perform: {missing}" in message


def _altered(text: str) -> str:
    """Another action, signed as it was."""
    url = base64.b64decode(text.rpartition("sagemaker-api-key-")[2]).decode()
    other = url.replace("X-Amz-Expires=300", "X-Amz-Expires=400").encode()
    return f"Bearer sagemaker-api-key-{base64.b64encode(other).decode()}"


def test_what_is_no_valid_token_is_refused(
    http: urllib3.PoolManager, cloud: Cloud, talks: str, keys: Credentials
) -> None:
    good = token(keys)
    stranger = Credentials("AKIASTRANGER00000000", "s", None)
    wrong = (
        (_altered(good), "SignatureDoesNotMatch"),
        (token(stranger), "InvalidClientTokenId"),
        (token(keys, expires=12 * 3600 + 1), "AccessDeniedException"),
        (token(keys, region="eu-west-1"), "AccessDeniedException"),
        (good.replace("sagemaker-api-key-", "bedrock-api-key-"), "AccessDeniedException"),
        ("Bearer sagemaker-api-key-%", "AccessDeniedException"),
        ("", "AccessDeniedException"),
    )
    for authorization, told in wrong:
        status, code, message = error(ask(http, cloud, authorization))
        assert (status, code) == (403, told), message


def test_a_token_of_another_action_or_service_is_refused(
    http: urllib3.PoolManager, cloud: Cloud, talks: str, keys: Credentials
) -> None:
    """A presigned URL of S3 must not become a way to an endpoint."""
    session = boto3.session.Session(keys.access_key, keys.secret_key, keys.token, "us-east-1")
    client = session.client("s3")
    url = client.generate_presigned_url("get_object", Params={"Bucket": "b", "Key": "k"})
    packed = base64.b64encode(f"{url.removeprefix('https://')}&Version=1".encode()).decode()
    status, code, _ = error(ask(http, cloud, f"Bearer sagemaker-api-key-{packed}"))
    assert (status, code) == (403, "AccessDeniedException")
    for host, action in (("sagemaker.amazonaws.com", "ListModels"), ("h", "CallWithBearerToken")):
        request = AWSRequest("POST", f"https://{host}/", params={"Action": action})
        request.headers["host"] = host
        SigV4QueryAuth(keys, "sagemaker", "us-east-1", expires=300).add_auth(request)
        url = f"{request.url.removeprefix('https://')}&Version=1"
        packed = base64.b64encode(url.encode()).decode()
        told = error(ask(http, cloud, f"Bearer sagemaker-api-key-{packed}"))
        assert told[:2] == (403, "AccessDeniedException") and "it is no CallWith" in told[2]


def test_a_token_opens_no_other_route_and_a_signature_not_this_one(
    http: urllib3.PoolManager, cloud: Cloud, talks: str, keys: Credentials
) -> None:
    headers = {"Authorization": token(keys), "Content-Type": "application/json"}
    url = f"{cloud.info.endpoint_url}/endpoints/talks/invocations"
    assert http.request("POST", url, body=b"{}", headers=headers).status == 403
    url = f"{cloud.info.endpoint_url}/endpoints/talks/openai{PATH}"
    request = AWSRequest("POST", url, data=b"{}", headers={"Content-Type": "application/json"})
    SigV4Auth(keys, "sagemaker", "us-east-1").add_auth(request)
    answer = http.request("POST", url, body=b"{}", headers=dict(request.headers.items()))
    assert error(answer)[:2] == (403, "AccessDeniedException")
