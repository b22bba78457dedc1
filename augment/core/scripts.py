"""Scripts that put no space between words."""

import re
import unicodedata


# Thai, Lao, Burmese, Khmer, kana and Chinese characters.
_LETTER = (
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff]"
)
_UNSPACED = re.compile(_LETTER)
_SPACE_INSIDE = re.compile(f"(?<={_LETTER}) +(?={_LETTER})")


def is_unspaced(text: str) -> bool:
    """Whether a text has a letter of a script that puts no space between words, such as Chinese."""
    return _UNSPACED.search(text) is not None


def without_spaces(text: str) -> str:
    """A decoded text without the spaces that WordPiece puts between Chinese characters."""
    if text.isascii():  # most are, and this is quick
        return text
    return _SPACE_INSIDE.sub("", text)


def script_of(letter: str) -> str:
    """The script of a letter by its Unicode name: `"LATIN"`, `"CYRILLIC"`, `"CJK"`."""
    return unicodedata.name(letter, "").partition(" ")[0]
