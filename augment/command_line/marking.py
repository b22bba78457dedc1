"""What a variant changes, shown in a terminal."""

import re
from difflib import SequenceMatcher


_TOKEN = re.compile(r"\w+|\W")
_OLD, _NEW, _END = "\033[31;9m", "\033[32m", "\033[0m"


def marked(original: str, variant: str) -> str:
    """
    The variant as a terminal shows it: words that are gone struck out in red, and those in their place in green.
    """
    old, new = _TOKEN.findall(original), _TOKEN.findall(variant)
    parts = []
    for _, begin, end, start, stop in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        gone, come = "".join(old[begin:end]), "".join(new[start:stop])
        if gone == come:
            parts.append(come)
            continue
        shown = [f"{_OLD}{gone}{_END}" if gone else "", f"{_NEW}{come}{_END}" if come else ""]
        parts.append((" " if gone.strip() and come.strip() else "").join(shown))
    return "".join(parts)
