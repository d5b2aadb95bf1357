import base64
import datetime
from dataclasses import replace

import http_message_signatures as independent
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadSignature, Unsigned
from gateway.httpsig.components import Component
from gateway.httpsig.keys import VerificationKey
from gateway.httpsig.message import (
    Message,
    Profile,
    check_keyed,
    check_unkeyed,
    read_signature,
    sign,
    signature_base,
    verify,
)
from gateway.httpsig.reasons import Reason
from gateway.httpsig.signing import SigningKey

NOW = 1_768_570_620
KEY = SigningKey.from_seed("sender.example#key1", bytes(range(32)))
PUBLIC = KEY.verification_key()
BODY = b'{"a":1}'
REQUEST = Message(
    "POST",
    "https://receiver.example/ocm/shares",
    (("Host", "receiver.example"), ("Content-Type", "application/json")),
    BODY,
)
SIGNED = sign(REQUEST, KEY, NOW)
DIGEST = SIGNED.field("content-digest")
COVERED = '"@method" "@target-uri" "content-digest"'


def with_headers(message, **headers):
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    kept = tuple(pair for pair in message.headers if pair[0].lower() not in names)
    return replace(message, headers=kept + tuple((k, v) for k, v in names.items() if v is not None))


def signed_by_hand(covered, parameters, label="sig1", message=None, lines=()):
    """A message whose signature is right over exactly that input, however odd it is."""
    message = message or with_headers(SIGNED, signature=None, signature_input=None)
    value = f"({covered});{parameters}"
    base = "\n".join([*lines, f'"@signature-params": {value}']).encode()
    made = base64.b64encode(KEY.sign(base)).decode()
    return with_headers(message, signature_input=f"{label}={value}", signature=f"{label}=:{made}:")


def refused(message, profile=Profile.COMPATIBLE, now=NOW):
    with pytest.raises(BadSignature) as caught:
        verify(read_signature(message, profile), message, PUBLIC, now)
    return caught.value.reason


LINES = (
    '"@method": POST',
    '"@target-uri": https://receiver.example/ocm/shares',
    f'"content-digest": {DIGEST}',
)
PARAMETERS = f'created={NOW};keyid="sender.example#key1"'


@pytest.mark.parametrize("profile", Profile)
def test_what_we_sign_holds_in_both_profiles(profile):
    signature = read_signature(SIGNED, profile)
    verify(signature, SIGNED, PUBLIC, NOW)
    assert (signature.label, signature.tag, signature.alg) == ("ocm", "ocm", "ed25519")
    assert check_keyed(signature, PUBLIC) is PUBLIC


def test_we_emit_exactly_these_headers():
    assert SIGNED.field("signature-input") == (
        'ocm=("@method" "@target-uri" "content-digest" "content-length" "date")'
        f';created={NOW};keyid="sender.example#key1";alg="ed25519";tag="ocm"'
    )
    assert SIGNED.field("date") == "Fri, 16 Jan 2026 13:37:00 GMT"
    assert SIGNED.field("content-length") == "7"


def test_signing_again_replaces_what_was_there():
    again = sign(SIGNED, KEY, NOW + 1)
    assert len(again.headers) == len(SIGNED.headers)
    verify(read_signature(again), again, PUBLIC, NOW + 1)


def test_a_nonce_tells_two_signatures_of_one_second_apart():
    one, two = (sign(REQUEST, KEY, NOW, nonce) for nonce in ("a", "b"))
    assert read_signature(one).value != read_signature(two).value
    assert read_signature(one).nonce == "a"
    verify(read_signature(one, Profile.STRICT), one, PUBLIC, NOW)


def test_an_unsigned_message_is_unsigned():
    with pytest.raises(Unsigned):
        read_signature(REQUEST)


@pytest.mark.parametrize("header", ["Signature", "Signature-Input"])
@pytest.mark.parametrize("value", ["", "x", "ocm", "ocm=1", 'keyId="cavage",signature="x"'])
def test_an_invalid_signature_is_never_taken_for_none(header, value):
    assert refused(replace(REQUEST, headers=((header, value),))) == Reason.MALFORMED


@pytest.mark.conforms(
    "OCM-RFC9421-11", "OCM-RFC9421-12", "OCM-RFC9421-13", "OCM-RFC9421-15", "OCM-RFC9421-16"
)
@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ('keyid="sender.example#key1"', Reason.CREATED),
        ('created="1";keyid="sender.example#key1"', Reason.MALFORMED),
        (f'created={NOW}.5;keyid="sender.example#key1"', Reason.MALFORMED),
        (f'created=@{NOW};keyid="sender.example#key1"', Reason.MALFORMED),
        ('created;keyid="sender.example#key1"', Reason.MALFORMED),
        (f"created={NOW}", Reason.MALFORMED),
        (f'created={NOW};keyid=""', Reason.MALFORMED),
        (f"created={NOW};keyid=token", Reason.MALFORMED),
        (f"{PARAMETERS};alg=ed25519", Reason.MALFORMED),
        (f"{PARAMETERS};created={NOW}", Reason.MALFORMED),
        (f'{PARAMETERS};tag="other"', Reason.MALFORMED),
        (f"{PARAMETERS};tag=ocm", Reason.MALFORMED),
        (f"{PARAMETERS};nonce=1", Reason.MALFORMED),
        (f'{PARAMETERS};expires="9999999999"', Reason.MALFORMED),
        (f"{PARAMETERS};expires={NOW}", Reason.EXPIRED),
        (f'{PARAMETERS};alg="hmac-sha256"', Reason.ALGORITHM),
        (f'{PARAMETERS};alg="rsa-pss-sha512"', Reason.ALGORITHM),
        (f'{PARAMETERS};alg=""', Reason.ALGORITHM),
        (f'created={NOW};keyid="sender.example#KEY1"', Reason.UNKNOWN_KEY),
        (f'created={NOW + 61};keyid="sender.example#key1"', Reason.CREATED),
        (f'created={NOW - 301};keyid="sender.example#key1"', Reason.CREATED),
    ],
)
def test_one_wrong_parameter_is_enough(parameters, reason):
    assert refused(signed_by_hand(COVERED, parameters, lines=LINES)) == reason


@pytest.mark.conforms("OCM-RFC9421-03")
@pytest.mark.parametrize(
    "parameters",
    [
        PARAMETERS,
        f'keyid="sender.example#key1";created={NOW}',
        f'{PARAMETERS};expires={NOW + 1};alg="ed25519";nonce="n";tag="ocm";other;more=1.5',
        f'{PARAMETERS};alg="EdDSA"',
        f'created={NOW + 60};keyid="sender.example#key1"',
        f'created={NOW - 300};keyid="sender.example#key1"',
    ],
)
def test_parameters_are_taken_as_received(parameters):
    message = signed_by_hand(COVERED, parameters, lines=LINES)
    verify(read_signature(message), message, PUBLIC, NOW)


@pytest.mark.conforms(
    "OCM-RFC9421-08", "OCM-RFC9421-09", "OCM-RFC9421-10", "OCM-RFC9421-17", "OCM-RFC9421-18"
)
@pytest.mark.parametrize(
    ("covered", "reason"),
    [
        ("", Reason.COVERAGE),
        ('"@method" "@target-uri"', Reason.COVERAGE),
        ('"@method" "content-digest"', Reason.COVERAGE),
        ('"@method" "@path" "content-digest"', Reason.COVERAGE),
        ('"@target-uri" "content-digest"', Reason.COVERAGE),
        ('"@method" "@target-uri" "digest"', Reason.COVERAGE),
        (f'{COVERED} "x-absent"', Reason.COVERAGE),
        (f'{COVERED} "@status"', Reason.COVERAGE),
        (f'{COVERED} "@foo"', Reason.MALFORMED),
        (f'{COVERED} "@signature-params"', Reason.MALFORMED),
        (f'{COVERED} "@query-param"', Reason.MALFORMED),
        (f'{COVERED} "@query-param";name=1', Reason.MALFORMED),
        (f'{COVERED} "@query-param";name="a"', Reason.COVERAGE),
        (f'{COVERED} "content-type";zz', Reason.MALFORMED),
        (f'{COVERED} "content-type";sf', Reason.MALFORMED),
        (f'{COVERED} "content-type" "content-type"', Reason.MALFORMED),
        (f"{COVERED} date", Reason.MALFORMED),
        (f'{COVERED} "Date"', Reason.MALFORMED),
        ('"@Method" "@target-uri" "content-digest"', Reason.MALFORMED),
        ('"@method";req "@target-uri" "content-digest"', Reason.MALFORMED),
        ('"@method" "@target-uri" "content-digest";req', Reason.MALFORMED),
        ('"@method" "@target-uri" "content-digest";key="sha-256"', Reason.MALFORMED),
        (" ".join(f'"x-{n}"' for n in range(60)), Reason.MALFORMED),
    ],
)
def test_coverage_must_be_enough_and_of_known_components(covered, reason):
    assert refused(signed_by_hand(covered, PARAMETERS)) == reason


@pytest.mark.conforms("OCM-RFC9421-05", "OCM-RFC9421-07", "OCM-RFC9421-18")
def test_authority_path_and_query_are_a_target():
    lines = ('"@method": GET', '"@authority": receiver.example', '"@path": /a%2Fb', '"@query": ?')
    message = Message("GET", "https://Receiver.Example:443/a%2Fb?", (), b"")
    covered = '"@method" "@authority" "@path" "@query"'
    message = signed_by_hand(covered, PARAMETERS, message=message, lines=lines)
    verify(read_signature(message), message, PUBLIC, NOW)
    without = signed_by_hand(covered[:-9], PARAMETERS, message=message, lines=lines[:-1])
    assert refused(without) == Reason.COVERAGE


@pytest.mark.conforms("OCM-RFC9530-07")
def test_a_message_without_a_body_needs_no_digest():
    message = Message("GET", "https://receiver.example/", (), b"")
    lines = ('"@method": GET', '"@target-uri": https://receiver.example/')
    message = signed_by_hand('"@method" "@target-uri"', PARAMETERS, message=message, lines=lines)
    verify(read_signature(message), message, PUBLIC, NOW)


@pytest.mark.parametrize(
    "missing", ["@method", "@target-uri", "content-digest", "content-length", "date"]
)
def test_strict_wants_all_five(missing):
    names = ("@method", "@target-uri", "content-digest", "content-length", "date")
    covered = " ".join(f'"{name}"' for name in names if name != missing)
    message = signed_by_hand(covered, f'{PARAMETERS};tag="ocm"', label="ocm")
    assert refused(message, Profile.STRICT) == Reason.COVERAGE


def test_strict_takes_the_ocm_signature_alone():
    foreign = signed_by_hand(COVERED, PARAMETERS, label="sig1", lines=LINES)
    assert refused(foreign, Profile.STRICT) == Reason.MALFORMED


@pytest.mark.conforms("OCM-RFC9421-01")
@pytest.mark.parametrize("profile", Profile)
def test_two_entries_for_ocm_are_refused(profile):
    value, made = SIGNED.field("signature-input"), SIGNED.field("signature")
    twice = with_headers(SIGNED, signature_input=f"{value}, {value}", signature=made)
    assert refused(twice, profile) == Reason.MALFORMED
    repeated = replace(SIGNED, headers=(*SIGNED.headers, ("Signature-Input", value)))
    assert refused(repeated, profile) == Reason.MALFORMED
    twins = with_headers(
        SIGNED,
        signature_input=f"{value}, other{value.removeprefix('ocm')}",
        signature=f"{made}, other{made.removeprefix('ocm')}",
    )
    assert refused(twins, profile) == Reason.MALFORMED


@pytest.mark.parametrize("profile", Profile)
def test_a_proxy_may_add_its_own_signature(profile):
    value, made = SIGNED.field("signature-input"), SIGNED.field("signature")
    message = with_headers(
        SIGNED,
        signature_input=f'proxy=("@authority");created=1;keyid="p";tag="proxy", {value}',
        signature=f"proxy=:AAAA:, {made}",
    )
    verify(read_signature(message, profile), message, PUBLIC, NOW)


def test_a_label_is_chosen_by_tag_then_ocm_then_sig1_then_the_only_one():
    def chosen(**entries):
        inputs = ", ".join(f"{label}=({COVERED});{extra}" for label, extra in entries.items())
        values = ", ".join(f"{label}=:AAAA:" for label in entries)
        return read_signature(with_headers(SIGNED, signature_input=inputs, signature=values)).label

    tagged, foreign = f'{PARAMETERS};tag="ocm"', f'{PARAMETERS};tag="x"'
    assert chosen(ocm=PARAMETERS, sig1=PARAMETERS, a=tagged) == "a"
    assert chosen(sig1=PARAMETERS, ocm=PARAMETERS, a=foreign) == "ocm"
    assert chosen(a=PARAMETERS, sig1=PARAMETERS, ocm=foreign) == "sig1"
    assert chosen(a=PARAMETERS, sig1=foreign) == "a"
    for entries in ({"a": PARAMETERS, "b": PARAMETERS}, {"ocm": foreign}):
        with pytest.raises(BadSignature):
            chosen(**entries)


@pytest.mark.conforms("OCM-RFC9421-09")
@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"content_length": "8"}, Reason.DIGEST),
        ({"content_length": "7, 7"}, Reason.DIGEST),
        ({"content_length": "+7"}, Reason.DIGEST),
        ({"content_length": None}, Reason.COVERAGE),
        ({"date": None}, Reason.COVERAGE),
        ({"date": "Fri, 16 Jan 2026 13:37:01 GMT"}, Reason.SIGNATURE),
        ({"content_digest": None}, Reason.COVERAGE),
        ({"content_digest": f"{DIGEST}, foo=:AA==:"}, Reason.SIGNATURE),
        ({"date": "x\ny"}, Reason.MALFORMED),
        ({"date": "caf\u00e9"}, Reason.MALFORMED),
    ],
)
def test_a_changed_header_is_noticed(headers, reason):
    assert refused(with_headers(SIGNED, **headers)) == reason


def test_a_changed_body_or_request_line_is_noticed():
    assert refused(replace(SIGNED, body=b'{"a":2}')) == Reason.DIGEST
    assert refused(replace(SIGNED, method="PUT")) == Reason.SIGNATURE
    assert refused(replace(SIGNED, target_uri=SIGNED.target_uri + "?")) == Reason.SIGNATURE
    assert refused(replace(SIGNED, target_uri="https://u@receiver.example/")) == Reason.SIGNATURE
    assert refused(replace(SIGNED, target_uri=SIGNED.target_uri + "\n")) == Reason.MALFORMED


def test_a_foreign_key_of_the_same_name_does_not_verify():
    other = SigningKey.from_seed(KEY.kid, bytes(32)).verification_key()
    signature = read_signature(SIGNED)
    with pytest.raises(BadSignature) as caught:
        check_keyed(signature, other)
    assert caught.value.reason == Reason.SIGNATURE
    assert check_keyed(signature, other, PUBLIC) is PUBLIC
    with pytest.raises(BadSignature) as caught:
        check_keyed(signature)
    assert caught.value.reason == Reason.UNKNOWN_KEY


@pytest.mark.conforms("OCM-RFC9421-20")
def test_a_der_encoded_ecdsa_signature_is_refused():
    private = ec.generate_private_key(ec.SECP256R1())
    key = VerificationKey("k", ("ecdsa-p256-sha256",), private.public_key())
    der = private.sign(b"data", ec.ECDSA(hashes.SHA256()))
    with pytest.raises(BadSignature):
        key.verify(b"data", der)


@pytest.mark.conforms("OCM-RFC9421-04")
def test_field_lines_are_trimmed_unfolded_and_joined():
    message = Message(
        "GET", "https://a/", (("X-A", " 1 \t"), ("x-a", "2\r\n  3"), ("X-B", "")), b""
    )
    assert message.field("X-a") == "1, 2 3"
    assert message.field("x-b") == ""
    assert message.field("x-c") is None


@pytest.mark.conforms("OCM-RFC9421-05", "OCM-RFC9421-07")
@pytest.mark.parametrize(
    ("component", "value"),
    [
        (Component("@method"), "GET"),
        (Component("@target-uri"), "HTTPS://A.example:8443?q=a+b&q2=%7e&twice=1&twice=2"),
        (Component("@scheme"), "https"),
        (Component("@authority"), "a.example:8443"),
        (Component("@path"), "/"),
        (Component("@query"), "?q=a+b&q2=%7e&twice=1&twice=2"),
        (Component("@request-target"), "/?q=a+b&q2=%7e&twice=1&twice=2"),
        (Component("@query-param", "q"), "a%20b"),
        (Component("@query-param", "q2"), "%7E"),
    ],
)
def test_derived_components(component, value):
    message = Message("GET", "HTTPS://A.example:8443?q=a+b&q2=%7e&twice=1&twice=2", (), b"")
    base = signature_base(message, [component], ())
    assert base.split("\n")[0] == f"{component.identifier}: {value}"
    with pytest.raises(BadSignature):
        signature_base(message, [Component("@query-param", "twice")], ())


def test_a_response_has_a_status_and_nothing_else_derived():
    message = Message("", "", (), b"", status=200)
    assert signature_base(message, [Component("@status")], ()).startswith('"@status": 200\n')
    with pytest.raises(BadSignature):
        signature_base(message, [Component("@method")], ())


class Headers(dict):
    """Case-insensitive as the independent library wants it."""

    def __contains__(self, name):
        return any(key.lower() == name.lower() for key in self)


class Request:
    def __init__(self, message):
        self.method, self.url = message.method, message.target_uri
        self.headers = Headers(message.headers)


class Resolver(independent.HTTPSignatureKeyResolver):
    def resolve_public_key(self, key_id):
        return KEY.private.public_key()

    def resolve_private_key(self, key_id):
        return KEY.private


def test_an_independent_library_accepts_what_we_sign():
    created = datetime.datetime.now(datetime.UTC)
    message = sign(REQUEST, KEY, int(created.timestamp()), nonce="n")
    verifier = independent.HTTPMessageVerifier(
        signature_algorithm=independent.algorithms.ED25519, key_resolver=Resolver()
    )
    [result] = verifier.verify(Request(message), max_age=datetime.timedelta(hours=1))
    assert "@target-uri" in str(result.covered_components)


def test_we_accept_what_an_independent_library_signs():
    request = Request(with_headers(SIGNED, signature=None, signature_input=None))
    signer = independent.HTTPMessageSigner(
        signature_algorithm=independent.algorithms.ED25519, key_resolver=Resolver()
    )
    signer.sign(
        request,
        key_id=KEY.kid,
        created=datetime.datetime.fromtimestamp(NOW, datetime.UTC),
        label="ocm",
        tag="ocm",
        use_existing_digest=True,
        covered_component_ids=(
            "@method",
            "@target-uri",
            "content-digest",
            "content-length",
            "date",
        ),
    )
    message = replace(REQUEST, headers=tuple(request.headers.items()))
    verify(read_signature(message, Profile.STRICT), message, PUBLIC, NOW)


def test_bodies_of_ours_are_not_in_the_repr():
    assert "secret" not in repr(replace(REQUEST, body=b"secret"))


@given(st.text(max_size=60), st.text(max_size=60))
def test_nothing_but_our_errors_comes_out_of_a_reader(inputs, values):
    headers = (("Signature-Input", inputs), ("Signature", values))
    with pytest.raises(BadSignature):
        read_signature(replace(REQUEST, headers=headers))


PIECES = st.sampled_from(
    ["ocm", "sig1", "=", "(", ")", '"@method"', '"@target-uri"', ";", ",", " ", "created", "keyid",
     ":AAAA:", "1", "1.5", "?1", "@5", "@99999999999999", '%"x"', '"x"', "tag", '"ocm"', "*", "\t"]
)  # fmt: skip


@given(st.lists(PIECES).map("".join), st.lists(PIECES).map("".join), st.sampled_from(Profile))
def test_structured_garbage_is_refused_as_such(inputs, values, profile):
    message = replace(REQUEST, headers=(("Signature-Input", inputs), ("Signature", values)))
    try:
        signature = read_signature(message, profile)
        check_unkeyed(signature, message, NOW)
        check_keyed(signature, PUBLIC)
    except BadSignature:
        pass
