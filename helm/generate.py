"""What of the chart is made from other files: `make chart`.

`values.schema.json` comes from the defaults in `values.yaml` and, for `config`, from the gateway's
own configuration model, so that Helm refuses a misspelt setting. `README.md` lists the values with
the comments that stand above them.
"""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from gateway.config import Config

CHART = Path(__file__).parent / "ocm-gateway"
_FREE = {"config", "resources", "metrics.dashboard.labels", "secrets.files", "sidecar.container"}
"""Values whose members are not the chart's to name."""
_TYPES = {bool: "boolean", int: "integer", str: "string", list: "array"}


def values_schema() -> dict[str, Any]:
    """The JSON Schema of the chart's values."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = _inferred(values, ())
    settings = Config.model_json_schema()
    definitions = settings.pop("$defs")
    schema["properties"]["config"] = settings
    schema["properties"]["mode"] = {"enum": ["standalone", "sidecar"]}
    schema["properties"]["global"] = {"type": "object"}
    # What the chart decides for the pod need not be said.
    settings["required"] = [name for name in settings["required"] if name != "management"]
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$defs": definitions,
        **schema,
        "required": ["config"],
    }


def _inferred(value: Any, path: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(value, dict):
        return {"type": _TYPES[type(value)]}
    if not value or ".".join(path) in _FREE:
        return {"type": "object"}
    members = {name: _inferred(member, (*path, name)) for name, member in value.items()}
    return {"type": "object", "additionalProperties": False, "properties": members}


def readme() -> str:
    """The page about the chart."""
    rows = "\n".join(
        f"| `{name}` | {default} | {comment} |" for name, default, comment in _documented()
    )
    return (CHART / "README.md.in").read_text().replace("@VALUES@", rows)


def _documented() -> list[tuple[str, str, str]]:
    """Each top-level or nested value: name, default, and the comment above it."""
    found: list[tuple[str, str, str]] = []
    comment: list[str] = []
    parents: list[str] = []
    for line in (CHART / "values.yaml").read_text().splitlines():
        text = line.strip()
        if text.startswith("#"):
            comment.append(text.lstrip("# ").removeprefix("-- "))
            continue
        match = re.match(r"( *)([A-Za-z]+):(.*)", line)
        if match:
            depth = len(match[1]) // 2
            parents[depth:] = [match[2]]
            default = match[3].strip()
            if default or comment:
                shown = f"`{default}`" if default else ""
                found.append((".".join(parents), shown, " ".join(comment)))
        comment = []
    return found


def main() -> None:
    """Write both files."""
    (CHART / "values.schema.json").write_text(json.dumps(values_schema(), indent=2) + "\n")
    (CHART / "README.md").write_text(readme())


if __name__ == "__main__":
    main()
