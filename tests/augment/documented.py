"""The augmenters that docs/custom_augmenters.md teaches to write, made by the snippets of the page itself."""

import re
from pathlib import Path


PAGE = Path(__file__).parents[2] / "docs" / "custom_augmenters.md"


def blocks(*languages: str) -> list[tuple[str, str]]:
    """Language and code of the blocks of the page that are in one of these languages."""
    found = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return [(language, code) for language, code in found if language in languages]


for _, _code in blocks("python"):
    if "\nclass " in _code:
        exec(compile(_code, str(PAGE), "exec"))
