"""What clients read of a resource that a plain storage does not say."""

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from gateway.dav import reading
from gateway.dav.properties import Facts, file_etag, folder_etag
from gateway.dav.target import Profile

D = "{DAV:}"
OC = "{http://owncloud.org/ns}"
NAMES = (
    b'<propfind xmlns="DAV:"><prop xmlns:o="http://owncloud.org/ns"><o:id/><o:size/><getetag/>'
    b"<quota-available-bytes/><quota-used-bytes/><o:owner-id/></prop></propfind>"
)


async def listed(client, body=NAMES, path="/", depth="1"):
    _, _, answer = await client.ask("PROPFIND", path, body, Depth=depth)
    return {
        response.findtext(D + "href").removeprefix("/remote/dav/ocm/share-1"): {
            stat.findtext(D + "status")[9:12]: {
                prop.tag: prop.text for prop in stat.find(D + "prop")
            }
            for stat in response.iter(D + "propstat")
        }
        for response in ET.fromstring(answer)
    }


async def test_ids_are_steady_and_of_one_share(client):
    first, again = await listed(client), await listed(client)
    ids = {path: stats["200"][OC + "id"] for path, stats in first.items()}
    assert ids == {path: stats["200"][OC + "id"] for path, stats in again.items()}
    assert len(set(ids.values())) == 3
    alone = await listed(client, path="/a%20b.txt", depth="0")
    assert alone["/a%20b.txt"]["200"][OC + "id"] == ids["/a%20b.txt"]
    client.target = replace(client.target, scope="share-2")
    assert not set(ids.values()) & {s["200"][OC + "id"] for s in (await listed(client)).values()}


async def test_ids_are_told_only_to_those_who_ask(client):
    everything = await listed(client, b"")
    assert all(OC + "id" not in stats["200"] for stats in everything.values())
    assert all(OC + "permissions" in stats["200"] for stats in everything.values())


async def test_quota_is_that_of_the_root_for_those_who_may_write(client):
    found = await listed(client)
    assert int(found["/"]["200"][D + "quota-available-bytes"]) > 0
    for path in ("/sub/", "/a%20b.txt"):
        assert D + "quota-available-bytes" in found[path]["404"]
    assert D + "quota-available-bytes" in (await listed(client, path="/sub/"))["/sub/"]["404"]
    client.target = replace(client.target, writable=False)
    assert D + "quota-available-bytes" in (await listed(client))["/"]["404"]


async def test_sizes_are_of_files_and_unknown_of_folders(client):
    found = await listed(client)
    assert found["/a%20b.txt"]["200"][OC + "size"] == "5"
    assert OC + "size" in found["/sub/"]["404"]
    assert OC + "owner-id" in found["/"]["404"]


async def test_every_folder_has_an_etag_and_the_root_s_is_new_every_while(client, monkeypatch):
    monkeypatch.setattr(reading, "time", lambda: 1_000_000)
    first = await listed(client)
    monkeypatch.setattr(reading, "time", lambda: 1_000_000 + reading.FRESH_SECONDS)
    later = await listed(client)
    assert first["/"]["200"][D + "getetag"] != later["/"]["200"][D + "getetag"]
    for path in ("/sub/", "/a%20b.txt"):
        assert first[path]["200"][D + "getetag"] == later[path]["200"][D + "getetag"]


@pytest.mark.parametrize(
    "changes", [{"trusted": False}, {"profile": Profile(etag_propagates=True)}]
)
async def test_an_etag_that_knows_what_is_deeper_is_left_alone(client, monkeypatch, changes):
    client.target = replace(client.target, **changes)
    monkeypatch.setattr(reading, "time", lambda: 1_000_000)
    first = await listed(client)
    monkeypatch.setattr(reading, "time", lambda: 2_000_000)
    later = await listed(client)
    assert first["/"]["200"][D + "getetag"] == later["/"]["200"][D + "getetag"]


def test_dates_of_every_kind_make_the_same_etag():
    dates = (
        "Sat, 21 Nov 2026 09:52:09 GMT",
        "Saturday, 21-Nov-26 09:52:09 GMT",
        "Sat, 21 Nov 2026 10:52:09 +0100",
    )
    facts = [Facts(False, False, "a", length="16", modified=date) for date in dates]
    assert {file_etag(each) for each in facts} == {'"6b0169c9-10"'}
    assert {folder_etag(each) for each in facts} == {'"6b0169c9"'}


@pytest.mark.parametrize(
    "date", ["", "x", "Sat, 41 Nov 2026 09:52:09 GMT", "Sat, 21 Nov 2026 99:52:09 GMT", "0" * 99]
)
def test_a_date_that_is_none_makes_no_etag(date):
    assert not folder_etag(Facts(False, True, "a", modified=date))
