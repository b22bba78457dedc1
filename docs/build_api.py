"""Writes the API reference, docs/api.md, from the docstrings: python -m docs.build_api"""

import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import is_dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import augment
import augment.custom
import hf_mmel
import hf_mmel.functional
import hf_mmel.report


PAGE = Path(__file__).with_name("api.md")
MODULES = [hf_mmel, hf_mmel.functional, hf_mmel.report, augment, augment.custom]
PUBLIC = {name for module in MODULES for name in getattr(module, "__all__", ())}
SECTIONS = ("Args", "Attributes", "Returns", "Raises", "Example")
_ITEM = re.compile(r"^(?P<name>\*{0,2}\w+(?:, \*{0,2}\w+)*)(?P<types> \(.*?\))?:(?P<text>.*)$", re.DOTALL)


def page() -> str:
    """The whole page."""
    parts = ["# API reference", "Made from the docstrings by `python -m docs.build_api`."]
    entries = {module.__name__: public(module) for module in MODULES}
    contents = []
    for module, objects in entries.items():
        links = ", ".join(f"[`{name}`](#{name.lower()})" for name in objects)
        contents.append(f"- `{module}`: {links}")
    parts.append("\n".join(contents))
    for module in MODULES:
        parts += [f"## `{module.__name__}`", body(inspect.getdoc(module))]
        for name, thing in entries[module.__name__].items():
            parts += entry(name, thing)
    text = "\n\n".join(part for part in parts if part) + "\n"
    names = {name for objects in entries.values() for name in objects}
    return re.sub(r"\[`~?([\w.]+)`\](?!\()", lambda match: _reference(match.group(1), names), text)


def public(module: ModuleType) -> dict[str, Any]:
    """The public objects of a module, in the order of its `__all__`, or in that of their definition."""
    names = getattr(module, "__all__", None)
    if names is None:
        functions = inspect.getmembers(module, inspect.isfunction)
        own = [(name, thing) for name, thing in functions if thing.__module__ == module.__name__ and name[0] != "_"]
        names = [name for name, thing in sorted(own, key=lambda item: item[1].__code__.co_firstlineno)]
    return {name: getattr(module, name) for name in names}


def entry(name: str, thing: Any) -> Iterator[str]:
    """A function, or a class with its own public methods."""
    yield f"### `{name}`"
    yield f"```py\n{signature(name, thing)}\n```"
    yield body(inspect.getdoc(thing))
    if not inspect.isclass(thing):
        return
    methods = {}
    for base in reversed(thing.__mro__):  # with those of the trainer's base, which is not public itself
        if base is thing or (base.__module__.startswith("hf_mmel.") and base.__name__ not in PUBLIC):
            methods |= vars(base)
    for method_name, method in methods.items():
        function = getattr(method, "__func__", method)  # of class methods
        if method_name.startswith("_") or not inspect.isfunction(function) or not function.__doc__:
            continue
        yield f"#### `{name}.{method_name}`"
        yield f"```py\n{signature(method_name, function)}\n```"
        yield body(inspect.getdoc(function))


def signature(name: str, thing: Any) -> str:
    """A call with names and defaults; types are told by the docstring. Of a data class, what it adds to its base."""
    parameters = list(inspect.signature(thing).parameters.values())
    if is_dataclass(thing):
        own = thing.__annotations__
        parameters = [parameter for parameter in parameters if parameter.name in own]
    parameters = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in parameters]
    parts = [str(parameter) for parameter in parameters if parameter.name not in ("self", "cls")]
    keyword = [parameter.kind is inspect.Parameter.KEYWORD_ONLY for parameter in parameters]
    if any(keyword) and not any(parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in parameters):
        parts.insert(keyword.index(True) - (len(parameters) - len(parts)), "*")
    if is_dataclass(thing) and thing.__mro__[1] is not object:
        parts = ["...", *parts]
    line = f"{name}({', '.join(parts)})"
    return line if len(line) <= 100 else f"{name}(\n" + "".join(f"    {part},\n" for part in parts) + ")"


def body(docstring: str | None) -> str:
    """A docstring as Markdown: its sections as lists, its formulas as GitHub shows them."""
    text = (docstring or "").replace("\\\\(", "$").replace("\\\\)", "$").replace("```python\n>>>", "```pycon\n>>>")
    parts, kind, lines = [], None, []
    for line in [*text.splitlines(), None]:
        starts = line is not None and re.fullmatch(rf"({'|'.join(SECTIONS)}):", line)
        ends = kind is not None and line and not line.startswith(" ")
        if line is None or starts or ends:
            parts.append(section(kind, "\n".join(lines).strip("\n")))
            kind, lines = None, []
        if starts:
            kind = starts.group(1)
        elif line is not None:
            lines.append(line)
    return "\n\n".join(part for part in parts if part)


def section(kind: str | None, text: str) -> str:
    """A section as a list, an example as a block; text without a kind stands as it is."""
    if kind is None or not text.strip():
        return text
    text = textwrap.dedent(text)
    if kind == "Example":
        return f"**{kind}**\n\n```pycon\n{text.rstrip()}\n```"
    if kind == "Returns":
        return f"**{kind}** {_joined(text)}"
    items = re.split(r"\n(?=\S)", text)
    return f"**{kind}**\n\n" + "\n".join(f"- {_item(item)}" for item in items)


def _item(text: str) -> str:
    found = _ITEM.match(text)
    if not found:
        return _joined(text)
    names = ", ".join(f"`{name}`" for name in found["name"].split(", "))
    return f"{names}{found['types'] or ''}: {_joined(found['text'])}"


def _joined(text: str) -> str:
    """Paragraphs as lines."""
    return "\n\n  ".join(" ".join(part.split()) for part in re.split(r"\n\s*\n", text.strip()))


def _reference(name: str, names: set[str]) -> str:
    """A link to what the page tells of, the plain name of what it does not."""
    last = name.rpartition(".")[2]
    return f"[`{last}`](#{last.lower()})" if last in names else f"`{last}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
