"""Which addresses the way out of the house leads to (RFC 6890, and what hides in IPv6)."""

import pytest

from gateway.addresses import routable
from gateway.errors import Malformed
from gateway.ocm.address import authority

PUBLIC = (
    "8.8.8.8",
    "1.1.1.1",
    "193.0.6.139",
    "2606:4700::1111",
    "2a00:1450:4001::1",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2002:808:808::1",
)
PRIVATE = (
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.254", "127.0.0.1", "127.255.0.1",
    "169.254.169.254", "169.254.0.1", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.8",
    "192.0.0.170", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.19.255.255",
    "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
)  # fmt: skip
PRIVATE_SIX = (
    "::", "::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "ff0e::1",
    "2001:db8::1", "3fff::1", "100::1", "100:0:0:1::1", "2001::1", "2001:0:4136:e378::1",
    "2001:2::1", "2001:10::1", "2001:20::1", "5f00::1", "64:ff9b:1::1", "64:ff9b:1::8.8.8.8",
    "::8.8.8.8", "::127.0.0.1", "::ffff:0:127.0.0.1", "::ffff:0:8.8.8.8", "fe80::1%eth0",
    "2606:4700::1111%1",
)  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_the_public_internet_is_reached(address):
    assert routable(address)


@pytest.mark.parametrize("address", PRIVATE + PRIVATE_SIX)
def test_what_is_not_the_public_internet_is_not_reached(address):
    assert not routable(address)


@pytest.mark.parametrize("address", PRIVATE)
@pytest.mark.parametrize("wrapping", ["::ffff:{}", "64:ff9b::{}", "::{}", "64:ff9b:1::{}"])
def test_a_private_address_hides_in_no_other(address, wrapping):
    assert not routable(wrapping.format(address))


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_hides_in_no_6to4(address):
    a, b, c, d = map(int, address.split("."))
    assert not routable(f"2002:{a:02x}{b:02x}:{c:02x}{d:02x}::1")


@pytest.mark.parametrize(
    "text", ["", "localhost", "2130706433", "0x7f.1", "127.1", "::1 ", "[::1]"]
)
def test_what_is_no_address_is_not_reached(text):
    assert not routable(text)


@pytest.mark.parametrize(
    "host",
    ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0x7f.0.0.1", "[::1%25lo]", "127.0.0.1.5"],
)
def test_a_server_is_not_named_by_an_address_in_disguise(host):
    with pytest.raises(Malformed):
        authority(host)
