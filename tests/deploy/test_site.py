"""The documentation as a site: every page is in its navigation, and no link is dead."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def made(folder, source=ROOT):
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-E", "-c"]
    return subprocess.run(
        [*command, str(ROOT / "deploy/site"), str(source), str(folder)],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    done = made(folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_there(site):
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("helm/**/*.md")]
    for page in pages:
        assert (site / page.relative_to(ROOT).with_suffix(".html")).exists(), page
    assert "docs/index.html" in (site / "index.html").read_text()


def test_no_page_asks_another_site_for_anything(site):
    loaded = re.compile(
        r"""<(?:script|img|iframe|link rel="stylesheet")[^>]*?(?:src|href)="(//|http)"""
    )
    for page in site.rglob("*.html"):
        assert not loaded.search(page.read_text()), page


@pytest.mark.parametrize("fault", ["[away](nowhere.md)", "[away](policy.md#nothing)"])
def test_a_dead_link_is_a_fault(tmp_path, fault):
    docs = tmp_path / "source/docs"
    docs.mkdir(parents=True)
    (docs / "index.md").write_text("# A\n\n## B\n\n- [Policy](policy.md)\n")
    (docs / "policy.md").write_text(f"# Policy\n\n{fault}\n")
    done = made(tmp_path / "site", docs.parent)
    assert done.returncode != 0
    assert "policy.md" in done.stderr


def test_a_page_in_no_list_is_a_fault(tmp_path):
    docs = tmp_path / "source/docs"
    docs.mkdir(parents=True)
    (docs / "index.md").write_text("# A\n")
    (docs / "orphan.md").write_text("# Orphan\n")
    done = made(tmp_path / "site", docs.parent)
    assert done.returncode != 0
    assert "orphan.md" in done.stderr
