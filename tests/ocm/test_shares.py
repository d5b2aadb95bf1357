import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Malformed, Unsupported
from gateway.model import Permission
from gateway.ocm import shares
from gateway.ocm.address import parse_address
from gateway.ocm.shares import NewShare, WebDav

WEBDAV = {"uri": "abc", "sharedSecret": "s3cret", "permissions": ["read", "write"]}
BODY = {
    "shareWith": "marie@gw.example",
    "name": "spec.yaml",
    "providerId": "7c08",
    "owner": "albert@a.example",
    "sender": "albert@a.example",
    "shareType": "user",
    "resourceType": "file",
    "protocol": {"name": "multi", "webdav": WEBDAV},
}


def read(**change):
    members = {name: value for name, value in (BODY | change).items() if value is not ...}
    return shares.parse(json.dumps(members).encode())


def webdav(**change):
    details = {name: value for name, value in (WEBDAV | change).items() if value is not ...}
    return read(protocol={"name": "multi", "webdav": details})


def faults(**change):
    with pytest.raises(Malformed) as caught:
        read(**change)
    return [name for name, _ in caught.value.fields]


def test_a_share_is_read():
    assert read() == NewShare(
        share_with=parse_address("marie@gw.example"),
        name="spec.yaml",
        provider_id="7c08",
        owner=parse_address("albert@a.example"),
        sender=parse_address("albert@a.example"),
        share_type="user",
        resource_type="file",
        webdav=WebDav("abc", "s3cret", frozenset({Permission.READ, Permission.WRITE})),
    )


@pytest.mark.parametrize("name", list(BODY))
@pytest.mark.parametrize("value", [..., None, 1, True, [], ""])
def test_every_required_member_is_required_and_named(name, value):
    assert faults(**{name: value}) == [name]


@pytest.mark.parametrize("name", ["owner", "sender", "shareWith"])
@pytest.mark.parametrize("value", ["marie", "marie@", "@gw.example", "m@gw.example/x", "m@b c"])
def test_addresses_must_be_addresses(name, value):
    assert faults(**{name: value}) == [name]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", "a\u0000b"), ("name", "a\nb"), ("name", "x" * 256), ("providerId", "x" * 256),
        ("providerId", "a\rb"), ("description", 1), ("description", "\u0000"),
        ("ownerDisplayName", {}), ("senderDisplayName", "x" * 1025), ("shareType", "x" * 65),
        ("expiration", "1"), ("expiration", 1.0), ("expiration", True), ("expiration", -1),
        ("expiration", 1 << 60), ("protocol", "webdav"), ("protocol", {}),
        ("protocol", {"name": "multi"}), ("protocol", {"name": "multi", "options": {}}),
    ],
)  # fmt: skip
def test_one_wrong_member_is_enough(name, value):
    assert faults(**{name: value}) == [name]


def test_all_faults_are_told_together_and_no_value_is():
    with pytest.raises(Malformed) as caught:
        read(
            name=7,
            owner="x",
            protocol={"name": "multi", "webdav": {"sharedSecret": "s3cret" * 999}},
        )
    names = [name for name, _ in caught.value.fields]
    assert names == ["name", "owner", "protocol.webdav.uri", "protocol.webdav.sharedSecret"]
    assert "s3cret" not in repr(caught.value.fields)


@pytest.mark.parametrize(
    "change",
    [
        {"uri": ...}, {"uri": ""}, {"uri": 1}, {"uri": "a\nb"}, {"sharedSecret": ...},
        {"sharedSecret": ""}, {"sharedSecret": 1}, {"sharedSecret": "x" * 4097},
        {"permissions": "read"}, {"permissions": [1]}, {"requirements": "must-use-mfa"},
        {"requirements": [None]}, {"accessTypes": "remote"}, {"accessTypes": [1]},
        {"permissions": ["x"] * 51},
    ],
    ids=str,
)  # fmt: skip
def test_a_wrong_webdav_object_is_refused(change):
    with pytest.raises(Malformed):
        webdav(**change)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"name":"\\ud800"}', b'{"a":1,"a":1}'])
def test_what_is_no_share_is_refused(body):
    with pytest.raises(Malformed):
        shares.parse(body)


@pytest.mark.parametrize(
    ("protocol", "uri"),
    [
        ({"name": "webdav", "options": {"sharedSecret": "s3cret", "permissions": "{ns}x"}}, ""),
        ({"name": "webdav", "webdav": WEBDAV}, "abc"),
        ({"name": "multi", "webdav": WEBDAV}, "abc"),
        ({"webdav": WEBDAV}, "abc"),
        ({"name": "webdav", "options": {"sharedSecret": "x"}, "webdav": WEBDAV}, "abc"),
        ({"name": "multi", "ssh": {"uri": "u@h:1/p"}, "webapp": {}, "webdav": WEBDAV}, "abc"),
    ],
)
def test_every_form_of_protocol_is_read(protocol, uri):
    found = shares.check_supported(read(protocol=protocol))
    assert (found.uri, found.shared_secret) == (uri, "s3cret")


@pytest.mark.parametrize("options", [..., None, {}, {"sharedSecret": ""}, {"sharedSecret": 1}])
def test_the_oldest_form_needs_a_secret(options):
    protocol = {"name": "webdav"} | ({} if options is ... else {"options": options})
    assert faults(protocol=protocol) == ["protocol.options.sharedSecret"]


@pytest.mark.parametrize(
    "change",
    [
        {"shareType": "group"}, {"shareType": "room"}, {"resourceType": "printer"},
        {"protocol": {"name": "multi", "talk": {}}}, {"protocol": {"name": "talk"}},
        {"protocol": {"name": "multi", "ssh": {"uri": "u@h:1/p"}}},
        {"protocol": {"webdav": WEBDAV | {"requirements": ["must-fly"]}}},
        {"protocol": {"webdav": WEBDAV | {"requirements": ["must-use-mfa"]}}},
        {"protocol": {"webdav": WEBDAV | {"requirements": ["mfa-enforced"]}}},
        {"protocol": {"webdav": WEBDAV | {"accessTypes": ["datatx"]}}},
        {"protocol": {"webdav": WEBDAV | {"accessType": ["datatx"]}}},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_right_and_not_done_here_is_501_and_not_400(change):
    share = read(**change)
    with pytest.raises(Unsupported):
        shares.check_supported(share)


def test_folders_are_taken_like_files():
    assert shares.check_supported(read(resourceType="folder")).uri == "abc"


def test_details_are_read_leniently_where_the_draft_is():
    assert webdav(permissions=...).webdav.permissions is None
    assert webdav(permissions=[]).webdav.permissions == frozenset()
    assert webdav(permissions=["read", "fly"]).webdav.permissions == {Permission.READ}
    assert webdav(accessTypes=["remote", "x"]).webdav.access_types == {"remote", "x"}
    assert webdav(size=5).webdav.size == 5
    assert webdav(size="5").webdav.size is None
    assert webdav(size=-1).webdav.size is None
    assert webdav(requirements=["mfa-enforced"]).webdav.requirements == {"must-use-mfa"}
    assert webdav(requirements=["must-exchange-token"]).webdav.must_exchange_token
    assert read(expiration=None, description=None).expiration is None
    assert read(unknown={"x": 1}) == read()


def test_no_secret_is_in_the_repr():
    assert "s3cret" not in repr(read())


def test_the_draft_s_names_are_what_we_send():
    body = json.loads(shares.encode(read(expiration=5, senderDisplayName="Albert")))
    assert body == BODY | {"expiration": 5, "senderDisplayName": "Albert"}


def test_the_oldest_form_is_sent_without_a_uri():
    share = read(protocol={"name": "webdav", "options": {"sharedSecret": "s3cret"}})
    assert json.loads(shares.encode(share))["protocol"] == {
        "name": "webdav",
        "options": {"sharedSecret": "s3cret"},
    }


def test_a_created_share_is_answered_with_the_recipient():
    assert json.loads(shares.encode_created("Mari\u00e9")) == {"recipientDisplayName": "Mari\u00e9"}


LINES = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=40)
WEBDAVS = st.builds(
    WebDav,
    uri=LINES,
    shared_secret=LINES,
    permissions=st.none() | st.frozensets(st.sampled_from(Permission)),
    requirements=st.frozensets(st.sampled_from(["must-use-mfa", "must-exchange-token", "x"])),
    access_types=st.frozensets(st.sampled_from(["remote", "datatx"])),
    size=st.none() | st.integers(0, 1 << 50),
)
ADDRESSES = LINES.map(lambda name: parse_address(f"{name}@a.example:8443"))


@given(st.builds(
    NewShare, share_with=ADDRESSES, owner=ADDRESSES, sender=ADDRESSES, name=LINES,
    provider_id=LINES,    share_type=LINES, resource_type=LINES, webdav=WEBDAVS, description=LINES,
    expiration=st.none() | st.integers(0, 1 << 50),
))  # fmt: skip
def test_a_share_survives_the_journey(share):
    assert shares.parse(shares.encode(share)) == share


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "options", "webdav", "uri", "sharedSecret"]), inner
        )
    ),
)


@given(st.dictionaries(st.sampled_from([*BODY, "expiration", "description"]), ANY))
def test_nothing_but_malformed_comes_out(change):
    try:
        share = read(**change)
        shares.check_supported(share)
    except (Malformed, Unsupported):
        pass
