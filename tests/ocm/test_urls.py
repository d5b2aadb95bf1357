import pytest

from gateway.errors import Malformed
from gateway.ocm import urls


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("https://A.example/x", "a.example"),
        ("https://a.example:443", "a.example"),
        ("http://a.example/", "a.example:80"),
        ("http://[::1]", "[::1]:80"),
        ("http://[::1]:8080/", "[::1]:8080"),
    ],
)
def test_a_url_names_a_server(url, authority):
    assert urls.authority_of(url) == authority
    assert urls.absolute(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a.example",
        "https://",
        "https://u@a.example",
        "https://a\tb/",
        "https://a.example/\u00e9",
    ],
)
def test_what_is_no_url_is_refused(url):
    with pytest.raises(Malformed):
        urls.absolute(url)
