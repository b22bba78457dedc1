"""The words that a variant changes, marked for a terminal or in plain text."""

import re
from collections.abc import Callable, Iterator
from difflib import SequenceMatcher


_TOKEN = re.compile(r"\w+|\W")

# What stands before and after deleted words, and before and after inserted words.
COLOURS = (("\033[31;9m", "\033[0m"), ("\033[32m", "\033[0m"))  # red and struck out, green
PLAIN = (("[-", "-]"), ("{+", "+}"))  # as in GNU wdiff
HTML = (("<del>", "</del>"), ("<ins>", "</ins>"))


def differences(original: str, variant: str) -> Iterator[tuple[str, str]]:
    """Pairs of the original's text and the variant's text, part by part: equal where nothing changes."""
    old, new = _TOKEN.findall(original), _TOKEN.findall(variant)
    for _, begin, end, start, stop in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        yield "".join(old[begin:end]), "".join(new[start:stop])


def marked(
    original: str,
    variant: str,
    marks: tuple[tuple[str, str], tuple[str, str]] = COLOURS,
    escape: Callable[[str], str] = str,
) -> str:
    """The variant with its deleted and inserted words marked. `escape` is applied to all text between the marks."""
    parts = []
    for deleted, inserted in differences(original, variant):
        if deleted == inserted:
            parts.append(escape(inserted))
            continue
        texts = zip((deleted, inserted), marks, strict=True)
        shown = [f"{before}{escape(text)}{after}" if text else "" for text, (before, after) in texts]
        parts.append((" " if deleted.strip() and inserted.strip() else "").join(shown))
    return "".join(parts)
