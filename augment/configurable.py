"""Objects that are plain data and back, by the arguments that they were built with."""

from collections.abc import Mapping
from inspect import Parameter, isabstract, signature
from numbers import Integral
from typing import Any


def check_count(name: str, value: Any) -> None:
    """
    Raises a `ValueError` if an argument is no whole number >= 1.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{name} is {value!r}; expected a whole number >= 1.")


class Configurable:
    """
    An object that keeps each argument of its constructor, the tokenizer aside, under its own name.

    A constructor with `**options` hands those on to that of its base, whose arguments are then arguments of the class.
    """

    def to_dict(self) -> dict[str, Any]:
        """
        The class and arguments as plain data, from which [`from_dict`] builds the object again. The tokenizer and the
        folder of caches are not among them.
        """
        arguments = {name: _plain(value) for name, value in self._arguments().items() if name != "cache_dir"}
        return {"class": type(self).__name__, **arguments}

    @staticmethod
    def from_dict(config: Mapping[str, Any], tokenizer) -> Any:
        """
        Builds the augmenter that [`to_dict`] describes.

        Raises:
            `ValueError`: if the class or one of its arguments is not known, or an argument is of a wrong type.
        """
        arguments = dict(config)
        name = arguments.pop("class", None)
        known = _subclasses(Configurable)
        if not isinstance(name, str) or name not in known:
            raise ValueError(f"The augmenter's class is {name!r}; expected one of {', '.join(sorted(known))}.")
        cls = known[name]
        accepted = cls._parameters()
        if unknown := sorted(arguments.keys() - accepted.keys()):
            raise ValueError(f"{name} has no {', '.join(unknown)}; expected some of {', '.join(accepted)}.")
        needed = [argument for argument, default in accepted.items() if default is Parameter.empty]
        if missing := [argument for argument in needed if argument not in arguments]:
            raise ValueError(f"{name} needs {', '.join(missing)}; found {', '.join(arguments) or 'no argument'}.")

        def build(value):
            if isinstance(value, Mapping) and isinstance(value.get("class"), str):
                return Configurable.from_dict(value, tokenizer)
            return [build(item) for item in value] if isinstance(value, list | tuple) else value

        first = [tokenizer] if "tokenizer" in signature(cls.__init__).parameters else []
        built = {name: build(value) for name, value in arguments.items()}
        try:
            return cls(*first, **built)
        except (TypeError, AttributeError) as error:  # such as a list where a number was to be
            given = ", ".join(f"{name}={value!r:.60}" for name, value in arguments.items())
            raise ValueError(
                f"{name} cannot be made with {given}; one has a wrong type: {str(error).rstrip('.')}."
            ) from error

    @classmethod
    def _parameters(cls) -> dict[str, Any]:
        """Name and default of what the constructor takes besides the tokenizer, and what it hands on to its base."""
        parameters: dict[str, Any] = {}
        for base in cls.__mro__:
            if "__init__" not in vars(base):
                continue
            found = signature(base.__init__).parameters.values()
            named = [p for p in found if p.kind in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)]
            parameters = {p.name: p.default for p in named if p.name not in ("self", "tokenizer")} | parameters
            if all(p.kind != Parameter.VAR_KEYWORD for p in found):
                break
        return parameters

    def _arguments(self) -> dict[str, Any]:
        """The arguments that the augmenter was built with, each kept under its own name."""
        return {name: getattr(self, name) for name in self._parameters()}

    def __repr__(self) -> str:
        defaults = self._parameters()
        shown = {name: value for name, value in self._arguments().items() if value is not defaults[name]}
        shown = {name: value for name, value in shown.items() if value != defaults[name]}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r:.200}' for name, value in shown.items())})"


def parameters_of(name: str) -> dict[str, Any]:
    """Name and default of the arguments of a class, by its name; none where it is not known."""
    known = _subclasses(Configurable)
    return known[name]._parameters() if name in known else {}


def _plain(value: Any) -> Any:
    if isinstance(value, Configurable):
        return value.to_dict()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value.item() if hasattr(value, "item") else value  # NumPy's numbers


def _subclasses(cls: type) -> dict[str, type]:
    """All classes below one that can be built, by name."""
    found = {}
    for child in cls.__subclasses__():
        found |= {**({} if isabstract(child) else {child.__name__: child}), **_subclasses(child)}
    return found
