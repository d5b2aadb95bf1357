"""A thousand names that file systems allow and that clients, proxies and storages stumble over."""

import hashlib
import os
import unicodedata
from itertools import islice, product
from pathlib import Path
from urllib.parse import quote

PIECES = (
    *(" ", "%", "%25", "%2F", "%41", "%zz", "#", "?", "+", ";", "'", '"', "&", "&amp;", "<", ">"),
    *("!", "$", "*", "(", ")", "=", ",", ":", "@", "[", "]", "{", "}", "|", "\\", "^", "`", "~"),
    *("...", "é", unicodedata.normalize("NFD", "é"), "ß", "Ω", "ı", "日本語", "中文", "한글"),
    *("🙂", "👩\u200d👩\u200d👧", "\u00a0", "\u202e", "]]>", "<!--", "?x=1", ";b=1"),
)
WHOLE = (
    *("100%", "a%2Fb", "%", "#", "?", "+", "~", "-", "&", "CON", "nul.txt", "CaSe", "case"),
    *(" both ", "trailing ", " leading", "trailing.", ".hidden", ".htaccess.d", "a..b", "..a"),
    *("n" * 200, "n" * 255, "日" * 85, "ü" * 100 + "%", "🙂" * 60, "%25" * 60, " " * 200),
)


def odd_names(count: int) -> list[str]:
    """So many different names, the same each time; no more than 255 bytes each."""
    made = (
        pattern.format(one, other)
        for pattern, one, other in product(("a{}b{}", "{}{}z", ".h{}{}"), PIECES, PIECES)
    )
    # Every 7th, so that few of them already show all pieces.
    return list(dict.fromkeys([*WHOLE, *islice(made, 0, None, 7)]))[:count]


def plant(root: Path, names: list[str]) -> None:
    """A tree with a file of each name, 25 to a folder that has an odd name, too."""
    for at, name in enumerate(names):
        folder = root / names[at // 25]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content(name))


def content(name: str) -> bytes:
    """What is in the file of that name: empty for some, up to 8 KiB for others."""
    digest = hashlib.sha256(name.encode()).digest()
    return digest * (digest[0] if digest[1] > 20 else 0)


def files(root: Path) -> dict[str, str]:
    """The tree below `root`: paths byte for byte (as escapes), and what is in the files."""
    return {
        ascii(os.path.relpath(path, root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


def escaped(name: str) -> str:
    """A name as a path segment of a URL."""
    return quote(name, safe="")
