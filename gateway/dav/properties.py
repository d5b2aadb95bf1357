"""Which properties of the storage a client may see, and which it gets from us.

The storage describes its resources to their owner; what it says of permissions, principals and the
rest of the owner's tree is not for a recipient. Live properties therefore pass by allow-list, dead
ones of other namespaces as they are. Ours are what receivers read (Nextcloud, ownCloud, Reva):

    displayname             Reva takes the name from it, and many storages have none
    oc:permissions          letters; R reshare, G read, D delete, N rename, V move, W write,
                            C create file, K create folder. S and M would hide entries
    ocs:share-permissions   the same as a number: 1 read, 2 update, 4 create, 8 delete, 16 share
    ocm:share-permissions   the words of the draft, as JSON
    oc:id                   steady for a path in a share; only when asked for by name
    oc:size, getetag        of files where the storage sends none
    getetag                 of folders from their time, where the storage sends none

Quota passes at the root of a share that may be written to, as the storage has it: there its limit
is the recipient's, too. Elsewhere there is none, which receivers take for unknown.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from gateway.dav.documents import Asked, Requested
from gateway.dav.target import Target

DISPLAYNAME = "DAV: displayname"
ETAG = "DAV: getetag"
LENGTH = "DAV: getcontentlength"
MODIFIED = "DAV: getlastmodified"
TYPE = "DAV: getcontenttype"
RESOURCETYPE = "DAV: resourcetype"
LOCKDISCOVERY = "DAV: lockdiscovery"
COLLECTION = "DAV: collection"
PERMISSIONS = "http://owncloud.org/ns permissions"
SIZE = "http://owncloud.org/ns size"
ID = "http://owncloud.org/ns id"
OCS_PERMISSIONS = "http://open-collaboration-services.org/ns share-permissions"
OCM_PERMISSIONS = "http://open-cloud-mesh.org/ns share-permissions"

OURS = frozenset({PERMISSIONS, OCS_PERMISSIONS, OCM_PERMISSIONS})
"""Never the storage's own values."""

MADE = (DISPLAYNAME, SIZE, ETAG, ID)
"""What we can say of a resource where the storage does not."""
QUOTA = frozenset({"DAV: quota-available-bytes", "DAV: quota-used-bytes"})

_WORDS = re.compile(r'\[(?:\s*"[a-z-]{1,40}"\s*,?){0,20}\s*\]')
_WORD = re.compile(r'"([a-z-]+)"')

_LIVE = frozenset(
    {
        "DAV: childcount",
        "DAV: creationdate",
        "DAV: displayname",
        "DAV: getcontentlanguage",
        "DAV: getcontentlength",
        "DAV: getcontenttype",
        "DAV: getetag",
        "DAV: getlastmodified",
        "DAV: iscollection",
        "DAV: ishidden",
        "DAV: isreadonly",
        "DAV: lastaccessed",
        "DAV: lastmodified",
        "DAV: lockdiscovery",
        "DAV: name",
        "DAV: resourcetype",
        "DAV: supportedlock",
    }
)
_PASSING = frozenset({SIZE, "http://owncloud.org/ns checksums", "http://owncloud.org/ns fileid"})
_CLOSED_SPACES = frozenset(
    {
        "DAV:",
        "http://owncloud.org/ns",
        "http://nextcloud.org/ns",
        "http://nextcloud.com/ns",
        "http://open-collaboration-services.org/ns",
        "http://open-cloud-mesh.org/ns",
        "http://sabredav.org/ns",
        "http://calendarserver.org/ns/",
        "urn:ietf:params:xml:ns:caldav",
        "urn:ietf:params:xml:ns:carddav",
    }
)
_SETTABLE = frozenset(
    {
        "DAV: creationdate",
        "DAV: displayname",
        "DAV: getcontentlanguage",
        "DAV: getcontenttype",
        "DAV: getlastmodified",
        "DAV: lastmodified",
    }
)

_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"
_IMF_DATE = re.compile(
    r"\w{3}, [0-9]{2} (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [0-9]{4}"
    r" [0-9]{2}:[0-9]{2}:[0-9]{2} GMT"
)
"""RFC 9110 5.6.7. The library's parser takes as long as the rest of an entry."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one resource when its answer is put together.

    name: the last segment; at the root the Target's label. path: its segments at the storage.
    etag, length, modified: the storage's texts, empty without. letters: the permissions that
    another server reports, None without.
    """

    root: bool
    collection: bool
    name: str
    path: tuple[str, ...] = ()
    etag: str = ""
    length: str = ""
    modified: str = ""
    letters: str | None = None


def passes(name: str, target: Target) -> bool:
    """Whether the storage's value of that property may be seen."""
    if name in _LIVE or name in _PASSING:
        return True
    if name in QUOTA:
        return not target.trusted or (target.writable and not target.rel)
    return name.rpartition(" ")[0] not in _CLOSED_SPACES


def may_be_set(name: str) -> bool:
    """Whether a PROPPATCH may name it: dead properties, and the few live ones that are text."""
    return name in _SETTABLE or name.rpartition(" ")[0] not in _CLOSED_SPACES


def for_storage(requested: Requested, target: Target) -> Requested:
    """What to ask the storage for: what passes, and what we need to know for the rest."""
    if requested.asked is not Asked.NAMED:
        return requested
    names = [name for name in requested.names if passes(name, target)]
    if not target.trusted and any(name in OURS for name in requested.names):
        names.append(PERMISSIONS)
    if ETAG in names or SIZE in requested.names:
        names += [LENGTH, MODIFIED]
    return Requested(Asked.NAMED, tuple(dict.fromkeys([RESOURCETYPE, *names])))


def letters(target: Target, facts: Facts) -> str:
    """oc:permissions, never more than another server reports itself."""
    granted = "R" if target.reshare else ""
    granted += "G"
    if target.writable:
        granted += "" if facts.root else "DNV"
        granted += "CK" if facts.collection else "W"
    if facts.letters is None:
        return granted
    return "".join(letter for letter in granted if letter == "G" or letter in facts.letters)


def number(letters_: str) -> int:
    """ocs:share-permissions. Receivers compare it with the letters and rescan when they differ."""
    found = 1
    found |= 16 if "R" in letters_ else 0
    found |= 8 if "D" in letters_ else 0
    found |= 2 if "W" in letters_ else 0
    found |= 6 if "C" in letters_ and "K" in letters_ else 0
    return found


def words(letters_: str) -> str:
    """ocm:share-permissions."""
    found = ["read"]
    if set("WCK") & set(letters_):
        found.append("write")
    if "R" in letters_:
        found.append("share")
    return "[" + ",".join(f'"{word}"' for word in found) + "]"


def granted(words_: str, number_: str) -> frozenset[str] | None:
    """What ocm:share-permissions says in words, else ocs:share-permissions in a number; None for
    neither."""
    if _WORDS.fullmatch(words_):
        return frozenset(_WORD.findall(words_))
    if not (number_.isascii() and number_.isdigit() and len(number_) < 3):
        return None
    found, bits = {1: "read", 2: "write", 4: "write", 16: "share"}, int(number_)
    return frozenset(word for bit, word in found.items() if bits & bit)


def permissions(target: Target, facts: Facts) -> dict[str, str]:
    """The three ways to say what may be done."""
    found = letters(target, facts)
    return {
        PERMISSIONS: found,
        OCS_PERMISSIONS: str(number(found)),
        OCM_PERMISSIONS: words(found),
    }


def wanted(name: str, requested: Requested) -> bool:
    """Whether one of MADE is to be answered."""
    return name in requested.names if name == ID else requested.wants(name)


def made_from(name: str, *, collection: bool) -> frozenset[str]:
    """The storage's properties that one of MADE needs."""
    if name == ETAG:
        return frozenset({MODIFIED} if collection else {MODIFIED, LENGTH})
    return frozenset({LENGTH} if name == SIZE and not collection else ())


def ours(name: str, target: Target, facts: Facts) -> str:
    """The value of one of MADE, or nothing where it cannot be told."""
    if name == DISPLAYNAME:
        return facts.name
    if name == ID:
        return _id(target.scope, facts.path)
    if name == SIZE:
        return "" if facts.collection else facts.length
    if facts.root and facts.collection and target.freshness:
        return _root_etag(facts, target.freshness)
    return folder_etag(facts) if facts.collection else file_etag(facts)


def _id(scope: str, path: tuple[str, ...]) -> str:
    return hashlib.sha256("/".join((scope, *path)).encode()).hexdigest()[:32]


def file_etag(facts: Facts) -> str:
    """A steady ETag of a file from its time and length, as nginx makes them; empty if unknown."""
    try:
        return f'"{_seconds(facts.modified):x}-{int(facts.length):x}"'
    except (ValueError, TypeError, OverflowError):
        return ""


def folder_etag(facts: Facts) -> str:
    """The ETag of a folder from its time, as Apache makes them; empty if unknown."""
    try:
        return f'"{_seconds(facts.modified):x}"'
    except (ValueError, TypeError, OverflowError):
        return ""


def _seconds(modified: str) -> int:
    if _IMF_DATE.fullmatch(modified):
        month = _MONTHS.index(modified[8:11]) // 3 + 1
        year, day = int(modified[12:16]), int(modified[5:7])
        hour, minute, second = map(int, modified[17:25].split(":"))
        return int(datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp())
    return int(parsedate_to_datetime(modified).timestamp())


def _root_etag(facts: Facts, freshness: str) -> str:
    """The ETag of a root collection: the storage's, or its time, and what else makes it new."""
    text = f"{facts.etag or facts.modified}\0{freshness}"
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
