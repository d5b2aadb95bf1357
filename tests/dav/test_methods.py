import pytest

from gateway.dav import methods
from gateway.dav.target import Profile, Target
from gateway.errors import Malformed, NotFound, Refused, Unsupported, WrongMethod


def target(*rel, **changes):
    given = {
        "base": "http://s/dav",
        "root": ("shared",),
        "rel": rel,
        "mount": ("m",),
        "origin": "https://gw",
        "authorization": "",
        "scope": "",
        "writable": True,
    }
    return Target(**(given | changes))


@pytest.mark.parametrize("method", methods.WRITING)
def test_a_read_only_share_takes_no_write(method):
    with pytest.raises(Refused):
        methods.admit(method, target("a", writable=False))


@pytest.mark.parametrize("method", methods.READING)
def test_every_share_can_be_read(method):
    methods.admit(method, target("a", writable=False))


@pytest.mark.parametrize("method", ["TRACE", "POST", "PATCH", "REPORT", "SEARCH", "BIND", "ACL"])
def test_known_methods_that_would_leak_are_405(method):
    with pytest.raises(WrongMethod) as caught:
        methods.admit(method, target("a"))
    assert "GET" in caught.value.allow


@pytest.mark.conforms("OCM-RFC4918-10")
@pytest.mark.parametrize("method", ["BREW", "get", ""])
def test_unknown_methods_are_501(method):
    with pytest.raises(Unsupported):
        methods.admit(method, target("a"))


@pytest.mark.conforms("OCM-RFC4918-11")
@pytest.mark.parametrize(
    ("method", "error"),
    [
        ("DELETE", Refused),
        ("MOVE", Refused),
        ("COPY", Refused),
        ("PUT", WrongMethod),
        ("MKCOL", WrongMethod),
    ],
)
def test_the_root_of_a_share_is_protected(method, error):
    with pytest.raises(error):
        methods.admit(method, target())


@pytest.mark.parametrize("method", ["DELETE", "MOVE", "COPY", "MKCOL"])
def test_one_file_keeps_its_name_and_has_no_siblings(method):
    with pytest.raises(Refused):
        methods.admit(method, target(single_file=True))


def test_one_file_can_be_read_under_any_single_name_and_written_under_its_own():
    methods.admit("GET", target("other", single_file=True))
    methods.admit("PUT", target("shared", single_file=True))
    with pytest.raises(Refused):
        methods.admit("PUT", target("other", single_file=True))
    with pytest.raises(NotFound):
        methods.admit("GET", target("a", "b", single_file=True))


@pytest.mark.parametrize("name", ["a:b", "a\\b", "a.", "a ", "...", "CON", "nul.txt", "com1"])
def test_names_that_mean_something_else_on_windows_are_refused(name):
    with pytest.raises(Malformed):
        methods.admit("PUT", target(name, profile=Profile(windows_names=True)))
    methods.admit("PUT", target(name))


def test_locking_is_not_offered_where_the_storage_does_not_lock():
    without = target("a", profile=Profile(locks=False))
    assert "LOCK" not in methods.allow(without)
    assert methods.compliance(without) == "1"
    with pytest.raises(WrongMethod):
        methods.admit("LOCK", without)


def test_allow_is_cut_down_to_the_permissions():
    assert methods.allow(target("a", writable=False)) == methods.READING
    assert "DELETE" not in methods.allow(target(single_file=True))
    assert "DELETE" in methods.allow(target("a"))


@pytest.mark.parametrize(
    ("method", "value", "depth"),
    [
        ("PROPFIND", None, "infinity"),
        ("PROPFIND", "1", "1"),
        ("PROPFIND", "Infinity", "infinity"),
        ("COPY", "0", "0"),
        ("MOVE", None, "infinity"),
        ("LOCK", "0", "0"),
    ],
)
def test_depth(method, value, depth):
    assert methods.depth(method, value) == depth


@pytest.mark.conforms("OCM-RFC4918-09")
@pytest.mark.parametrize(
    ("method", "value"),
    [
        ("PROPFIND", "2"),
        ("PROPFIND", "0,1"),
        ("DELETE", "0"),
        ("MOVE", "0"),
        ("COPY", "1"),
        ("LOCK", "1"),
    ],
)
def test_a_depth_that_the_method_does_not_have_is_refused(method, value):
    with pytest.raises(Malformed):
        methods.depth(method, value)


@pytest.mark.parametrize(
    ("value", "wanted"), [(None, True), ("T", True), ("t", True), ("f", False)]
)
def test_overwrite(value, wanted):
    assert methods.overwrite(value) is wanted


def test_an_overwrite_that_is_neither_is_refused():
    with pytest.raises(Malformed):
        methods.overwrite("x")


@pytest.mark.parametrize(
    "destination",
    [("a", "b"), ("a",), (), ("a", "b", "c"), ("a", "b", "c", "d")],
    ids=["itself", "ancestor", "root", "child", "grandchild"],
)
def test_moves_that_destroy_data_are_refused_and_never_with_409(destination):
    with pytest.raises(Refused) as caught:
        methods.admit_destination(target("a", "b"), destination)
    assert caught.value.status == 403


def test_a_sibling_whose_name_begins_alike_is_a_fine_destination():
    methods.admit_destination(target("a", "b"), ("a", "bb"))
    methods.admit_destination(target("a", "b"), ("b",))


def test_names_that_the_storage_takes_for_the_same_are_the_same():
    folded = Profile(fold_case=True, fold_unicode=True)
    for wanted in ("CAF\u00c9", "cafe\u0301"):
        with pytest.raises(Refused):
            methods.admit_destination(target("caf\u00e9", profile=folded), (wanted,))


def test_a_query_is_ignored_on_reads_and_refused_on_writes():
    methods.admit_query("GET", "x=1")
    with pytest.raises(Malformed):
        methods.admit_query("PUT", "x=1")


@pytest.mark.parametrize("name", [";x", "a;b", "a?b", "a#b"])
def test_a_destination_that_a_storage_may_cut_short_is_refused(name):
    with pytest.raises(Refused):
        methods.admit_destination(target("a"), ("sub", name))
    exact = target("a", profile=Profile(exact_destination=True))
    methods.admit_destination(exact, ("sub", name))
