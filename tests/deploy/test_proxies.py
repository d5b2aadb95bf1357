"""The web servers of deploy/proxies pass a request on as it came: a signature covers its path."""

import contextlib
import os
import shutil
import socket
import ssl
import subprocess
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
)


class Recorder:
    """Takes the place of the gateway and remembers the requests, byte for byte."""

    def __init__(self):
        self.heads = []
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
            self.heads.append(received.partition(b"\r\n\r\n")[0].decode("latin-1"))
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
            )


@contextlib.contextmanager
def running(command, log):
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
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


def ask(port, path):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), 10) as plain,
        context.wrap_socket(plain, server_hostname="cloud.example.org") as channel,
    ):
        channel.sendall(
            f"GET {path} HTTP/1.1\r\nHost: cloud.example.org\r\nConnection: close\r\n"
            "Authorization: Bearer token\r\nX-Forwarded-For: 203.0.113.9\r\n"
            'Signature: ocm=:AA==:\r\nSignature-Input: ocm=("@method");tag="ocm"\r\n\r\n'.encode()
        )
        answer = b""
        while chunk := channel.recv(65536):
            answer += chunk
    return answer.decode("latin-1")


@pytest.mark.parametrize("server", [nginx, apache], ids=["nginx", "apache"])
def test_the_web_server_in_front_changes_nothing_that_a_signature_covers(server, tmp_path):
    recorder, port = Recorder(), free_port()
    with running(server(tmp_path, port, recorder.port), tmp_path / "log"):
        deadline = time.monotonic() + 15
        while True:
            with contextlib.suppress(OSError):
                ask(port, "/")
                break
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(0.1)
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
    recorder.socket.close()
