"""The bill of materials, `make sbom`: what is installed, as CycloneDX 1.6, from the lock file.

The same lock makes the same file, byte for byte. The base image of a container is not in it.
"""

import json
import re
import sys
import tomllib
import uuid
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
_ENTRY = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)(?:\s*;\s*([^\\]+?))?\s*\\?$")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def bill(lock: str, project: dict[str, Any], version: str) -> dict[str, Any]:
    """The document of a lock file and a pyproject's `project` table."""
    components = list(_components(lock))
    own = f"pkg:pypi/{project['name']}@{version}"
    direct = {_plain(re.split(r"[<>=\[ ;!~]", one)[0]) for one in project["dependencies"]}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": uuid.uuid5(uuid.NAMESPACE_URL, own + lock).urn,
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": project["name"],
                "version": version,
                "description": project["description"],
                "licenses": [{"license": {"id": project["license"]}}],
                "purl": own,
            }
        },
        "components": components,
        "dependencies": [
            {
                "ref": own,
                "dependsOn": [one["bom-ref"] for one in components if one["name"] in direct],
            }
        ],
    }


def _components(lock: str) -> Any:
    for block in re.split(r"\n(?=\S)", lock.strip()):
        found = _ENTRY.match(block.splitlines()[0])
        if found is None:
            raise SystemExit(f"the lock has a line that is no package: {block.splitlines()[0]}")
        name, version, marker = _plain(found[1]), found[2], found[3]
        purl = f"pkg:pypi/{name}@{version}"
        hashes = [{"alg": "SHA-256", "content": one} for one in _HASH.findall(block)]
        yield {
            "type": "library",
            "bom-ref": purl,
            "name": name,
            "version": version,
            "purl": purl,
            # One for each file that may be installed, by platform.
            "externalReferences": [{"type": "distribution", "url": purl, "hashes": hashes}],
            **({"properties": [{"name": "python:marker", "value": marker}]} if marker else {}),
        }


def _plain(name: str) -> str:
    """A package's name as PEP 503 spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> None:
    """Write the document to the file that is named, else to standard output."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    from gateway import __version__

    text = json.dumps(
        bill((ROOT / "requirements.lock").read_text(), project, __version__), indent=2
    )
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text + "\n")
    else:
        print(text)


if __name__ == "__main__":
    main()
