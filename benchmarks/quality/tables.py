"""The figures as tables of markdown."""

from collections.abc import Mapping
from typing import Any


NO_WORDS_REPLACED = ("RandomDelete", "RandomSwap", "RandomInsert")  # so that there are no forms to compare

TEXTS = {
    "words changed": "words changed",
    "differ from the original": "different from the original",
    "differ from each other": "different from all others",
    "stop words among those replaced": "stop words",
}
FORMS = {
    "by phrases": "phrases",
    "not in the dictionary": "not in the dictionary",
    "a form in common": "same form",
    "same tag in context": "same tag in context",
    "-s kept": "-s",
    "-ed kept": "-ed",
    "-ing kept": "-ing",
    "capitals kept": "capitals",
    "a or an fits": "article",
}


def print_tables(results: Mapping[str, Mapping[str, Any]], perplexity: float) -> None:
    """`perplexity` is that of the originals."""
    substitutions = {name: result for name, result in results.items() if not name.startswith(NO_WORDS_REPLACED)}
    rows = {}
    for name, result in results.items():
        cells = [_percent(result["shares"], key) for key in TEXTS.values()]
        cells[-1] = cells[-1] if name in substitutions else "-"
        rows[name] = [*cells, f"{result['perplexity']:.0f}", f"{result['nats per changed word']:.1f}"]
    _print_table([*TEXTS, f"perplexity ({perplexity:.0f} before)", "nats per changed word"], rows)

    rows = {name: [_of(result["shares"], key) for key in FORMS.values()] for name, result in substitutions.items()}
    _print_table([*FORMS], rows)

    again = {name: result["tokenised again"] for name, result in results.items() if "tokenised again" in result}
    ways = ("augment_text", "decode")
    rows = {name: [_of(result, way, digits=2) for way in ways] for name, result in again.items()}
    _print_table([f"`{way}`" for way in ways], rows)


def _percent(shares: Mapping[str, Mapping[str, float]], key: str, digits: int = 1) -> str:
    return f"{100 * shares[key]['share']:.{digits}f} %" if key in shares else "-"


def _of(shares: Mapping[str, Mapping[str, float]], key: str, digits: int = 1) -> str:
    """A share and the number of words that it is a share of."""
    return f"{_percent(shares, key, digits)} of {shares[key]['count']:,}" if key in shares else "-"


def _print_table(columns: list[str], rows: Mapping[str, list[str]]) -> None:
    print(f"| source | {' | '.join(columns)} |")
    print(f"|---|{'---:|' * len(columns)}")
    for name, cells in rows.items():
        print(f"| {name} | {' | '.join(cells)} |")
    print()
