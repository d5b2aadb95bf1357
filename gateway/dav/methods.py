"""Which WebDAV methods there are, what each needs, and the moves that would destroy something.

Everything that is neither listed for reading nor for writing is refused: TRACE echoes the internal
credential, POST is a read on some storages, BIND grafts foreign trees, REPORT answers for the whole
tree of the owner.
"""

from gateway.dav.hrefs import Segments, fold
from gateway.dav.target import Target, is_aside
from gateway.errors import Malformed, NotFound, Refused, Unsupported, WrongMethod

READING = ("OPTIONS", "GET", "HEAD", "PROPFIND")
LOCKING = ("LOCK", "UNLOCK")
WRITING = ("PUT", "DELETE", "MKCOL", "MOVE", "COPY", "PROPPATCH", *LOCKING)
MAKING = ("PUT", "MKCOL", "LOCK")
"""What may make something where nothing was."""
ON_ONE_FILE = ("PUT", "PROPPATCH", *LOCKING)
"""What may be written where the share is one file: not its name, and nothing beside it."""

KNOWN = frozenset(
    {"ACL", "BASELINE-CONTROL", "BIND", "CHECKIN", "CHECKOUT", "CONNECT", "LABEL", "LINK", "MERGE"}
    | {"MKACTIVITY", "MKCALENDAR", "MKREDIRECTREF", "MKWORKSPACE", "ORDERPATCH", "PATCH", "POST"}
    | {"PURGE", "QUERY", "REBIND", "REPORT", "SEARCH", "TRACE", "UNBIND", "UNCHECKOUT", "UNLINK"}
    | {"UPDATE", "UPDATEREDIRECTREF", "VERSION-CONTROL"}
)
"""Methods that exist and that no resource here has (405); the rest is not known at all (501)."""

INFINITY = "infinity"
_DEPTHS = {
    "PROPFIND": ("0", "1", INFINITY),
    "COPY": ("0", INFINITY),
    "LOCK": ("0", INFINITY),
    "MOVE": (INFINITY,),
    "DELETE": (INFINITY,),
}
_DEVICES = frozenset(
    {"CON", "PRN", "AUX", "NUL"} | {f"{port}{n}" for port in ("COM", "LPT") for n in range(1, 10)}
)


def allow(target: Target) -> tuple[str, ...]:
    """What a client may do here, for Allow."""
    if not target.writable:
        return READING
    methods = READING + (ON_ONE_FILE if target.single_file else WRITING)
    return tuple(method for method in methods if target.profile.locks or method not in LOCKING)


def compliance(target: Target) -> str:
    """The DAV header (RFC 4918 10.1): class 2 where the storage locks."""
    return "1, 2" if target.profile.locks else "1"


def admit(method: str, target: Target) -> None:
    """Refuse what is not to be done to this Target, before the storage hears of it.

    Raises Unsupported, WrongMethod, Refused, NotFound or Malformed.
    """
    if method not in READING and method not in WRITING:
        if method in KNOWN:
            raise WrongMethod(f"{method} is not offered here", allow=allow(target))
        raise Unsupported(f"{method} is not a method of this server")
    if method in LOCKING and not target.profile.locks:
        raise WrongMethod("the storage does not lock", allow=allow(target))
    if method in WRITING and not target.writable:
        raise Refused("the share is read-only")
    if target.single_file:
        _admit_to_one_file(method, target)
    elif not target.rel:
        _admit_to_root(method, target)
    if any(map(is_aside, target.rel)):
        raise NotFound("there is no such file or folder")
    admit_names(target.rel, target)


def _admit_to_one_file(method: str, target: Target) -> None:
    # Some receivers mount one file as a folder and append its name, or any name, to read it.
    if len(target.rel) > 1:
        raise NotFound("the share is one file")
    if method not in WRITING:
        return
    if method not in ON_ONE_FILE:
        raise Refused(f"the share is one file, so there is no {method}")
    if target.rel and target.rel != target.root[-1:]:
        raise Refused("the share is one file, and this is not its name")


def _admit_to_root(method: str, target: Target) -> None:
    if method in ("DELETE", "MOVE"):
        raise Refused("the root of a share can be neither deleted nor moved")
    if method == "COPY":
        raise Refused("the root of a share cannot be copied into itself")
    if method in ("PUT", "MKCOL"):
        raise WrongMethod("the root of a share is a folder", allow=allow(target))


def admit_names(names: Segments, target: Target) -> None:
    """Refuse names that mean something else to a storage on Windows, or that cannot be listed.

    What another server lists is not shown with a backslash in its name (`hrefs`), so nothing is
    written there under one either. Raises Malformed.
    """
    if not target.trusted and any("\\" in name for name in names):
        raise Malformed("a name at another server cannot have a backslash")
    if target.profile.windows_names:
        for name in names:
            if _odd_on_windows(name):
                raise Malformed(f"the storage cannot have a file called {name!r}")


def _odd_on_windows(name: str) -> bool:
    stem = name.partition(".")[0].rstrip().upper()
    return bool(set('\\:*?"<>|') & set(name)) or name.endswith((".", " ")) or stem in _DEVICES


def admit_query(method: str, query: str) -> None:
    """Queries are never forwarded: ignored on reads, Malformed on writes."""
    if query and method in WRITING:
        raise Malformed("the address has a query")


def depth(method: str, value: str | None) -> str:
    """The Depth to act on (RFC 4918 10.2); absent means infinity. Raises Malformed."""
    allowed = _DEPTHS.get(method, ("0", "1", INFINITY))
    found = INFINITY if value is None else value.strip().lower()
    if found not in allowed:
        raise Malformed(f"Depth is none of {', '.join(allowed)}")
    return found


def overwrite(value: str | None) -> bool:
    """Overwrite (RFC 4918 10.6); absent means T. Raises Malformed: some take junk for T."""
    found = "T" if value is None else value.strip().upper()
    if found not in ("T", "F"):
        raise Malformed("Overwrite is neither T nor F")
    return found == "T"


def admit_destination(target: Target, destination: Segments) -> None:
    """Refuse a MOVE or COPY onto itself, an ancestor, a descendant or the root. Raises Refused.

    Storages destroy data when asked for these: the parent folder, the whole tree, or the file's
    content. Never 409: some clients answer that by making parents and trying again, for ever.
    """
    source = fold(target.rel, target.profile)
    wanted = fold(destination, target.profile)
    if not wanted:
        raise Refused("the root of a share cannot be overwritten")
    if wanted == source:
        raise Refused("source and destination are the same")
    if wanted == source[: len(wanted)]:
        raise Refused("the destination contains the source")
    if source == wanted[: len(source)]:
        raise Refused("the destination is inside the source")
    if any(map(is_aside, destination)):
        raise Refused("the name is of an upload")
    admit_names(destination, target)
    if target.trusted and not exact(destination, target):
        raise Refused("the storage cannot be told to move to a name with ; ? or # in it")


def exact(path: Segments, target: Target) -> bool:
    """Whether the storage understands that path in a Destination."""
    return target.profile.exact_destination or not any(set(";?#") & set(name) for name in path)
