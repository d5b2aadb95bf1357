import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Malformed
from gateway.ocm.discovery import Discovery, OfferedResourceType, encode, parse, webdav_path

ORIGIN = "https://a.example"
MINIMAL = {"endPoint": "https://a.example/ocm", "resourceTypes": []}


def read(**members):
    document = {name: value for name, value in (MINIMAL | members).items() if value is not ...}
    return parse(json.dumps(document).encode(), ORIGIN)


def entry(name="file", webdav="/dav/", **protocols):
    return {"name": name, "shareTypes": ["user"], "protocols": {"webdav": webdav} | protocols}


OURS = Discovery(
    end_point="https://gw.example/ocm",
    provider="Gateway",
    capabilities=frozenset({"http-sig", "exchange-token", "notifications"}),
    criteria=frozenset({"http-request-signatures", "must-invite", "denylist"}),
    token_end_point="https://gw.example/ocm/token",
    jwks_uri="https://gw.example/.well-known/jwks.json",
    invite_accept_dialog="https://gw.example/accept",
)


def test_what_we_publish():
    assert encode(OURS) == {
        "enabled": True,
        "apiVersion": "1.3.0",
        "endPoint": "https://gw.example/ocm",
        "provider": "Gateway",
        "resourceTypes": [
            {"name": name, "shareTypes": ["user"], "protocols": {"webdav": "/remote/dav/ocm/"}}
            for name in ("file", "folder")
        ],
        "capabilities": ["exchange-token", "http-sig", "notifications"],
        "criteria": [
            "denylist", "http-request-signatures", "invite", "must-invite", "must-use-http-sig"
        ],
        "tokenEndPoint": "https://gw.example/ocm/token",
        "jwksUri": "https://gw.example/.well-known/jwks.json",
        "inviteAcceptDialog": "https://gw.example/accept",
    }  # fmt: skip


def test_what_we_publish_reads_as_what_we_meant():
    found = parse(json.dumps(encode(OURS)).encode(), "https://gw.example")
    assert replace(found, criteria=OURS.criteria, asked_at="") == OURS
    assert found.wants_signatures
    assert found.wants_invite
    assert not found.wants_exchange


@pytest.mark.conforms("OCM-5.3-22")
def test_exchange_token_is_published_with_its_endpoint_or_not_at_all():
    assert "exchange-token" not in encode(replace(OURS, token_end_point=""))["capabilities"]
    assert "tokenEndPoint" not in encode(replace(OURS, capabilities=frozenset()))


def test_only_end_point_and_resource_types_are_demanded():
    found = read()
    assert (found.enabled, found.api_version, found.provider) == (True, "1.0", "")
    assert found.asked_at == ORIGIN
    assert not found.signs
    assert not found.exchanges_tokens


@pytest.mark.parametrize(
    "change",
    [
        {"endPoint": ...}, {"endPoint": 1}, {"endPoint": ""}, {"endPoint": "/ocm"},
        {"endPoint": "//a.example/ocm"}, {"endPoint": "ftp://a.example/"}, {"endPoint": "https:///x"},
        {"endPoint": "https://u:p@a.example/"}, {"endPoint": "https://a.example/?x"},
        {"endPoint": "https://a.example/#f"}, {"endPoint": "https://a.example/\n"},
        {"endPoint": "https://a.example:0/"}, {"endPoint": "https://a.example/" + "x" * 3000},
        {"endPoint": "https://a.example\\@b.example/"},
        {"resourceTypes": ...}, {"resourceTypes": {}}, {"resourceTypes": None},
        {"enabled": "yes"}, {"enabled": 1}, {"enabled": None},
    ],
    ids=str,
)  # fmt: skip
def test_a_document_without_the_necessary_is_refused(change):
    with pytest.raises(Malformed):
        read(**change)


@pytest.mark.parametrize("data", [b"<html>", b"[]", b'{"endPoint":', b"{}" + b" " * (1 << 18)])
def test_what_is_no_document_is_refused(data):
    with pytest.raises(Malformed):
        parse(data, ORIGIN)


@pytest.mark.conforms("OCM-5.3-18")
def test_optional_members_that_are_wrong_are_left_out():
    found = read(
        provider=1, capabilities="x", criteria=[1, None, "denylist", "\u0000"], jwksUri="/jwks",
        tokenEndPoint=["x"], inviteAcceptDialog=3, apiVersion=None,
        resourceTypes=[1, {}, {"name": "x"}, {"name": 1, "protocols": {}}, entry("file", {"a": 1})],
        unknown={"deep": [1]},
    )  # fmt: skip
    assert found.criteria == {"denylist"}
    assert (found.provider, found.jwks_uri, found.token_end_point) == ("", "", "")
    assert (found.capabilities, found.invite_accept_dialog) == (frozenset(), "")
    assert [offered.name for offered in found.resource_types] == ["file"]


@pytest.mark.parametrize(
    ("name", "spelling"),
    [
        ("wants_signatures", "http-request-signatures"), ("wants_signatures", "http-signatures"),
        ("wants_signatures", "must-use-http-sig"), ("wants_exchange", "token-exchange"),
        ("wants_exchange", "exchange-token"), ("wants_exchange", "must-exchange-token"),
        ("wants_invite", "invite"), ("wants_invite", "must-invite"),
    ],
)  # fmt: skip
def test_every_spelling_of_a_criterion_counts(name, spelling):
    assert getattr(read(criteria=[spelling]), name)
    assert not getattr(read(criteria=[spelling.upper()], capabilities=[spelling]), name)


@pytest.mark.parametrize(
    ("name", "spelling"),
    [
        ("signs", "http-sig"), ("takes_notifications", "notifications"),
        ("takes_notifications", "/notifications"), ("enforces_mfa", "enforce-mfa"),
        ("enforces_mfa", "/mfa-capable"),
    ],
)  # fmt: skip
def test_every_spelling_of_a_capability_counts(name, spelling):
    assert getattr(read(capabilities=[spelling]), name)


@pytest.mark.parametrize("capability", ["exchange-token", "token-exchange"])
@pytest.mark.parametrize("member", ["tokenEndPoint", "tokenEndpoint"])
def test_tokens_are_exchanged_with_a_capability_and_an_endpoint(capability, member):
    url = "https://a.example/token"
    assert read(capabilities=[capability], **{member: url}).exchanges_tokens
    assert not read(capabilities=[capability]).exchanges_tokens
    assert not read(**{member: url}).exchanges_tokens
    assert read(tokenEndPoint=url, tokenEndpoint="https://b.example").token_end_point == url


@pytest.mark.conforms("OCM-5.3-06")
@pytest.mark.parametrize("end_point", ["https://a.example/x/ocm", "https://a.example/x/ocm/"])
def test_the_api_is_joined_with_one_slash(end_point):
    assert read(endPoint=end_point).api("shares") == "https://a.example/x/ocm/shares"


@pytest.mark.conforms("OCM-5.3-40")
@pytest.mark.parametrize(
    ("published", "found"),
    [
        ("/accept?x=1", "https://a.example/accept?x=1"),
        ("accept", "https://a.example/accept"),
        ("https://A.example:443/accept", "https://A.example:443/accept"),
        ("https://b.example/accept", ""), ("//b.example/accept", ""), ("javascript:alert(1)", ""),
        ("https://a.example@b.example/", ""), ("", ""), (None, ""), (["x"], ""), ("/a#f", ""),
    ],
)  # fmt: skip
def test_the_accept_dialog_is_on_the_same_server(published, found):
    assert read(inviteAcceptDialog=published).invite_accept_dialog == found


@pytest.mark.parametrize(
    ("entries", "path"),
    [
        ([entry("x", "/first")], "/first/"),
        ([entry("file", "/f"), entry("folder", "/d")], "/f/"),
        ([entry("x", {}), entry("file", "/f"), entry("folder", "/d")], "/d/"),
        ([entry("x", {}), entry("y", "/y"), entry("file", "/f")], "/f/"),
        ([entry("x", {}), entry("y", "/y")], "/y/"),
        ([entry("file", "seafdav")], "/seafdav/"),
        ([entry("file", "//dav//ocm//")], "/dav/ocm/"),
        ([entry("file", "/")], "/"),
        ([entry("file", "/a/../b")], None), ([entry("file", "/%2e%2E/")], None),
        ([entry("file", "https://b.example/")], None), ([entry("file", "/a?b")], None),
        ([entry("file", "/a b")], None), ([entry("file", "")], None), ([], None),
    ],
)  # fmt: skip
def test_the_webdav_path_is_found_where_it_may_stand(entries, path):
    assert webdav_path(read(resourceTypes=entries), "folder") == path


def test_who_takes_files_takes_folders():
    found = read(resourceTypes=[entry("file")])
    assert found.offers("folder", "user")
    assert not found.offers("folder", "group")
    assert not read(resourceTypes=[entry("folder")]).offers("file", "user")
    assert OfferedResourceType("file", ("user",), {"webdav": "/dav/"}) in found.resource_types


NAMES = st.sampled_from([
    "enabled", "endPoint", "resourceTypes", "capabilities", "criteria", "tokenEndPoint", "jwksUri",
    "inviteAcceptDialog", "name", "protocols",
])  # fmt: skip
ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(0, 9)
    | st.text(max_size=20)
    | st.just("https://a.example/"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
)


def test_who_takes_no_webdav_takes_none_of_our_shares():
    for protocols, taken in (({"webapp": "/x"}, False), ({"webdav-receive": {}}, True)):
        offered = {"name": "file", "shareTypes": ["user"], "protocols": protocols}
        assert read(resourceTypes=[offered]).offers("file", "user") is taken


@given(st.dictionaries(NAMES, ANY))
def test_nothing_but_malformed_comes_out(members):
    try:
        found = read(**({"resourceTypes": [entry()]} | members))
    except Malformed:
        return
    encode(found)
    webdav_path(found, "file")
    hash(found)
