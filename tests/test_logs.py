"""What the log may hold."""

import subprocess
import sys

import pytest

SCRIPT = """
from gateway import logs
logs.configure("info", {form!r})
def inner(shared_secret):
    raise ValueError("it broke")
try:
    inner("s3cr" + "3t-value")
except ValueError as error:
    logs.event("fault", level="error", exc_info=error)
"""


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_traceback_shows_no_local_variables(form):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(form=form)], capture_output=True, text=True, check=True
    )
    assert "it broke" in done.stderr
    assert "s3cr3t-value" not in done.stderr
