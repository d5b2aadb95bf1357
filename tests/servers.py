"""Real WebDAV storages for the tests, each on a port of its own.

Apache, nginx and WsgiDAV, before which everything is tested, and lighttpd and rclone, before which
the protocol is.

    with servers.apache(tmp_path) as storage:
        ...  # storage.url, storage.root, storage.username, storage.password

Every storage serves one tree under /dav with a folder for each of USERS. The service account
(`username`, `password`) may do everything; each user may log in with a password of their own.
At Apache a user may open their own folder only; the others let a user open the whole tree.
The programs come from Debian's packages (`make servers`); where one is missing the test is
skipped with the reason, with CI=true it fails.
"""

import base64
import contextlib
import hashlib
import http.client
import itertools
import json
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import pytest

USERNAME = "gateway"
PASSWORD = "the-gateways-own-secret"
USERS = {"alice": "alice-password", "bob": "bob-password"}

START_SECONDS = 60
STOP_SECONDS = 5
APACHE_MODULES = Path("/usr/lib/apache2/modules")
NGINX_DAV_EXT = Path("/usr/lib/nginx/modules/ngx_http_dav_ext_module.so")
LIGHTTPD_WEBDAV = Path("/usr/lib/lighttpd/mod_webdav.so")


@dataclass(slots=True)
class Storage:
    """A WebDAV server in a process group of its own, which may be stopped and started again."""

    name: str
    port: int
    root: Path
    log: Path
    command: list[str]
    username: str = USERNAME
    password: str = PASSWORD
    users: dict[str, str] = field(default_factory=lambda: dict(USERS))
    process: subprocess.Popen[bytes] | None = None
    scheme: str = "http"

    @property
    def url(self) -> str:
        """Where the tree begins, without a slash at the end."""
        return f"{self.scheme}://127.0.0.1:{self.port}/dav"

    def launch(self) -> None:
        """Start the server and do not wait for it."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def start(self) -> None:
        """Start the server and return when it answers."""
        self.launch()
        assert self.process is not None
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"{self.name} did not start:\n{self.log_tail()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End the server and its children: ask first, then insist. Connections break."""
        if self.process is None:
            return
        process, self.process = self.process, None
        self._tell(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        self._tell(process, signal.SIGKILL)
        process.wait()

    def kill(self) -> None:
        """kill -9, children and all, as a machine dies."""
        if self.process is not None:
            process, self.process = self.process, None
            self._tell(process, signal.SIGKILL)
            process.wait()

    def answers(self) -> bool:
        """Does it speak HTTP yet? Any status will do."""
        return self.status("OPTIONS", "/dav/") > 0

    def status(self, method: str, path: str) -> int:
        """What it answers to a request without credentials; 0 when it does not."""
        connection = self._connection()
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()
        return answer.status

    def log_tail(self, lines: int = 30) -> str:
        """The end of what the server wrote."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _connection(self) -> http.client.HTTPConnection:
        if self.scheme == "http":
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=START_SECONDS)
        whoever = ssl._create_unverified_context()
        return http.client.HTTPSConnection(
            "127.0.0.1", self.port, timeout=START_SECONDS, context=whoever
        )

    def _tell(self, process: subprocess.Popen[bytes], number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)


@contextlib.contextmanager
def apache(
    folder: Path, *, certificate: Path | None = None, directives: str = ""
) -> Iterator[Storage]:
    """Apache httpd with mod_dav_fs: classes 1 and 2, answers 301 to a folder without its slash.

    With a `certificate` (a PEM file that holds its key, too) it speaks TLS. `directives` are more
    lines of its configuration; of two that say otherwise the last one holds.
    """
    program = require("apache2")
    home, port = _home(folder, "apache"), free_port()
    (home / "passwords").write_text(_htpasswd())
    (home / "mime.types").write_text("text/plain txt\n")
    configuration = _apache_configuration(home, port) + _apache_tls(certificate) + directives
    (home / "apache.conf").write_text(configuration)
    command = [*_unprivileged(), program, "-D", "FOREGROUND", "-f", str(home / "apache.conf")]
    made = Storage("apache", port, home / "tree/dav", home / "log", command)
    made.scheme = "https" if certificate else "http"
    with _running(made) as storage:
        yield storage


@contextlib.contextmanager
def nginx(folder: Path) -> Iterator[Storage]:
    """nginx with dav-ext: no PROPPATCH, no conditional writes, wants slashes after folders."""
    program = require("nginx")
    if not NGINX_DAV_EXT.exists():
        missing("nginx's dav-ext module is not installed")
    home, port = _home(folder, "nginx"), free_port()
    (home / "passwords").write_text(_htpasswd())
    (home / "nginx.conf").write_text(_nginx_configuration(home, port))
    log = home / "log"
    command = [program, "-e", str(log), "-p", str(home), "-c", str(home / "nginx.conf")]
    with _running(Storage("nginx", port, home / "tree/dav", log, command)) as storage:
        yield storage


@contextlib.contextmanager
def wsgidav(folder: Path) -> Iterator[Storage]:
    """WsgiDAV on cheroot: pure Python, so it is there wherever the gateway is."""
    home, port = _home(folder, "wsgidav"), free_port()
    accounts = {USERNAME: PASSWORD} | USERS
    configuration = {
        "host": "127.0.0.1",
        "port": port,
        "server": "cheroot",
        "provider_mapping": {"/dav": str(home / "tree/dav")},
        "simple_dc": {
            "user_mapping": {"*": {name: {"password": word} for name, word in accounts.items()}}
        },
        "http_authenticator": {"accept_digest": False, "default_to_digest": False},
        "property_manager": True,
        "lock_storage": True,
    }
    (home / "wsgidav.json").write_text(json.dumps(configuration))
    server = "wsgidav.server.server_cli"
    command = [sys.executable, "-m", server, "--config", str(home / "wsgidav.json")]
    with _running(Storage("wsgidav", port, home / "tree/dav", home / "log", command)) as storage:
        yield storage


@contextlib.contextmanager
def lighttpd(folder: Path) -> Iterator[Storage]:
    """lighttpd with mod_webdav: strict about Content-Type, PROPPATCH answers 204."""
    program = require("lighttpd")
    if not LIGHTTPD_WEBDAV.exists():
        missing("lighttpd's mod_webdav is not installed")
    home, port = _home(folder, "lighttpd"), free_port()
    (home / "passwords").write_text(_htpasswd())
    (home / "tmp").mkdir()
    (home / "lighttpd.conf").write_text(_lighttpd_configuration(home, port))
    command = [program, "-D", "-f", str(home / "lighttpd.conf")]
    with _running(Storage("lighttpd", port, home / "tree/dav", home / "log", command)) as storage:
        yield storage


@contextlib.contextmanager
def rclone(folder: Path) -> Iterator[Storage]:
    """rclone serve webdav: keeps half an upload, ignores conditions, its locks die with it."""
    program = require("rclone")
    home, port = _home(folder, "rclone"), free_port()
    (home / "passwords").write_text(_htpasswd())
    root = home / "tree/dav"
    # --dir-cache-time: what tests write to the disk is there at once.
    options = f"--addr 127.0.0.1:{port} --baseurl /dav --dir-cache-time 0s"
    accounts = ["--htpasswd", str(home / "passwords"), "--config", str(home / "rclone.conf")]
    command = [program, "serve", "webdav", str(root), *options.split(), *accounts]
    with _running(Storage("rclone", port, root, home / "log", command)) as storage:
        yield storage


@dataclass(slots=True)
class Cluster:
    """XRootD's door, which sends every request on, and the data server that has the files."""

    door: Storage
    disk: Storage


@contextlib.contextmanager
def xrootd(folder: Path) -> Iterator[Cluster]:
    """A door and a data server, without credentials. They listen on all addresses: XRootD does."""
    program, manager = require("xrootd"), require("cmsd")
    if not any(Path("/usr/lib").glob("*/libXrdHttp-*.so")):
        missing("XRootD's HTTP is not installed")
    home = _home(folder, "xrootd")
    announced, ports = free_port(), {"manager": free_port(), "server": free_port()}
    with contextlib.ExitStack() as stack:
        found: dict[str, Storage] = {}
        for role, port in ports.items():
            file = home / f"{role}.cfg"
            file.write_text(_xrootd_configuration(home, role, port, announced))
            for name in (manager, program):
                log = home / f"{role}-{Path(name).name}.log"
                command = [*_unprivileged(), name, "-c", str(file), "-n", role]
                storage = Storage(role, port, home / "tree/dav", log, command)
                if name is manager:
                    storage.launch()
                    stack.callback(storage.stop)
                else:
                    found[role] = stack.enter_context(_running(storage))
        cluster = Cluster(found["manager"], found["server"])
        deadline = time.monotonic() + START_SECONDS
        while cluster.door.status("GET", "/dav/alice/") not in (302, 307):
            if time.monotonic() > deadline:
                raise RuntimeError(f"XRootD did not start:\n{cluster.disk.log_tail()}")
            time.sleep(0.2)
        yield cluster


STORAGES = {"apache": apache, "nginx": nginx, "wsgidav": wsgidav}
MORE_STORAGES = STORAGES | {"lighttpd": lighttpd, "rclone": rclone}
QUIRKS: dict[str, dict[str, bool]] = {
    "apache": {"atomic_put": True, "conditional_put": True, "exact_destination": True},
    "nginx": {"atomic_put": True, "exact_destination": True},
    "wsgidav": {"conditional_put": True},
    "lighttpd": {"atomic_put": True, "conditional_put": True, "exact_destination": True},
    "rclone": {"exact_destination": True},
}
"""How the gateway has to be configured in front of each (storage.quirks)."""


def require(program: str) -> str:
    """The path of a program the test cannot do without."""
    path = os.environ.get("PATH", os.defpath) + ":/usr/local/sbin:/usr/sbin:/sbin"
    return shutil.which(program, path=path) or missing(f"{program} is not installed")


def missing(reason: str) -> NoReturn:
    """Skip the test, or fail it in CI, where everything must be there."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}; `make servers` should have installed it", pytrace=False)
    pytest.skip(f"{reason}; `make servers` installs it")


# Each port is handed out once, so that no two parts of a test ever get the same one.
_PORTS = itertools.cycle(random.sample(range(20_000, 32_000), 12_000))


def free_port() -> int:
    """A port nobody listens on, below those the kernel gives to outgoing connections.

    So no client takes it by chance between our look and the server's start, or its restart.
    """
    for port in itertools.islice(_PORTS, 50):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no free port on 127.0.0.1")


@contextlib.contextmanager
def _running(storage: Storage) -> Iterator[Storage]:
    storage.start()
    try:
        yield storage
    finally:
        storage.stop()


def _home(folder: Path, name: str) -> Path:
    """A folder for one server: its configuration, its log and the tree that it serves."""
    home = folder / name
    for user in USERS:
        (home / "tree/dav" / user).mkdir(parents=True)
    return home


def _unprivileged() -> list[str]:
    """What to start Apache with, as it refuses to serve as root.

    Root's tests write below folders only root may open, so nobody keeps the one right to do so.
    """
    if os.geteuid() != 0:
        return []
    rights = "+dac_override,+fowner"
    return [
        require("setpriv"),
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        f"--inh-caps={rights}",
        f"--ambient-caps={rights}",
    ]


def _htpasswd() -> str:
    """Everybody's password. SHA-1, because a slow hash would only slow the tests."""
    accounts = {USERNAME: PASSWORD} | USERS
    return "".join(
        f"{name}:{{SHA}}{base64.b64encode(hashlib.sha1(word.encode()).digest()).decode()}\n"
        for name, word in accounts.items()
    )


def _xrootd_configuration(home: Path, role: str, port: int, announced: int) -> str:
    return f"""
all.role {role}
all.manager 127.0.0.1:{announced}
all.export /dav
all.adminpath {home}/{role}
all.pidpath {home}/{role}
oss.localroot {home}/tree
xrd.network nodnr
if exec xrootd
  xrd.port {port}
  xrd.protocol http:{port} libXrdHttp.so
fi
if exec cmsd
  xrd.port {announced if role == "manager" else "any"}
fi
cms.delay startup 1 lookup 1
"""


def _apache_configuration(home: Path, port: int) -> str:
    modules = (
        "mpm_event authn_core authn_file authz_core authz_user auth_basic "
        "alias autoindex dav dav_fs dav_lock dir mime"
    )
    loaded = "\n".join(
        f"LoadModule {module}_module {APACHE_MODULES}/mod_{module}.so" for module in modules.split()
    )
    own_folders = "\n".join(
        f"<Location /dav/{user}>\n  Require user {USERNAME} {user}\n</Location>" for user in USERS
    )
    return f"""
{loaded}
ServerName 127.0.0.1
Listen 127.0.0.1:{port}
PidFile {home}/pid
DefaultRuntimeDir {home}
ErrorLog {home}/log
StartServers 1
ServerLimit 4
MaxRequestWorkers 100
TypesConfig {home}/mime.types
LimitRequestBody 0
DavLockDB {home}/locks
DocumentRoot {home}/tree
<Directory {home}/tree>
  Options Indexes
  AllowOverride None
</Directory>
<Location /dav>
  Dav On
  AuthType Basic
  AuthName storage
  AuthUserFile {home}/passwords
  Require valid-user
</Location>
{own_folders}
"""


def _apache_tls(certificate: Path | None) -> str:
    if certificate is None:
        return ""
    module = APACHE_MODULES / "mod_ssl.so"
    return f"LoadModule ssl_module {module}\nSSLEngine on\nSSLCertificateFile {certificate}\n"


def _nginx_configuration(home: Path, port: int) -> str:
    own_user = "user root;" if os.geteuid() == 0 else ""
    temporary = "\n  ".join(
        f"{kind}_temp_path {home}/tmp-{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""
load_module {NGINX_DAV_EXT};
{own_user}
daemon off;
worker_processes 1;
pid {home}/pid;
error_log {home}/log;
events {{ worker_connections 512; }}
http {{
  access_log off;
  {temporary}
  types {{ text/plain txt; }}
  default_type application/octet-stream;
  dav_ext_lock_zone zone=locks:1m;
  server {{
    listen 127.0.0.1:{port};
    root {home}/tree;
    client_max_body_size 0;
    location /dav {{
      auth_basic storage;
      auth_basic_user_file {home}/passwords;
      autoindex on;
      dav_methods PUT DELETE MKCOL COPY MOVE;
      dav_ext_methods PROPFIND OPTIONS LOCK UNLOCK;
      dav_ext_lock zone=locks;
      create_full_put_path off;
      min_delete_depth 3;
    }}
  }}
}}
"""


def _lighttpd_configuration(home: Path, port: int) -> str:
    # Without a default type there is neither ETag nor Last-Modified.
    return f"""
server.modules = ("mod_auth", "mod_authn_file", "mod_webdav", "mod_dirlisting")
server.bind = "127.0.0.1"
server.port = {port}
server.document-root = "{home}/tree"
server.errorlog = "{home}/log"
server.upload-dirs = ("{home}/tmp")
mimetype.assign = (".txt" => "text/plain", "" => "application/octet-stream")
dir-listing.activate = "enable"
auth.backend = "htpasswd"
auth.backend.htpasswd.userfile = "{home}/passwords"
$HTTP["url"] =~ "^/dav(/|$)" {{
  auth.require = (
    "/dav" => ("method" => "basic", "realm" => "storage", "require" => "valid-user")
  )
  webdav.activate = "enable"
  webdav.is-readonly = "disable"
  webdav.sqlite-db-name = "{home}/locks.sqlite"
}}
"""
