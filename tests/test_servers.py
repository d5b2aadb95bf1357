"""The storages the other tests stand on: are they what they promise to be?"""

import base64
import http.client
from xml.etree import ElementTree

import pytest

from tests import servers


@pytest.fixture(scope="module", params=sorted(servers.STORAGES))
def storage(request, tmp_path_factory):
    with servers.STORAGES[request.param](tmp_path_factory.mktemp("storage")) as storage:
        yield storage


@pytest.fixture(scope="module")
def apache(tmp_path_factory):
    with servers.apache(tmp_path_factory.mktemp("storage")) as storage:
        yield storage


def ask(storage, method, path, *, body=None, headers=None, login=None):
    """One request with the service account, or another (name, password); status, headers, body."""
    name, password = login or (storage.username, storage.password)
    token = base64.b64encode(f"{name}:{password}".encode()).decode()
    return send(storage, method, path, body, {"Authorization": f"Basic {token}"} | (headers or {}))


def send(storage, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", storage.port, timeout=10)
    try:
        connection.request(method, f"/dav{path}", body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def listed(storage, path, login=None):
    status, _, body = ask(storage, "PROPFIND", path, headers={"Depth": "1"}, login=login)
    assert status == 207
    return {href.text for href in ElementTree.fromstring(body).iter("{DAV:}href")}


def test_what_is_put_is_listed_and_comes_back(storage):
    assert ask(storage, "PUT", "/alice/letter.txt", body=b"Dear Bob")[0] == 201
    assert listed(storage, "/alice/") == {"/dav/alice/", "/dav/alice/letter.txt"}
    status, _, body = ask(storage, "GET", "/alice/letter.txt")
    assert (status, body) == (200, b"Dear Bob")
    assert (storage.root / "alice/letter.txt").read_bytes() == b"Dear Bob"


def test_nobody_enters_without_a_password(storage):
    for path in ("/", "/alice/", "/alice/letter.txt", "/missing"):
        status, headers, _ = send(storage, "PROPFIND", path, headers={"Depth": "0"})
        assert status == 401
        assert headers["WWW-Authenticate"].startswith("Basic ")


def test_a_wrong_password_is_refused(storage):
    assert ask(storage, "GET", "/alice/", login=(storage.username, "wrong"))[0] == 401
    assert ask(storage, "GET", "/alice/", login=("alice", storage.users["bob"]))[0] == 401


def test_every_user_may_log_in_with_their_own_password(storage):
    for login in storage.users.items():
        assert f"/dav/{login[0]}/" in listed(storage, f"/{login[0]}/", login)


def test_apache_keeps_users_out_of_each_others_folders(apache):
    alice = ("alice", apache.users["alice"])
    assert ask(apache, "PUT", "/bob/x.txt", body=b"x", login=alice)[0] in (401, 403)
    assert not (apache.root / "bob/x.txt").exists()


def test_what_a_test_writes_to_the_disk_the_storage_may_change(storage):
    folder = storage.root / "bob/inbox"
    folder.mkdir(mode=0o700)
    (folder / "note.txt").write_text("first")
    (folder / "note.txt").chmod(0o600)
    assert ask(storage, "PUT", "/bob/inbox/note.txt", body=b"second")[0] == 204
    assert (folder / "note.txt").read_text() == "second"
    assert ask(storage, "DELETE", "/bob/inbox/")[0] == 204
    assert not folder.exists()


def test_folders_are_made_and_moved(storage):
    assert ask(storage, "MKCOL", "/bob/old/")[0] == 201
    destination = {"Destination": f"{storage.url}/bob/new/"}
    assert ask(storage, "MOVE", "/bob/old/", headers=destination)[0] in (201, 204)
    assert (storage.root / "bob/new").is_dir()
    assert not (storage.root / "bob/old").exists()


def test_a_lock_keeps_others_from_writing(storage):
    wish = (
        b'<?xml version="1.0"?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/>'
        b"</D:lockscope><D:locktype><D:write/></D:locktype></D:lockinfo>"
    )
    ask(storage, "PUT", "/bob/locked.txt", body=b"mine")
    status, headers, _ = ask(
        storage, "LOCK", "/bob/locked.txt", body=wish, headers={"Timeout": "Second-60"}
    )
    assert status == 200
    assert ask(storage, "PUT", "/bob/locked.txt", body=b"yours")[0] == 423
    token = {"Lock-Token": headers["Lock-Token"]}
    assert ask(storage, "UNLOCK", "/bob/locked.txt", headers=token)[0] == 204


def test_a_restart_keeps_the_port_and_the_files(storage):
    url = storage.url
    ask(storage, "PUT", "/alice/kept.txt", body=b"kept")
    storage.stop()
    assert not storage.answers()
    storage.start()
    assert storage.url == url
    assert ask(storage, "GET", "/alice/kept.txt")[2] == b"kept"


def test_a_storage_that_cannot_start_tells_why(tmp_path):
    command = ["sh", "-c", "echo no room; exit 1"]
    storage = servers.Storage("broken", 1, tmp_path, tmp_path / "log", command)
    with pytest.raises(RuntimeError, match="no room"):
        storage.start()


def test_a_missing_program_skips_the_test(monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-program is not installed"):
        servers.require("no-such-program")


def test_a_missing_program_fails_the_test_in_ci(monkeypatch):
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no-such-program is not installed"):
        servers.require("no-such-program")
