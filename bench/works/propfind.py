"""PROPFIND of a folder with 1,000 entries: hrefs rewritten, our properties merged in."""

import http.client
import re

from bench.field import ENTRIES, Field
from bench.programs import Program, Unusable
from bench.rounds import Row, Work, alternate, cpu_of, spread

_GOAL = 20.0
_TIMES = 10
_ASKED = b"""<?xml version="1.0"?>
<d:propfind xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns"><d:prop>
<d:getlastmodified/><d:getcontentlength/><d:resourcetype/><d:getetag/>
<oc:permissions/><oc:size/></d:prop></d:propfind>"""
_PERMISSIONS = re.compile(rb"<[\w:]*permissions[ >]")


def measure(field: Field, program: Program) -> float:
    """Seconds of CPU an entry."""
    times = 2 if field.quick else _TIMES

    def work() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", program.port, timeout=60)
        for _ in range(times):
            _list(field, connection)
        connection.close()

    return cpu_of(program, work) / times / ENTRIES


def rows(field: Field) -> list[Row]:
    figures = alternate(field, (field.gateway,), measure)
    measured = spread([figure * 1e6 for figure in figures["gateway"]])
    return [Row("PROPFIND of 1,000 entries", "us of CPU an entry", _GOAL, measured)]


def _list(field: Field, connection: http.client.HTTPConnection) -> None:
    headers = field.headers | {"Depth": "1", "Content-Type": "application/xml"}
    connection.request("PROPFIND", field.path("many/"), _ASKED, headers)
    answer = connection.getresponse()
    body = answer.read()
    hrefs = body.count(b">" + field.path("many/").encode())
    permissions = len(_PERMISSIONS.findall(body))
    if answer.status != 207 or (hrefs, permissions) != (ENTRIES + 1, ENTRIES + 1):
        raise Unusable(f"PROPFIND: {answer.status}, {hrefs} hrefs, {permissions} permissions")


WORK = Work("propfind", rows, measure)
