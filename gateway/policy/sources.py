"""Where the rules come from: the configuration, files beside it, lists in the database, a bundle;
and the groups that they name from there and from `users.groups`.

They are taken in together or not at all.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway import config
from gateway.policy.doorkeeper import InForce
from gateway.policy.facts import Outcome
from gateway.policy.language import (
    BadPolicy,
    Document,
    Source,
    build,
    groups_of,
    read_data,
    read_text,
)
from gateway.policy.rules import Policy

_ENDINGS = (".yaml", ".yml", ".json")
Mark = tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Written:
    """The rules that stand in files: those that hold, and those to rehearse."""

    default: Outcome
    sources: tuple[Source, ...]
    shadow: tuple[Source, ...] | None = None
    shadow_default: Outcome = Outcome.DENY


def read(settings: config.Policy, groups: Mapping[str, tuple[str, ...]] = {}) -> Written:
    """The rules of a configuration and its files, and the groups of its users. Raises BadPolicy
    with all that is wrong."""
    faults: list[str] = []
    sources = [*_inline(settings, faults), *_of_files(settings.files, faults)]
    if groups:
        sources.append(Source("users.groups", Document(groups=dict(groups))))
    default = Outcome[settings.default.upper()]
    shadow, shadow_default = None, default
    if settings.shadow:
        shadow = tuple(_of_files([settings.shadow], faults))
        said = next((one.document.default for one in shadow if one.document.default), None)
        shadow_default = Outcome[said.upper()] if said else default
    if faults:
        raise BadPolicy(faults)
    return Written(default, tuple(sources), shadow, shadow_default)


def assemble(
    written: Written,
    others: Sequence[Source] = (),
    directories: Mapping[str, Iterable[str]] = {},
) -> InForce:
    """The policy in force, of what is written and what came otherwise. Raises BadPolicy."""
    sources = (*written.sources, *others)
    policy = build(written.default, sources, directories)
    shadow = None
    if written.shadow is not None:
        shadow = build(written.shadow_default, (*written.shadow, *others), directories)
    return InForce(
        policy, _version(written.default, sources, directories), groups_of(sources), shadow
    )


def alone(document: Document, default: Outcome) -> Policy:
    """The policy that one document makes by itself. Raises BadPolicy."""
    if document.default:
        default = Outcome[document.default.upper()]
    return build(default, [Source("policy", document)])


def from_config(settings: config.Policy, groups: Mapping[str, tuple[str, ...]] = {}) -> InForce:
    """The policy as configured, without lists and bundles. Raises BadPolicy."""
    return assemble(read(settings, groups))


def marks(paths: Iterable[Path]) -> Mark:
    """What changes when a file or folder does, symbolic links followed: a ConfigMap is changed by
    turning a link to another folder."""
    found = []
    for file in _files(paths):
        try:
            stat = os.stat(file)  # noqa: PTH116 - one call, links followed
            found.append((str(file), stat.st_mtime_ns, stat.st_size, stat.st_ino))
        except OSError:
            found.append((str(file), 0, 0, 0))
    return tuple(found)


def _inline(settings: config.Policy, faults: list[str]) -> list[Source]:
    data = {
        "allow": settings.allow,
        "deny": settings.deny,
        "sets": settings.sets,
        "groups": settings.groups,
        "rules": settings.rules,
    }
    try:
        return [Source("policy", read_data(data, "policy"))]
    except BadPolicy as error:
        faults += error.faults
        return []


def _of_files(paths: Iterable[Path], faults: list[str]) -> list[Source]:
    found: list[Source] = []
    for file in _files(paths):
        try:
            document = read_text(file.read_text(encoding="utf-8"), file.name)
        except BadPolicy as error:
            faults += error.faults
        except (OSError, UnicodeDecodeError) as error:
            faults.append(f"{file}: cannot be read: {getattr(error, 'strerror', error)}")
        else:
            found.append(Source(file.name, document))
    return found


def _files(paths: Iterable[Path]) -> list[Path]:
    """The files that are named, and those of the folders that are named, by name."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(
                file
                for file in path.iterdir()
                if file.suffix in _ENDINGS and not file.name.startswith(".")
            )
        else:
            found.append(path)
    return found


def _version(
    default: Outcome, sources: Iterable[Source], directories: Mapping[str, Iterable[str]]
) -> str:
    """A short name for exactly these rules."""
    text = [default.word]
    text += [f"{one.layer} {one.name} {one.document.model_dump_json()}" for one in sources]
    text += [f"{name} {sorted(servers)}" for name, servers in sorted(directories.items())]
    return hashlib.sha256("\n".join(text).encode()).hexdigest()[:12]
