"""Whatever bytes come, a parser returns or raises an error of ours: soon, and within little memory.

A few hundred inputs each in every run; `make fuzz` goes on for `MINUTES=10`, and says what it did.
"""

import contextlib
import os
import time
import tracemalloc

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gateway.errors import GatewayError
from tests.fuzz.parsers import PARSERS

MINUTES = float(os.environ.get("OCM_FUZZ_MINUTES", "0"))
CPU_SECONDS = 5
MOST_BYTES = 64 << 20
HOSTILE = 60_000
TOKENS = (
    *(bytes([n]) for n in b"\x00\t\n\r \"'()*+,-./:;<=>?@[\\]^_{|}~%\xff"),
    *(b"%00", b"%2e%2e", b"%2F", b"..", b"//", b"\r\n", b"]]>", b"<!DOCTYPE a [", b"&#0;", b"&x;"),
    *(b"<!--", b"<![CDATA[", b"xmlns:D=", b"\\ud800", b"\\u0000", b"1e999", b"-0", b"NaN", b"null"),
    *(b"18446744073709551616", b"0" * 100, b"9" * 400, b"\xf0\x9f\x92\xa9", b"\xc3\x28", b"xn--"),
    *(
        b"[::1]",
        b"@@",
        b":eA==:",
        b"?1",
        b"@1",
        b'";req',
        b"Content-Length: 3\r\n",
        b"ffffffff\r\n",
    ),
)


NESTS = (b"[", b'{"a":', b"<a>", b"a=1,", b"(", b"a@", b"a;b", b"%2e/", b"\t")


@st.composite
def nearly_right(draw, seeds):
    """A good input with some of it cut, doubled, swapped or replaced."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(data)))
        to = min(len(data), at + draw(st.integers(0, 12)))
        match draw(st.integers(0, 4)):
            case 0:
                del data[at:to]
            case 1:
                data[at:to] = draw(st.sampled_from(TOKENS))
            case 2:
                data[at:at] = data[at:to] * draw(st.integers(1, 30))
            case 3:
                data[at:to] = draw(st.binary(max_size=8))
            case 4:
                data[at:at] = draw(st.sampled_from(seeds))[: draw(st.integers(0, 200))]
    return bytes(data)


def inputs(parser):
    return st.one_of(nearly_right(parser.seeds), st.binary(max_size=300))


def check(parser, data):
    """It returns or raises an error of ours, and no answer of it takes long."""
    began = time.process_time()
    with contextlib.suppress(GatewayError):
        parser.read(data)
    took = time.process_time() - began
    assert took < CPU_SECONDS, f"{parser.name}: {took:.1f} s for {data[:200]!r}"


def run(parser, examples):
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=MINUTES == 0,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    @given(inputs(parser))
    def fuzz(data):
        check(parser, data)

    fuzz()


@pytest.mark.parametrize("parser", PARSERS, ids=lambda one: one.name)
def test_no_input_makes_a_parser_crash(parser):
    run(parser, 60)


@pytest.mark.parametrize("parser", PARSERS, ids=lambda one: one.name)
def test_the_seeds_are_nearly_right(parser):
    """An input that is refused at its first byte would try nothing."""
    taken = 0
    for seed in parser.seeds:
        try:
            parser.read(seed)
            taken += 1
        except GatewayError:
            continue
    assert taken or parser.name in {"directory", "signature", "cavage"}


@pytest.mark.timeout(120 + 600 * MINUTES)
@pytest.mark.parametrize("parser", PARSERS, ids=lambda one: one.name)
def test_no_long_input_takes_long_or_much_memory(parser):
    seed = parser.seeds[0]
    for token in (*NESTS, *(TOKENS if MINUTES else ())):
        for at in (0, len(seed) // 2, len(seed)):
            check(parser, seed[:at] + token * (HOSTILE // len(token)) + seed[at:])
    tracemalloc.start()
    try:
        for token in NESTS[:4]:
            check(parser, seed + token * (HOSTILE // len(token)))
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()


@pytest.mark.skipif(not MINUTES, reason="the long run is opt-in: make fuzz")
@pytest.mark.timeout(0)
def test_the_long_run():
    until = time.monotonic() + MINUTES * 60
    inputs = 0
    while time.monotonic() < until:
        for parser in PARSERS:
            run(parser, 500)
            inputs += 500
    print(f"{inputs} inputs to {len(PARSERS)} parsers in {MINUTES:g} minutes: no fault")
