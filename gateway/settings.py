"""Every setting as it holds, where it comes from, and whether a change needs a restart."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from yarl import URL

from gateway.config import Config, State

HIDDEN = "***"
AT_START = ("management.listen", "public.listen", "public.workers", "state")
"""Settings, and sections of them, that a running gateway does not take up."""

_EACH_ITS_OWN = frozenset({"management.listen", "public.listen"})


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. `value` is as JSON has it, secrets hidden; `origin` is "default", the file, or
    the variable that it comes from."""

    name: str
    value: Any
    origin: str
    default: bool
    live: bool


@dataclass(slots=True)
class Reading:
    """How the last look at the configuration of a running gateway went.

    faults: what is wrong with what is written now, so that the older one is kept.
    waiting: settings that are written otherwise than they are in force, until a restart.
    """

    faults: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()


def every(config: Config) -> list[Setting]:
    """All settings, in the order of the configuration."""
    return [_setting(config, name, model, value) for name, model, value in _leaves(config)]


def changed(before: Config, after: Config) -> list[tuple[Setting, Setting]]:
    """The settings that differ, as they were and as they are; a secret differs as hidden."""
    pairs = zip(_leaves(before), _leaves(after), strict=True)
    return [
        (_setting(before, *one), _setting(after, *other))
        for one, other in pairs
        if one[2] != other[2]
    ]


def fingerprint(config: Config) -> int:
    """A number of 48 bits for the settings: the same for replicas that have the same ones.

    Where each listens does not count, and a secret only as hidden.
    """
    told = [[one.name, one.value] for one in every(config) if one.name not in _EACH_ITS_OWN]
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).digest()
    return int.from_bytes(digest[:6])


def kept_until_restart(running: Config, wanted: Config) -> Config:
    """`wanted`, with what a running gateway cannot take up as it is in `running`."""
    public = wanted.public.model_copy(
        update={"listen": running.public.listen, "workers": running.public.workers}
    )
    management = wanted.management.model_copy(update={"listen": running.management.listen})
    return wanted.model_copy(
        update={"public": public, "management": management, "state": running.state}
    )


def _leaves(
    model: BaseModel, above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], BaseModel, Any]]:
    """(name, the section it stands in, value) of every setting."""
    for part in type(model).model_fields:
        value = getattr(model, part)
        if isinstance(value, BaseModel):
            yield from _leaves(value, (*above, part))
        else:
            yield (*above, part), model, value


def _setting(config: Config, name: tuple[str, ...], section: BaseModel, value: Any) -> Setting:
    dotted, field = ".".join(name), type(section).model_fields[name[-1]]
    default = not field.is_required() and value == field.get_default(call_default_factory=True)
    shown = _plain(value) if field.repr or default else _hidden(section, value)
    live = not any(f"{dotted}.".startswith(f"{one}.") for one in AT_START)
    return Setting(dotted, shown, _origin(config, name, section), default, live)


def _origin(config: Config, name: tuple[str, ...], section: BaseModel) -> str:
    if variable := config.variables.get(name):
        return variable
    if name[-1] in section.model_fields_set and (config.file or not config.variables):
        return str(config.file) if config.file else "given"
    return "default"


def _hidden(section: BaseModel, value: Any) -> str:
    """A secret; a database's name is none, and of its URL only the password."""
    if not isinstance(section, State):
        return HIDDEN
    url = URL(value, encoded=True)
    if url.raw_query_string:
        return HIDDEN
    return str(url.with_password(HIDDEN)) if url.raw_password else str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        return {
            name: _plain(inner) if fields[name].repr or not inner else HIDDEN
            for name, inner in value
        }
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner) for inner in value]
    if isinstance(value, bool | int | float | str) or value is None:
        return value
    return str(value)


def text(value: Any) -> str:
    """A value in a line for people."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def files(config: Config) -> tuple[Path, ...]:
    """What is read once, when the gateway opens: a change of one is a change of the settings."""
    found = [config.file] if config.file else []
    found += config.value_files
    found += config.keys.files
    found += [file for service in config.directories.services for file in service.key_files]
    found += [user.password_file for user in config.users.list if user.password_file]
    found += [one.password_file for one in config.management.operators if one.password_file]
    return tuple(found)
