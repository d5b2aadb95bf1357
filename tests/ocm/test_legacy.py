"""What older servers write, and that none of it is read from those who sign as the drafts say."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Malformed
from gateway.ocm import legacy, notifications, shares
from gateway.ocm.address import parse_address

OPTIONS = {"name": "webdav", "options": {"sharedSecret": "s+/=", "permissions": "x"}}
MULTI = {"name": "multi", "options": {}, "webdav": {"uri": "u", "sharedSecret": "s"}}
SHARE = {
    "shareWith": "bob@gw.example",
    "name": "trip",
    "providerId": "7",
    "owner": "alice@h.example",
    "sender": "alice@h.example",
    "shareType": "user",
    "resourceType": "file",
    "protocol": OPTIONS,
}


def read(*, signed=False, **changes):
    members = {name: value for name, value in (SHARE | changes).items() if value is not None}
    return shares.parse(json.dumps(members).encode(), signed=signed)


@pytest.mark.parametrize(
    ("changes", "form"),
    [
        ({"sender": None}, legacy.OWNER_AS_SENDER),
        ({"providerId": 7}, legacy.NUMBER_AS_ID),
        ({"owner": "alice@http://h.example:80/"}, legacy.ADDRESS_AS_URL),
        ({"shareWith": "bob@https://gw.example/nc/index.php"}, legacy.ADDRESS_AS_URL),
        ({"expiration": 0}, legacy.NO_EXPIRATION),
        ({"protocol": {"name": "multi", "webdav": {"url": "u", "sharedSecret": "s"}}},
         legacy.OTHER_URI),
        ({"protocol": {"name": "webdav", "webdav": {"URI": "u", "sharedSecret": "s"}}},
         legacy.OTHER_URI),
    ],
    ids=str,
)  # fmt: skip
def test_each_older_form_is_read_from_old_servers_and_refused_to_signers(changes, form):
    assert form in read(**changes).tolerated
    if form != legacy.NO_EXPIRATION:
        with pytest.raises(Malformed):
            read(signed=True, **changes)
    else:
        assert read(signed=True, **changes).expiration == 0


def test_a_nextcloud_is_known_by_shared_by_though_it_signs():
    changes = {
        "sender": None, "sharedBy": "carol@https://h.example/", "sharedByDisplayName": "Carol",
        "shareWith": "bob@https://gw.example", "providerId": 3,
    }  # fmt: skip
    for signed in (False, True):
        share = read(signed=signed, **changes)
        assert (str(share.sender), share.sender_display_name) == ("carol@h.example", "Carol")
        assert (share.provider_id, str(share.share_with)) == ("3", "bob@gw.example")
        assert legacy.SHARED_BY in share.tolerated


def test_a_share_of_today_is_read_the_same_with_and_without_a_signature():
    for protocol in (OPTIONS, MULTI):
        unsigned, signed = (read(signed=one, protocol=protocol) for one in (False, True))
        assert shares.encode(unsigned) == shares.encode(signed)
        assert signed.tolerated == frozenset()


def test_a_share_without_any_sender_is_none_in_the_newer_forms():
    with pytest.raises(Malformed):
        read(sender=None, protocol=MULTI)


def test_what_is_reshared_in_the_form_of_1_0_is_at_its_owners():
    reshared = {"sender": "carol@elsewhere.example"}
    assert read(**reshared).sending_server == "h.example"
    assert read(signed=True, **reshared).sending_server == "elsewhere.example"
    assert read(protocol=MULTI, **reshared).sending_server == "elsewhere.example"


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("alice@h.example", "alice@h.example"),
        ("alice@https://h.example", "alice@h.example"),
        ("alice@HTTPS://h.example/", "alice@h.example"),
        ("alice@http://h.example", "alice@h.example:80"),
        ("alice@http://127.0.0.1:28081", "alice@127.0.0.1:28081"),
        ("alice@h.example/nextcloud/index.php", "alice@h.example"),
        ("x@idp.example@h.example", "x@idp.example@h.example"),
        ("x@https://idp.example@h.example", "x@https://idp.example@h.example"),
        ("x@idp.example@https://h.example/", "x@idp.example@h.example"),
        ("alice@http://[2001:db8::1]/", "alice@[2001:db8::1]:80"),
        ("nobody", "nobody"),
        ("@h.example/x", "@h.example/x"),
    ],
)
def test_addresses_lose_what_does_not_belong_to_them(written, plain):
    assert legacy.address(written) == plain


@pytest.mark.parametrize(
    "written", ["a@https://u:p@", "a@https://", "a@http:///x", "a@//h.example"]
)
def test_what_is_no_address_stays_none(written):
    with pytest.raises(Malformed):
        parse_address(legacy.address(written))


def ocs(**changes):
    fields = {
        "shareWith": "nobody", "token": "0ol4fP4Ksnx4HUN", "name": "dir", "remoteId": "5",
        "owner": "alice", "ownerFederatedId": "alice%40http%3A%2F%2F127.0.0.1%3A28081",
        "sharedBy": "alice", "sharedByFederatedId": "alice",
        "remote": "http%3A%2F%2F127.0.0.1%3A28081%2F",
    } | changes  # fmt: skip
    body = "&".join(f"{name}={value}" for name, value in fields.items() if value is not None)
    return shares.parse_ocs(body.encode(), "gw.example")


def test_the_share_before_ocm_is_read():
    share = ocs()
    assert (str(share.owner), share.sending_server) == ("alice@127.0.0.1:28081", "127.0.0.1:28081")
    assert str(share.sender) == "alice@127.0.0.1:28081"
    assert str(share.share_with) == "nobody@gw.example"
    assert (share.provider_id, share.name) == ("5", "dir")
    assert (share.webdav.uri, share.webdav.shared_secret) == ("", "0ol4fP4Ksnx4HUN")
    assert legacy.OCS in share.tolerated


def test_the_oldest_share_names_people_without_their_server():
    share = ocs(ownerFederatedId=None, sharedByFederatedId=None)
    assert str(share.owner) == str(share.sender) == "alice@127.0.0.1:28081"


@pytest.mark.parametrize("name", ["shareWith", "token", "name", "remoteId", "remote"])
def test_the_share_before_ocm_needs_all_it_has(name):
    with pytest.raises(Malformed):
        ocs(**{name: "", "ownerFederatedId": "alice" if name == "remote" else "a%40h.example"})


@pytest.mark.parametrize("body", [b"\xff=1", b"&".join([b"a=1"] * 60), b"name=a&name=b", b"%00=1"])
def test_what_is_no_share_before_ocm_is_refused(body):
    with pytest.raises(Malformed):
        shares.parse_ocs(body, "gw.example")


@given(
    st.dictionaries(st.sampled_from([*SHARE, "sharedBy"]), st.text() | st.integers() | st.none())
)
def test_nothing_but_malformed_comes_out(changes):
    with contextlib.suppress(Malformed):
        shares.parse(json.dumps(SHARE | changes).encode(), signed=False)


@given(st.binary(max_size=200))
def test_nothing_but_malformed_comes_out_of_a_form(body):
    with contextlib.suppress(Malformed):
        shares.parse_ocs(body, "gw.example")


def test_notifications_of_php_are_read():
    body = b'{"notificationType":"SHARE_UNSHARED","providerId":7,"notification":[]}'
    assert notifications.parse(body, signed=False).provider_id == "7"
    with pytest.raises(Malformed):
        notifications.parse(body)
    said = notifications.parse(
        b'{"notificationType":"x","providerId":"7",'
        b'"notification":{"sharedSecret":"s","messgage":"gone","grantee":1}}'
    )
    assert (said.said("sharedSecret"), said.said("grantee"), said.said("other")) == ("s", "", "")
