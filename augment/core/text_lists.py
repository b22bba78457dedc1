"""Lists of texts in a column of a dataset, in the forms in which files have them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any


Entry = tuple[str | None, ...]  # a text for each text column; `None` keeps the text of the row


def entries_of(value: Any, names: Sequence[str]) -> list[Entry]:
    """
    The texts in one row of a column of lists: a text for each text column, of these `names`, or `None` where the row's
    own text stays. Raises a `ValueError` whose message follows the name of the row: "is 3; expected ...".
    """
    return [entry for item in items_of(value) if (entry := _entry(item, names)) is not None]


def items_of(value: Any) -> list[Any]:
    """The items of the list in one row, as the data have them. Raises a `ValueError` as `entries_of` does."""
    if isinstance(value, str):
        value = _parsed(value)
    if value is None:
        return []
    if isinstance(value, str | Mapping):
        value = [value]
    if not isinstance(value := plain(value), list):
        raise ValueError(f"is {value!r:.60}; expected a list of texts.")
    return value


def with_items(value: Any, items: list[Any]) -> Any:
    """These items in the form of the `value` of a row: a cell of text has the list in JSON."""
    return json.dumps(items, ensure_ascii=False) if isinstance(value, str) else items


def _parsed(text: str) -> Any:
    """The list of a cell that holds one in JSON, else the text."""
    stripped = text.strip()
    if not (stripped.startswith("[") and stripped.endswith("]")):
        return text
    try:
        return json.loads(stripped)
    except ValueError:
        raise ValueError(
            f'is {text!r:.60}, which is not a list in JSON, such as ["a", "b"]; json.dumps(texts) writes one.'
        ) from None


def _entry(item: Any, names: Sequence[str]) -> Entry | None:
    """The texts of one variant; `None` if all of them are missing or blank."""
    texts: Any = plain(item)
    if texts is None or isinstance(texts, str):
        texts = (texts, *[None] * (len(names) - 1))
    elif isinstance(texts, Mapping) and not texts.keys().isdisjoint(names):
        texts = tuple(texts.get(name) for name in names)
    fits = isinstance(texts, list | tuple) and len(texts) == len(names)
    if not fits or any(text is not None and not isinstance(text, str) for text in texts):
        shown = " and ".join(map(repr, names))
        pair = f", a list with a text for {shown}" if len(names) > 1 else ""
        raise ValueError(f"has {item!r:.60} in its list; expected a text{pair}, or a dict with {shown}.")
    return tuple(texts) if any(text is not None and text.strip() for text in texts) else None


def plain(value: Any) -> Any:
    """A list for a tuple, a tensor or an array."""
    return value.tolist() if hasattr(value, "tolist") else list(value) if isinstance(value, tuple) else value
