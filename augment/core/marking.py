"""What a variant changes, shown in a terminal or in plain text."""

import re
from collections.abc import Iterator
from difflib import SequenceMatcher


_TOKEN = re.compile(r"\w+|\W")

# What stands before and after words that are gone, and words that have come.
COLOURS = (("\033[31;9m", "\033[0m"), ("\033[32m", "\033[0m"))  # struck out in red, and green
PLAIN = (("[-", "-]"), ("{+", "+}"))  # as GNU wdiff marks them


def differences(original: str, variant: str) -> Iterator[tuple[str, str]]:
    """The text in parts, each as it was and as it has become: the same twice where nothing has changed."""
    old, new = _TOKEN.findall(original), _TOKEN.findall(variant)
    for _, begin, end, start, stop in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        yield "".join(old[begin:end]), "".join(new[start:stop])


def marked(original: str, variant: str, marks: tuple[tuple[str, str], tuple[str, str]] = COLOURS) -> str:
    """
    The variant with the words that are gone and those in their place, marked for a terminal or as plain text.
    """
    parts = []
    for gone, come in differences(original, variant):
        if gone == come:
            parts.append(come)
            continue
        words = zip((gone, come), marks, strict=True)
        shown = [f"{before}{text}{after}" if text else "" for text, (before, after) in words]
        parts.append((" " if gone.strip() and come.strip() else "").join(shown))
    return "".join(parts)
