import pytest

from gateway.errors import BackendFailed
from gateway.upstream.origin import Origin, split


@pytest.mark.parametrize(
    ("url", "origin", "target"),
    [
        ("http://h/a%2Fb/%7e;x?q=%zz", Origin("http", "h", 80, "h"), "/a%2Fb/%7e;x?q=%zz"),
        ("http://h", Origin("http", "h", 80, "h"), "/"),
        ("HTTPS://Example.ORG:443/", Origin("https", "example.org", 443, "example.org"), "/"),
        ("https://h:8443/a//b/..", Origin("https", "h", 8443, "h:8443"), "/a//b/.."),
        ("http://[::1]:80/", Origin("http", "::1", 80, "[::1]"), "/"),
        ("http://[::1]:81/?x@y:z", Origin("http", "::1", 81, "[::1]:81"), "/?x@y:z"),
    ],
)
def test_a_url_is_split_and_not_changed(url, origin, target):
    assert split(url) == (origin, target)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/a",
        "ftp://h/",
        "http:///a",
        "http://user:secret@h/",
        "http://h:0/",
        "http://h:65536/",
        "http://h:x/",
        "http://h/a#b",
        "http://h?a",
        "http://h h/",
        "http://h\r\n/",
        "http://[::1/",
        "http://[::1%25eth0]/",
    ],
)
def test_what_is_no_address_of_a_storage_is_refused(url):
    with pytest.raises(BackendFailed) as caught:
        split(url)
    assert "secret" not in caught.value.explanation
