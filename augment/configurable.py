"""Objects that can be described as plain data and rebuilt from it."""

import re
from collections.abc import Mapping, Sequence
from inspect import Parameter, isabstract, signature
from numbers import Integral
from typing import Any


_MAX_SHOWN = 200  # characters of an argument


def check_count(name: str, value: Any, optional: bool = False) -> None:
    """Raises a `ValueError` if an argument is not a whole number >= 1, or, if it is optional, `None`."""
    if optional and value is None:
        return
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{name} is {value!r}; expected a whole number >= 1.")


def check_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    """Raises a `ValueError` if an argument is not one of the choices."""
    if value not in choices:
        raise ValueError(f"{name} is {value!r}; expected one of {', '.join(map(repr, choices))}.")


def check_probability(name: str, value: float, may_be_zero: bool = False) -> None:
    """Raises a `ValueError` if an argument is not in (0, 1], or, if it may be zero, in [0, 1]."""
    if not 0 <= value <= 1 or (value == 0 and not may_be_zero):
        raise ValueError(f"{name} is {value}; expected a probability in {'[' if may_be_zero else '('}0, 1].")


class Configurable:
    """
    An object that stores each argument of its constructor, except the tokenizer, in an attribute of the same name. If
    the constructor takes `**options` for its base class, the arguments of the base are arguments of the class too.
    """

    def to_dict(self) -> dict[str, Any]:
        """
        The class and its arguments as plain data, for `from_dict`, without the tokenizer and the cache folder.
        """
        arguments = {name: _plain(value) for name, value in self._arguments().items() if name != "cache_dir"}
        return {"class": type(self).__name__, **arguments}

    @staticmethod
    def from_dict(config: Mapping[str, Any], tokenizer) -> Any:
        """
        Builds the augmenter that `to_dict` describes.

        Raises:
            `ValueError`: if the class or an argument is unknown, or an argument has a wrong type.
        """
        arguments = dict(config)
        name = arguments.pop("class", None)
        known = configurable_classes()
        if not isinstance(name, str) or name not in known:
            raise ValueError(
                f"The augmenter's class is {name!r}; expected one of {', '.join(sorted(known))}. Import the module "
                "of your own class first; the commands do so with --augmenter MODULE:CLASS."
            )
        cls, accepted = known[name], parameters_of(known[name])
        if unknown := sorted(arguments.keys() - accepted.keys()):
            raise ValueError(f"{name} has no {', '.join(unknown)}; expected some of {', '.join(accepted)}.")
        required = [argument for argument, default in accepted.items() if default is Parameter.empty]
        if missing := [argument for argument in required if argument not in arguments]:
            raise ValueError(f"{name} needs {', '.join(missing)}; found {', '.join(arguments) or 'no argument'}.")

        def build(value):
            if is_config(value):
                return Configurable.from_dict(value, tokenizer)
            return [build(item) for item in value] if isinstance(value, list | tuple) else value

        first = [tokenizer] if "tokenizer" in signature(cls.__init__).parameters else []
        built = {name: build(value) for name, value in arguments.items()}
        try:
            return cls(*first, **built)
        except (TypeError, AttributeError) as error:  # such as a list instead of a number
            given = ", ".join(f"{name}={value!r:.60}" for name, value in arguments.items())
            raise ValueError(
                f"{name} cannot be made with {given}; one has a wrong type: {str(error).rstrip('.')}."
            ) from error

    def _arguments(self) -> dict[str, Any]:
        """The arguments that the object was built with."""
        return {name: getattr(self, name) for name in parameters_of(type(self))}

    def __repr__(self) -> str:
        shown = [(name, _shown(getattr(self, name)), default) for name, default in parameters_of(type(self)).items()]
        arguments = [f"{name}={text}" for name, text, default in shown if text != _shown(default)]
        return f"{type(self).__name__}({', '.join(arguments)})"


def _shown(value: Any) -> str:
    """An argument on one line: parts in full, a model by its name, and the start of what is long."""
    if isinstance(value, Configurable):
        return repr(value)
    if isinstance(value, list | tuple) and any(isinstance(item, Configurable) for item in value):
        return f"[{', '.join(map(_shown, value))}]"
    if hasattr(value, "get_input_embeddings"):  # a model
        return repr(value.name_or_path) if getattr(value, "name_or_path", "") else f"{type(value).__name__}(...)"
    text = re.sub(r"\n\s*", " ", repr(value))  # of arrays and tables
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 3]}..."


def is_config(value: Any) -> bool:
    """Whether a value is the plain data of a `Configurable`."""
    return isinstance(value, Mapping) and isinstance(value.get("class"), str)


def parameters_of(cls: type) -> dict[str, Any]:
    """Names and defaults of a constructor's arguments, those of its bases included, the tokenizer excluded."""
    parameters: dict[str, Any] = {}
    for base in cls.__mro__:
        if "__init__" not in vars(base):
            continue
        found = signature(vars(base)["__init__"]).parameters.values()
        named = [p for p in found if p.kind in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)]
        parameters = {p.name: p.default for p in named if p.name not in ("self", "tokenizer")} | parameters
        if all(p.kind != Parameter.VAR_KEYWORD for p in found):
            break
    return parameters


def _plain(value: Any) -> Any:
    if isinstance(value, Configurable):
        return value.to_dict()
    if hasattr(value, "get_input_embeddings"):  # a model
        if not getattr(value, "name_or_path", ""):
            raise ValueError(
                f"The model is a {type(value).__name__} without a name or path, so plain data cannot describe it. "
                "Save it with model.save_pretrained(folder), and pass the folder instead."
            )
        return value.name_or_path
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value.item() if hasattr(value, "item") else value  # NumPy scalars


def configurable_classes(cls: type = Configurable) -> dict[str, Any]:
    """The concrete classes derived from a class, by name."""
    found: dict[str, Any] = {}
    child: Any
    for child in cls.__subclasses__():
        found |= ({} if isabstract(child) else {child.__name__: child}) | configurable_classes(child)
    return found
