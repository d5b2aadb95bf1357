"""How pages show what is not made for reading."""

import pytest

from gateway.web.shown import agent

MOZILLA = "Mozilla/5.0 "
CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (MOZILLA + f"(X11; Linux x86_64) {CHROME}", "Chrome, Linux"),
        (MOZILLA + f"(Windows NT 10.0; Win64; x64) {CHROME} Edg/141.0.0.0", "Edge, Windows"),
        (MOZILLA + "(Android 15; Mobile; rv:143.0) Gecko/143.0 Firefox/143.0", "Firefox, Android"),
        (
            MOZILLA + "(iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 "
            "(KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
            "Safari, iOS",
        ),
        ("curl/8.5.0", "curl/8.5.0"),
        ("<b>Linux</b>", "<b>Linux</b>"),
        ("", ""),
    ],
)
def test_a_browser_is_named_in_two_words_and_others_as_they_name_themselves(text, shown):
    assert agent(text) == shown
