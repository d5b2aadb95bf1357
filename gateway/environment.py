"""Settings from the environment: `OCM_GATEWAY__SECTION__KEY`, laid over those of the file.

Two underscores go one level down; capitals and small letters are the same. A text is taken as it
is, everything else is read as YAML: `OCM_GATEWAY__POLICY__ALLOW='[a.example, b.example]'`.
`..._FILE` names a file that holds the value, for settings that have no `..._file` of their own.
"""

import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel

PREFIX = "OCM_GATEWAY__"
_FILE = "_file"
_LONGEST = 1024 * 1024
Name = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Laid:
    """Settings of several layers: the values, which variable each came from, the files read for
    them, and what is wrong with the variables."""

    data: dict[str, Any] = field(repr=False)
    variables: dict[Name, str]
    files: tuple[Path, ...]
    faults: tuple[str, ...]


def named(environment: Iterable[str]) -> bool:
    """Whether any variable is a setting."""
    return any(variable.upper().startswith(PREFIX) for variable in environment)


def lay_over(
    data: Mapping[str, Any], environment: Mapping[str, str], model: type[BaseModel]
) -> Laid:
    """The settings of `data` with those of the environment over them; `data` stays as it is."""
    laid = Laid(_copied(data), {}, (), ())
    files: list[Path] = []
    faults: list[str] = []
    for variable in sorted(environment):
        if not variable.upper().startswith(PREFIX):
            continue
        try:
            name, value, file = _read(variable, environment[variable], model)
        except _Unusable as error:
            faults.append(f"{variable}: {error}")
            continue
        if name in laid.variables:
            faults.append(f"{variable}: {laid.variables[name]} sets the same")
            continue
        if file:
            files.append(file)
        laid.variables[name] = variable
        _put(laid.data, name, value)
    return Laid(laid.data, laid.variables, tuple(files), tuple(faults))


class _Unusable(ValueError):
    """What a variable says cannot be a setting."""


def _read(variable: str, text: str, model: type[BaseModel]) -> tuple[Name, object, Path | None]:
    name = tuple(variable[len(PREFIX) :].lower().split("__"))
    annotation = _annotation(model, name)
    if annotation is not None:
        return name, _value(text, annotation), None
    if name[-1].endswith(_FILE):
        inner = (*name[:-1], name[-1].removesuffix(_FILE))
        annotation = _annotation(model, inner)
        if annotation is not None:
            file = Path(text)
            return inner, _value(_content(file), annotation), file
    raise _Unusable("there is no such setting")


def _annotation(model: type[BaseModel], name: Name) -> Any:
    """The type of a setting; None for what is none, and for a whole section."""
    for last, part in enumerate(name, start=1):
        found = model.model_fields.get(part)
        if found is None:
            return None
        inner = found.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            model = inner
        elif last == len(name):
            return inner
        else:
            return None
    return None


def _content(file: Path) -> str:
    try:
        with file.open(encoding="utf-8") as opened:
            return opened.read(_LONGEST).strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise _Unusable(f"{file} cannot be read: {why}") from None


def _value(text: str, annotation: Any) -> object:
    if _textual(annotation):
        return None if text in ("", "null") and type(None) in _kinds(annotation) else text
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise _Unusable("is not YAML") from None


def _textual(annotation: Any) -> bool:
    kinds = _kinds(annotation) - {type(None)}
    return all(isinstance(kind, type) and issubclass(kind, str | Path) for kind in kinds)


def _kinds(annotation: Any) -> set[Any]:
    """The plain types that an annotation allows."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _kinds(get_args(annotation)[0])
    if origin is Literal:
        return {type(value) for value in get_args(annotation)}
    if origin in (Union, types.UnionType):
        return set().union(*(_kinds(one) for one in get_args(annotation)))
    return {annotation if origin is None else origin}


def _copied(data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _copied(value) if isinstance(value, Mapping) else value
        for name, value in data.items()
    }


def _put(data: dict[str, Any], name: Name, value: object) -> None:
    for part in name[:-1]:
        inner = data.get(part)
        if not isinstance(inner, dict):
            # A section that is no mapping is told of by the checks of the whole.
            if inner is not None:
                return
            inner = data[part] = {}
        data = inner
    data[name[-1]] = value
