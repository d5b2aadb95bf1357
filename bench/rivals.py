"""What the gateway is compared with, and the storage behind all of them.

Everybody gets the same requests (same URL, same bearer token) and has to do what the gateway does
for a share at the least: check the token, put the storage's own credentials in its place, and
replace the front of the path.

    nginx    auth_request answered from proxy_cache, 16 x 256k proxy buffers, 1 MB body buffer,
             no request buffering. Tuned: with nginx's default buffers we would look better.
    HAProxy  one thread, option splice-auto and, since that alone copies half of a fast transfer,
             splice-request and splice-response.
"""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.machine import LOAD_CORE, PROXY_CORE
from bench.programs import Program, Unusable, free_port, require, running

USERNAME = "gateway"
PASSWORD = "the-gateways-own-secret"
_BASIC = "Basic " + base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
_DAV_EXT = Path("/usr/lib/nginx/modules/ngx_http_dav_ext_module.so")


@dataclass(frozen=True, slots=True)
class Way:
    """What a proxy has to know: who may come, and where `front` of a path leads to."""

    token: str
    front: str
    storage_port: int
    storage_front: str


@contextmanager
def storage(home: Path) -> Iterator[Program]:
    """nginx with DAV, on the core of the load; its tree is home/tree, below /dav."""
    if not _DAV_EXT.exists():
        raise Unusable("nginx's dav-ext module is not installed; `sh bench/setup.sh` installs it")
    port = free_port()
    server = f"""
  dav_ext_lock_zone zone=locks:1m;
  server {{
    listen 127.0.0.1:{port};
    root {home}/tree;
    client_body_buffer_size 1m;
    location /dav {{
      if ($http_authorization != "{_BASIC}") {{ return 401; }}
      dav_methods PUT DELETE MKCOL COPY MOVE;
      dav_ext_methods PROPFIND OPTIONS LOCK UNLOCK;
      dav_ext_lock zone=locks;
    }}
    location = /auth {{
      if ($http_authorization = "") {{ return 401; }}
      return 204;
    }}
  }}"""
    command = _nginx(home / "storage", server, modules=f"load_module {_DAV_EXT};")
    with running("storage", port, command, core=LOAD_CORE, log=home / "storage/stderr") as program:
        yield program


@contextmanager
def nginx(home: Path, way: Way) -> Iterator[Program]:
    """The tuned nginx, one worker."""
    port = free_port()
    server = f"""
  proxy_cache_path {home}/nginx/cache keys_zone=auth:1m;
  upstream storage {{
    server 127.0.0.1:{way.storage_port};
    keepalive 64;
    keepalive_requests 10000000;
  }}
  server {{
    listen 127.0.0.1:{port};
    client_body_buffer_size 1m;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    location {way.front} {{
      auth_request /auth;
      proxy_pass http://storage{way.storage_front};
      proxy_set_header Authorization "{_BASIC}";
      proxy_buffers 16 256k;
      proxy_buffer_size 256k;
      proxy_busy_buffers_size 512k;
      proxy_max_temp_file_size 0;
      proxy_request_buffering off;
    }}
    location = /auth {{
      internal;
      proxy_pass http://storage/auth;
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
      proxy_cache auth;
      proxy_cache_key $http_authorization;
      proxy_cache_valid 200 204 1h;
    }}
  }}"""
    command = _nginx(home / "nginx", server)
    with running("nginx", port, command, core=PROXY_CORE, log=home / "nginx/stderr") as program:
        yield program


@contextmanager
def haproxy(home: Path, way: Way) -> Iterator[Program]:
    """HAProxy, one thread, that may splice."""
    port, folder = free_port(), home / "haproxy"
    folder.mkdir()
    (folder / "haproxy.cfg").write_text(f"""
global
  nbthread 1
  maxconn 2000
defaults
  mode http
  option splice-auto
  option splice-request
  option splice-response
  http-reuse always
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen front
  bind 127.0.0.1:{port}
  http-request deny deny_status 401 unless {{ req.hdr(Authorization) "Bearer {way.token}" }}
  http-request set-header Authorization "{_BASIC}"
  http-request replace-path ^{way.front}(.*) {way.storage_front}\\1
  server storage 127.0.0.1:{way.storage_port}
""")
    command = [require("haproxy"), "-db", "-f", str(folder / "haproxy.cfg")]
    with running("HAProxy", port, command, core=PROXY_CORE, log=folder / "stderr") as program:
        yield program


def _nginx(folder: Path, servers: str, modules: str = "") -> list[str]:
    folder.mkdir()
    temporary = "\n  ".join(
        f"{kind}_temp_path {folder}/tmp-{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(f"""
{modules}
{_user()}
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/log error;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  sendfile on;
  tcp_nodelay on;
  keepalive_requests 10000000;
  client_max_body_size 0;
  default_type application/octet-stream;
  {temporary}
  {servers}
}}
""")
    files = ["-e", str(folder / "log"), "-p", str(folder), "-c", str(folder / "nginx.conf")]
    return [require("nginx"), *files]


def _user() -> str:
    """As root, workers stay root: the tree lies in a folder that only its owner may open."""
    return "user root;" if Path("/proc/self").stat().st_uid == 0 else ""
