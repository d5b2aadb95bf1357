"""The outcome of each proof of the matrix, for the test that looks after docs/interop.md."""

import pytest

OUTCOMES = pytest.StashKey[dict[tuple[str, str], set[str]]]()


def pytest_configure(config):
    config.stash[OUTCOMES] = {}


def pytest_collection_modifyitems(items):
    """The page is looked after when everything on it has been proven."""
    items.sort(key=lambda item: "test_matrix.py" in item.nodeid)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    mark = item.get_closest_marker("interop")
    if mark and (report.when == "call" or not report.passed):
        cell = mark.kwargs["peer"], mark.kwargs["cell"]
        item.config.stash[OUTCOMES].setdefault(cell, set()).add(report.outcome)
    return report


@pytest.fixture
def outcomes(request):
    """What became of the proofs in this run: (peer, cell) to passed, failed, skipped."""
    return request.config.stash[OUTCOMES]
