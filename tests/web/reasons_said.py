"""What people may read of findings, reasons and rules: words and sentences that no error says."""

import ast
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from gateway.model import Permission, ReceivedState, ResourceType, Scheme, SentState
from gateway.policy.explaining import _WORDS
from gateway.policy.facts import Action, Facts, Limits, Outcome
from gateway.policy.language import RuleText
from gateway.policy.rules import _LACKS, _VERBS

HOUSE = Path(__file__).parents[2] / "gateway"
PROBES = ("network", "server", "trials", "trust", "examiner")
"""What tests a server at an operator's wish; the others speak on the command line alone."""
FINDERS = {"ok", "warning", "failed", "skipped", "Broken"}
WRITTEN = ("names", "language", "listing", "sources")
"""Where rules and lists are read, as somebody wrote them."""
DEEDS = {"Deed", "deed", "note", "record", "replace"}

WORDS = {
    *Action,
    *(one.word for one in Outcome),
    *(one.name for one in fields(Limits)),
    *Facts._fields,
    *(one.alias or name for name, one in RuleText.model_fields.items()),
    *_WORDS.values(),
    *Permission,
    *ResourceType,
    *Scheme,
    *SentState,
    *ReceivedState,
} - {"id", "then", "limits", "comment", "public_comment", "rfc9421", "cavage"}
"""What rules are made of, by the names that they have where rules are written."""

SAID = {
    *(f"{{}} is {verb} by {{}} ({{}})" for verb in _VERBS.values()),
    *(f"{{}} is {verb} by {{}} ({{}}): {{}}" for verb in _VERBS.values()),
    *_LACKS.values(),
    "no rule speaks of {} with {}, and the default is {}",
    "{}, but only if {}",
    "{} is blocked",
    "this server asks that {}",
    # a chain of reasons
    "provider",
    "signature",
    "facts",
    "rules",
    "near",
    "verdict",
    "not known",
    "not looked at yet",
    "{}, of {}",
    "everyone",
    "an exception",
    "action: it speaks of {}",
    "except: the server is one of its exceptions",
    "time",
    "*.{} covers what is below {}, not {} itself",
    "{} does not cover hosts below it; *.{} would",
    "{} names another port",
    # what is odd about rules
    "unused",
    "contradictory",
    "shadowed",
    "its time is over",
    "it means nobody: its lists are empty",
    "{} denies exactly the same",
    "{} denies all that it speaks of",
    "{} says the same, or more",
    "no rule names this set",
    # a chain of entries
    "is missing",
    "is not as it was written, or the one before it is not",
    "has another {} than it was written with",
    "has a {} although that was erased",
    "was not written by this gateway",
    "is named by an {} that we did not write",
    # reasons of entries, and where a setting comes from
    "wrong password, {}",
    "no account here",
    "everywhere",
    "another browser",
    "password",
    "default",
    "default: {}",
    "given",
    "ok",
    "failed at {}",
    "line {}",
    # what a message is put together from
    "it is for {}, by {}, until {}",
    "{}: {}",
    "{}; {}",
    "{} ({})",
    "no name",
    "nothing more",
    "no type",
}
"""Where these are made, other words go into them; so they are written down once more."""


def words() -> set[str]:
    """All of it."""
    return {str(word) for word in WORDS} | SAID | set(_findings()) | set(_deeds()) | set(_faults())


def _findings() -> Iterator[str]:
    """The names, messages and advices of what a test finds. A message that is no text where it is
    found is followed to where it was made."""
    for name in PROBES:
        tree = ast.parse((HOUSE / f"probes/{name}.py").read_text())
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                for call in ast.walk(function):
                    if isinstance(call, ast.Call) and _name(call) in FINDERS:
                        for argument in call.args:
                            yield from _texts(argument, function, tree)


def _deeds() -> Iterator[str]:
    """The reasons of entries in the audit trail."""
    for file in HOUSE.rglob("*.py"):
        for call in ast.walk(ast.parse(file.read_text())):
            if isinstance(call, ast.Call) and _name(call) in DEEDS:
                for keyword in call.keywords:
                    if keyword.arg == "reason":
                        yield from _texts(keyword.value, None, None)


def _faults() -> Iterator[str]:
    """What is wrong with rules and lists."""
    for name in WRITTEN:
        for call in ast.walk(ast.parse((HOUSE / f"policy/{name}.py").read_text())):
            if isinstance(call, ast.Call):
                match _name(call), call.args:
                    case ("ValueError", [said]) | ("Fault", [_, _, said]):
                        yield from _texts(said, None, None)
                    case "BadPolicy", [ast.List(elts=[said])]:
                        yield from _texts(said, None, None)
                    case "append", [said] if ast.unparse(call.func).endswith("faults.append"):
                        yield from _texts(said, None, None)


def _name(call: ast.Call) -> str:
    return getattr(call.func, "id", getattr(call.func, "attr", ""))


def _texts(node: ast.expr, function: ast.AST | None, tree: ast.AST | None) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(text)) if text:
            yield text
        case ast.JoinedStr(values=values):
            yield "".join(one.value if isinstance(one, ast.Constant) else "{}" for one in values)
            for one in values:
                if isinstance(one, ast.FormattedValue):
                    yield from _texts(one.value, function, tree)
        case ast.IfExp(body=one, orelse=other):
            yield from _texts(one, function, tree)
            yield from _texts(other, function, tree)
        case ast.Name(id=name) if function:
            for one in ast.walk(function):
                if isinstance(one, ast.Assign):
                    for value in _given(one, name):
                        yield from _texts(value, function, tree)
        case ast.Call(func=ast.Name(id=name)) if tree:
            for one in ast.walk(tree):
                if isinstance(one, ast.FunctionDef) and one.name == name:
                    for back in ast.walk(one):
                        if isinstance(back, ast.Return) and back.value:
                            yield from _texts(back.value, one, tree)


def _given(assign: ast.Assign, name: str) -> Iterator[ast.expr]:
    """What an assignment gives to a name, on its own or among others."""
    [target] = assign.targets
    pairs = [(target, assign.value)]
    if isinstance(target, ast.Tuple) and isinstance(assign.value, ast.Tuple):
        pairs = list(zip(target.elts, assign.value.elts, strict=True))
    yield from (value for one, value in pairs if isinstance(one, ast.Name) and one.id == name)
