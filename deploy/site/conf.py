"""The site of the documentation: `make site`.

The pages stay where they are; the lists of docs/index.md are the navigation. A page that stands in
none of them is a warning of Sphinx, as is a link that leads nowhere, and `make site` takes none.
"""

import re
from typing import Any

from sphinx.application import Sphinx

project = "ocm-gateway"
author = "the authors of ocm-gateway"
extensions = ["myst_parser"]
include_patterns = ["*.md", "docs/*.md", "deploy/*.md", "deploy/**/*.md", "helm/**/*.md"]
exclude_patterns = [".venv", "build", ".servers", ".demo", "state"]
root_doc = "docs/index"
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]
html_theme = "furo"
html_extra_path = ["index.html"]
html_title = "ocm-gateway"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False

_ENTRY = re.compile(r"^- \[.+?\]\((\S+?)\.md\)", re.MULTILINE)


def _with_navigation(_: Sphinx, page: str, source: list[str]) -> None:
    if page != root_doc:
        return
    for part in source[0].split("\n## ")[1:]:
        pages = [_from_root(link) for link in _ENTRY.findall(part)]
        caption = part.partition("\n")[0]
        source[0] += "\n".join(
            ["\n```{toctree}", ":hidden:", f":caption: {caption}", *pages, "```\n"]
        )


def _from_root(link: str) -> str:
    return "/" + (link.removeprefix("../") if link.startswith("../") else f"docs/{link}")


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the navigation."""
    app.connect("source-read", _with_navigation)
    return {"parallel_read_safe": True}
