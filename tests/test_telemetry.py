"""Spans tell what a request led to, and cost nothing where nobody wants them.

The receiver is a stand-in: it takes OTLP over HTTP as the protocol's own protobuf has it, and keeps
what it got. That a collector takes it too is not tested here.
"""

import asyncio
import json
import subprocess
import sys
import time

import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from gateway import config, telemetry
from gateway.config import Misconfigured
from gateway.sharing.sending import Offer
from gateway.upstream.pool import Pool
from tests.pair import eventually
from tests.servers import free_port
from tests.sharing.stage import create_share, gateway, opened, other, peer, request, token_of
from tests.sharing.stage import storage as stored
from tests.web.test_traces import TRACE
from tests.web.test_traces import storage as recording_storage

__all__ = ["gateway", "opened", "other", "peer", "stored"]

USERS = {"source": "list", "list": [{"name": "alice", "password": "alice-password"}]}
storage = stored


class Receiver:
    """Takes spans; `seconds` late, with `status`."""

    def __init__(self):
        self.spans, self.raw, self.headers, self.services = [], b"", [], set()
        self.status, self.seconds = 200, 0

    async def take(self, asked):
        body = await asked.read()
        await asyncio.sleep(self.seconds)
        self.raw += body
        assert asked.headers["Content-Encoding"] == "gzip"
        self.headers.append(asked.headers)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            told = {one.key: one.value.string_value for one in resource.resource.attributes}
            self.services.add(told["service.name"])
            for scope in resource.scope_spans:
                self.spans += scope.spans
        return web.Response(status=self.status)

    def named(self, name):
        return [one for one in self.spans if one.name == name]


def facts(span):
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


@pytest.fixture
async def receiver():
    receiver = Receiver()
    runner = web.ServerRunner(web.Server(receiver.take), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1/traces"
    yield receiver
    await runner.cleanup()


async def test_a_request_and_what_it_asks_of_the_storage_are_one_trace(
    opened, peer, receiver, tmp_path
):
    runner, seen = await recording_storage()
    (tmp_path / "token").write_text("collectors-own\n")
    gateway = await opened(
        storage_url=f"http://127.0.0.1:{runner.addresses[0][1]}/dav",
        users=USERS,
        telemetry={
            "endpoint": receiver.url,
            "service": "ours",
            "token_file": str(tmp_path / "token"),
        },
    )
    share = await create_share(gateway, peer)
    token = await token_of(gateway, peer, share)
    door = f"{gateway.ours.origin}/remote/dav/ocm/{share.provider_id}"
    seen.clear()
    headers = {"Authorization": f"Bearer {token}", "Depth": "0", "traceparent": TRACE}
    assert (await peer.send(request("PROPFIND", door, b"", headers))).status == 207
    await eventually(lambda: receiver.named("PROPFIND dav.shares"))
    [server] = receiver.named("PROPFIND dav.shares")
    assert server.trace_id.hex() == TRACE.split("-")[1]
    assert server.parent_span_id.hex() == TRACE.split("-")[2]
    told = facts(server)
    assert told["http.response.status_code"] == 207
    assert told["ocm.request"]
    below = [one for one in receiver.spans if one.parent_span_id == server.span_id]
    assert [one.name for one in below] == ["PROPFIND"]
    assert facts(below[0])["http.response.status_code"] == 207
    [mark] = seen.pop()
    assert mark.split("-")[2] == below[0].span_id.hex()
    assert receiver.services == {"ours"}
    assert receiver.headers[0]["Authorization"] == "Bearer collectors-own"
    secrets = (token, share.shared_secret, "alice", "letter", "trip", share.provider_id)
    for secret in secrets[:5]:
        assert secret.encode() not in receiver.raw, secret
    await runner.cleanup()


async def test_an_errand_leads_its_requests_to_the_other_server(opened, peer, receiver):
    gateway = await opened(telemetry={"endpoint": receiver.url})
    await gateway.sending.create_share(Offer("alice", "/letter.txt", f"bob@{peer.authority}"))
    await eventually(lambda: receiver.named("errand SHARE"))
    [errand] = receiver.named("errand SHARE")
    assert facts(errand)["ocm.result"] == "done"
    assert facts(errand)["server.address"] == peer.authority
    [post] = [one for one in receiver.named("POST") if one.trace_id == errand.trace_id]
    assert post.parent_span_id == errand.span_id
    [told] = peer.requests("POST /ocm/shares")
    assert told.headers["traceparent"].split("-")[1:3] == [
        errand.trace_id.hex(),
        post.span_id.hex(),
    ]


async def test_a_refusal_tells_its_decision(opened, peer, receiver):
    policy = {"default": "allow", "deny": [peer.authority]}
    gateway = await opened(policy=policy, telemetry={"endpoint": receiver.url})
    url = f"{gateway.ours.origin}/ocm/shares"
    body = json.dumps(peer.share(f"alice@{gateway.ours.authority}")).encode()
    reply = await peer.send(peer.signed("POST", url, body))
    assert reply.status == 403
    await eventually(lambda: receiver.named("POST ocm.shares"))
    [span] = receiver.named("POST ocm.shares")
    assert facts(span)["ocm.decision"] == json.loads(reply.body)["decision"]


async def test_what_the_caller_does_not_keep_is_not_kept_and_still_passed_on(
    opened, peer, receiver
):
    gateway = await opened(telemetry={"endpoint": receiver.url})
    url = f"{gateway.ours.origin}/.well-known/ocm"
    for _ in range(3):
        await peer.send(request("GET", url, b"", {"traceparent": TRACE[:-2] + "00"}))
    await peer.send(request("GET", url, b"", {}))
    await eventually(lambda: receiver.named("GET ocm.discovery"))
    assert len(receiver.named("GET ocm.discovery")) == 1


@pytest.mark.parametrize("trouble", ["gone", "silent", "refusing"])
async def test_a_receiver_that_is_away_slows_and_fails_nothing(opened, peer, receiver, trouble):
    endpoint = receiver.url if trouble != "gone" else f"http://127.0.0.1:{free_port()}/v1/traces"
    receiver.seconds, receiver.status = (30 if trouble == "silent" else 0), 503
    gateway = await opened(telemetry={"endpoint": endpoint})
    for _ in range(telemetry.QUEUE * 2):
        with gateway.spans.span("much", telemetry.Kind.INTERNAL, {}):
            pass
    started = time.monotonic()
    for _ in range(20):
        reply = await peer.send(request("GET", f"{gateway.ours.origin}/.well-known/ocm", b"", {}))
        assert reply.status == 200
    assert time.monotonic() - started < 10
    processor = gateway.spans._provider._active_span_processor._span_processors[0]
    assert len(processor._batch_processor._queue) <= telemetry.QUEUE
    started = time.monotonic()
    await gateway.spans.close()
    assert time.monotonic() - started < 10


async def test_without_an_endpoint_no_part_of_it_is_on_the_way(gateway):
    assert gateway.spans is telemetry.OFF
    assert type(gateway.storage.way) is Pool


def test_without_an_endpoint_the_library_is_not_imported(tmp_path):
    code = (
        "import sys, gateway.cli.main, gateway.app, gateway.serving\n"
        "print([one for one in sys.modules if one.startswith(('opentelemetry', 'requests'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_endpoint_without_the_library_is_a_fault_with_the_way_to_it(monkeypatch):
    data = {
        "public": {"origin": "https://gw.example"},
        "storage": {"url": "http://127.0.0.1:9000/dav"},
        "policy": {"default": "deny"},
        "telemetry": {"endpoint": "http://127.0.0.1:4318/v1/traces"},
    }
    assert config.parse(data).telemetry.sample == 1
    monkeypatch.setattr(config, "find_spec", lambda _: None)
    with pytest.raises(Misconfigured, match=r"ocm-gateway\[otel\]"):
        config.parse(data)
