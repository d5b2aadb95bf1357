"""draft-cavage as Nextcloud 31 to 34 speaks it; the played Nextcloud is the second opinion."""

import base64
import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadSignature, Unsigned
from gateway.httpsig import cavage
from gateway.httpsig.keys import parse_pem
from gateway.httpsig.message import Message, check_keyed
from gateway.httpsig.reasons import Reason
from gateway.httpsig.signing import SigningKey
from gateway.model import Scheme
from gateway.simulate import signing

NOW = 1_784_600_000
URL = "https://gw.example.org/index.php/ocm/shares?a=%2Fb"
KID = "https://nc.example.org/ocm#signature"
THEIRS = signing.generate("rsa", KID)
PUBLIC = parse_pem(KID, THEIRS.pem())
BODY = b'{"providerId":"1"}'
OURS = SigningKey.generate("https://gw.example.org/ocm#rsa1", "rsa-v1_5-sha512")


def from_nextcloud(url=URL, body=BODY, at=NOW, **headers):
    """A request signed by the played Nextcloud, some headers changed afterwards."""
    sent = signing.sign_cavage(signing.Request("POST", url, {}, body), THEIRS, at)
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    kept = tuple((name, value) for name, value in sent.items() if value is not None)
    return Message("POST", url, kept, body)


def by_hand(message, names, algorithm="rsa-sha512", keyid=KID, more="", base=None):
    """The message signed over those names, letter by letter."""
    values = {name.lower(): value for name, value in message.headers}
    values["(request-target)"] = "post " + message.target_uri.partition("example.org")[2]
    text = base or "\n".join(f"{name}: {values.get(name, '')}" for name in names.split(" "))
    sign = THEIRS.sign if algorithm == "rsa-sha256" else THEIRS.sign_cavage
    made = base64.b64encode(sign(text.encode())).decode()
    value = f'keyId="{keyid}",algorithm="{algorithm}",headers="{names}",signature="{made}"{more}'
    return with_header(message, "signature", value)


def with_header(message, name, value):
    kept = tuple(one for one in message.headers if one[0].lower() != name)
    return replace(message, headers=(*kept, (name, value)))


def verify(message, now=NOW):
    signature = cavage.read_signature(message)
    cavage.check_unkeyed(signature, message, now, 300, 60)
    return check_keyed(signature, PUBLIC)


def refused(message, now=NOW):
    with pytest.raises(BadSignature) as caught:
        verify(message, now)
    return caught.value.reason


ALL = "(request-target) content-length date digest host"


def test_what_nextcloud_signs_is_verified():
    message = from_nextcloud()
    assert cavage.spoken_in(message)
    assert verify(message) == PUBLIC
    assert cavage.read_signature(message).scheme is Scheme.CAVAGE


def test_what_we_sign_nextcloud_verifies():
    sent = cavage.sign(Message("POST", URL, (("Content-Type", "x/y"),), BODY), OURS, NOW)
    headers = {name.lower(): value for name, value in sent.headers}
    request = signing.Request("POST", URL, headers, BODY)
    signing.verify_cavage(request, OURS.public_pem(), NOW)
    assert headers["content-type"] == "x/y"
    assert headers["host"] == "gw.example.org"
    with pytest.raises(signing.NotProven):
        signing.verify_cavage(replace(request, body=b"{}"), OURS.public_pem(), NOW)


def test_the_order_of_the_headers_is_theirs_and_more_may_be_covered():
    message = with_header(from_nextcloud(), "x-more", "yes")
    assert verify(by_hand(message, f"x-more host digest date {ALL.split()[1]} (request-target)"))


def test_rsa_sha256_and_sha_256_are_taken():
    digest = base64.b64encode(hashlib.sha256(BODY).digest()).decode()
    message = by_hand(from_nextcloud(digest=f"sha-256={digest}"), ALL, "rsa-sha256")
    assert verify(message)
    unlike = message.field("signature").replace("rsa-sha256", "rsa-sha512")
    assert refused(with_header(message, "signature", unlike)) == Reason.SIGNATURE


def test_a_proxy_may_have_changed_host():
    assert verify(from_nextcloud(host="127.0.0.1:8080"))
    assert verify(from_nextcloud(host=None))


def test_what_was_meant_for_another_server_is_worth_nothing_here():
    elsewhere = from_nextcloud("https://other.example.org/index.php/ocm/shares?a=%2Fb")
    assert refused(replace(elsewhere, target_uri=URL)) == Reason.SIGNATURE


@pytest.mark.parametrize("name", ALL.split(" "))
def test_each_of_the_five_must_be_covered(name):
    names = " ".join(one for one in ALL.split(" ") if one != name)
    assert refused(by_hand(from_nextcloud(), names)) == Reason.COVERAGE


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"date": "yesterday"}, Reason.CREATED),
        ({"date": "Sat, 21 Nov 2026 03:30:00"}, Reason.CREATED),
        ({"date": "Sat, 21 Nov 99999 03:30:00 GMT"}, Reason.CREATED),
        ({"date": None}, Reason.COVERAGE),
        ({"digest": None}, Reason.COVERAGE),
        ({"digest": "SHA-512=AAAA"}, Reason.DIGEST),
        ({"digest": "MD5=AAAA"}, Reason.DIGEST),
        ({"digest": "SHA-512=***"}, Reason.DIGEST),
        ({"content_length": "1"}, Reason.DIGEST),
        ({"content_length": None}, Reason.COVERAGE),
        ({"signature": "keyId="}, Reason.MALFORMED),
        ({"signature": 'keyId="a",keyId="b"'}, Reason.MALFORMED),
        ({"signature": 'keyId="a",signature="b"'}, Reason.MALFORMED),
        ({"signature": 'keyId="a",' + "x=1," * 10_000}, Reason.MALFORMED),
    ],
)
def test_one_wrong_part_is_enough(change, reason):
    message = from_nextcloud(**change)
    if "signature" not in change and reason is not Reason.COVERAGE:
        message = by_hand(message, ALL) if message.field("date") else message
    assert refused(message) == reason


@pytest.mark.parametrize("algorithm", ["hs2019", "hmac-sha256", "rsa-sha1", "ed25519", ""])
def test_other_algorithms_are_refused(algorithm):
    assert refused(by_hand(from_nextcloud(), ALL, algorithm)) == Reason.ALGORITHM


@pytest.mark.parametrize(
    "names", [f"{ALL} (created)", f"{ALL} x-absent", f"{ALL} Date", f"{ALL} ", ALL.upper()]
)
def test_odd_headers_are_refused(names):
    assert refused(by_hand(from_nextcloud(), names)) == Reason.COVERAGE


@pytest.mark.parametrize("names", [f"{ALL} date", f"{ALL} " + " ".join(f"x{n}" for n in range(50))])
def test_repeated_and_too_many_headers_are_refused(names):
    assert refused(by_hand(from_nextcloud(), names)) == Reason.MALFORMED


@pytest.mark.parametrize(("age", "good"), [(300, True), (301, False), (-60, True), (-61, False)])
def test_a_date_is_good_for_its_time(age, good):
    message = from_nextcloud()
    if good:
        assert verify(message, NOW + age)
    else:
        assert refused(message, NOW + age) == Reason.CREATED


def test_another_key_or_key_id_does_not_verify():
    assert refused(by_hand(from_nextcloud(), ALL, keyid="https://x/#k")) == Reason.UNKNOWN_KEY
    message = from_nextcloud()
    assert refused(replace(message, body=BODY + b" ")) == Reason.DIGEST
    assert refused(replace(message, method="PUT")) == Reason.SIGNATURE
    assert refused(replace(message, target_uri=URL + "1")) == Reason.SIGNATURE


def test_the_stub_signs_in_a_way_that_counts_as_unsigned():
    value = 'keyId="stub.example",algorithm="rsa-sha256",headers="host,date",signature="AAAA"'
    with pytest.raises(Unsigned):
        cavage.read_signature(with_header(from_nextcloud(), "signature", value))


def test_with_signature_input_it_is_the_other_kind():
    assert not cavage.spoken_in(with_header(from_nextcloud(), "signature-input", "ocm=()"))


@given(st.text(max_size=200))
def test_no_signature_field_breaks_the_reader(text):
    message = with_header(from_nextcloud(), "signature", f'keyId="{text}')
    with pytest.raises((BadSignature, Unsigned)):
        cavage.read_signature(message)
