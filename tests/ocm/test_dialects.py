"""Which server is which: documents as deployed servers publish them, and the row they lead to."""

import json

import pytest

from gateway.ocm.dialects import (
    DIALECTS,
    NAMES,
    OTHER_FORM,
    SHOWS_SECRET,
    Approach,
    Form,
    Notice,
    by_name,
    forms,
    recognise,
    takes_notices,
)
from gateway.ocm.discovery import parse


def document(root="/dav/", types=("file",), receive=None, **members):
    protocols = {"webdav": root} | ({"webdav-receive": receive} if receive else {})
    entries = [{"name": name, "shareTypes": ["user"], "protocols": protocols} for name in types]
    whole = {
        "enabled": True,
        "apiVersion": "1.0-proposal1",
        "endPoint": "https://h.example/ocm",
        "resourceTypes": entries,
    } | members
    return {name: value for name, value in whole.items() if value is not None}


PUBLISHED = {
    "opencloudmesh-go": document(
        "/webdav/ocm/", receive={"uri": "relative"}, apiVersion="1.4.0",
        capabilities=["http-sig", "exchange-token", "invites", "notifications"],
        criteria=["must-use-http-sig", "must-exchange-token", "must-invite"],
        tokenEndPoint="https://h.example/ocm/token",
    ),
    "nextcloud-30": document("/public.php/webdav/", endPoint="https://h.example/index.php/ocm"),
    "nextcloud-34": document(
        "/public.php/webdav/", apiVersion="1.1.0", endPoint="https://h.example/index.php/ocm",
        capabilities=["invite-accepted", "notifications", "shares"],
        publicKey={"keyId": "https://h.example/ocm#signature", "publicKeyPem": "x"},
    ),
    "nextcloud-35": document(
        "/public.php/webdav/", apiVersion="1.1.2", endPoint="https://h.example/index.php/ocm",
        capabilities=["notifications", "shares", "exchange-token", "http-sig"],
        tokenEndPoint="https://h.example/index.php/ocm/token",
    ),
    "owncloud-10": document(
        endPoint="https://h.example/index.php/apps/federatedfilesharing", resourceTypes=None,
        shareTypes=[{"name": "file", "protocols": {"webdav": "/public.php/webdav/"}}],
    ),
    "ocis": document("/dav/ocm/", apiVersion="1.1.0", capabilities=["/invite-accepted"]),
    "opencloud": document(
        "/remote.php/dav/ocm/", apiVersion="1.2.0",
        capabilities=["invites", "webdav-uri", "protocol-object", "invite-wayf"],
    ),
    "reva": document(
        "/remote.php/dav/ocm/", ("file", "folder"), {"uri": "absolute"}, apiVersion="1.3.0",
        capabilities=["invites", "protocol-object", "invite-wayf"], criteria=["must-invite"],
    ),
    "seafile": document("seafdav", endPoint="https://h.example/ocm-via-webdav/"),
    "draft-03": document(apiVersion="1.3.0", capabilities=["protocol-object", "http-sig"]),
    "draft-05": document(apiVersion="1.4.0", capabilities=["protocol-object", "http-sig"]),
    "ocm-1.0": document(),
    "vague": document(apiVersion="1.2.0", capabilities=["notifications"]),
}  # fmt: skip


def read(members):
    return parse(json.dumps(members).encode(), "https://h.example")


@pytest.mark.parametrize("name", NAMES)
def test_every_row_is_recognised_by_what_its_servers_publish(name):
    assert recognise(read(PUBLISHED[name])).name == name


@pytest.mark.parametrize("name", ["ocis", "opencloud", "reva"])
def test_a_version_that_is_another_for_each_asker_changes_nothing(name):
    assert recognise(read(PUBLISHED[name] | {"apiVersion": "1.1"})).name == name


def test_a_gateway_is_a_server_of_the_drafts():
    ours = document(
        "/remote/dav/ocm/", ("file", "folder"), apiVersion="1.3.0",
        capabilities=["exchange-token", "http-sig", "notifications", "protocol-object"],
        tokenEndPoint="https://h.example/ocm/token",
    )  # fmt: skip
    assert recognise(read(ours)).name == "draft-03"
    assert recognise(read(ours | {"apiVersion": "1.1.0"})).name == "draft-03"


def test_names_are_unique_and_lead_back():
    assert len(set(NAMES)) == len(DIALECTS)
    assert all(by_name(dialect.name) is dialect for dialect in DIALECTS)
    with pytest.raises(KeyError):
        by_name("gopher")


def test_a_server_that_says_how_it_takes_addresses_gets_them_so():
    absolute = PUBLISHED["draft-05"] | document(receive={"uri": "absolute"}, apiVersion="1.4.0")
    found = read(absolute | {"capabilities": ["http-sig"]})
    assert forms(recognise(found), found) == (Form.ABSOLUTE, Form.RELATIVE)
    odd = read(absolute | {"resourceTypes": document(receive="absolute")["resourceTypes"]})
    assert forms(recognise(odd), odd)[0] is Form.RELATIVE


def test_servers_of_the_drafts_say_what_they_are_and_get_one_form():
    for name in ("draft-03", "draft-05", "opencloudmesh-go"):
        assert by_name(name).forms == (Form.RELATIVE,)


def test_who_knows_the_old_form_alone_is_never_asked_to_exchange():
    for dialect in DIALECTS:
        if dialect.forms[0] is Form.OPTIONS:
            assert not dialect.exchanges
            assert set(dialect.approaches) <= SHOWS_SECRET


def test_only_a_clear_no_leads_to_another_form():
    assert {400, 501} == OTHER_FORM
    assert Approach.EXCHANGED not in SHOWS_SECRET


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("owncloud-10", True), ("nextcloud-30", True), ("seafile", True), ("ocis", True),
        ("reva", False), ("opencloud", False), ("draft-03", False), ("nextcloud-35", True),
    ],
)  # fmt: skip
def test_who_is_told_of_things(name, told):
    assert takes_notices(by_name(name), read(PUBLISHED[name])) is told
    with_word = read(PUBLISHED[name] | {"capabilities": ["notifications"]})
    assert takes_notices(by_name(name), with_word) is (by_name(name).notice is not Notice.NONE)
