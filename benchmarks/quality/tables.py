"""The figures as tables of markdown."""

from collections.abc import Callable, Mapping
from typing import Any


Results = Mapping[str, Mapping[str, Any]]  # by source

NLPAUG_WORDNET, NLPAUG_MLM = "nlpaug SynonymAug", "nlpaug ContextualWordEmbsAug"


def quality_table(results: Results) -> str:
    """What the variants of each source are."""
    columns: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "texts": lambda result: f"{result['counts']['rows']:,}",
        "copies": lambda result: _percent(result["counts"]["copies"]),
        "texts without variants": lambda result: _percent(result["counts"]["rows without"]),
        "words changed": lambda result: _share(result, "words changed"),
        "same tag": lambda result: _share(result, "same tag"),
        "same tag possible": lambda result: _share(result, "same tag possible"),
        "judge: other class": lambda result: _flips(result, "all"),
        "of the hardest": lambda result: _flips(result, "hardest"),
        "perplexity": lambda result: f"× {result['perplexity']:.2f}" if result.get("perplexity") else "-",
    }
    return _table(columns, results)


def forms_table(results: Results) -> str:
    """Which forms replaced words keep, each with the number of words that it is a share of."""
    names = {"-s": "-s", "-ed": "-ed", "-ing": "-ing", "capitals": "capitals", "a or an fits": "article"}
    return _table(
        {title: lambda result, name=name: _share(result, name, True) for title, name in names.items()}, results
    )


def speed_table(results: Results) -> str:
    """Different variants per CPU-second, and how many times those of nlpaug in the same run."""

    def rate(result: Mapping[str, Any] | None, epoch: str) -> float | None:
        seconds = result and result["seconds"].get(epoch)
        return result["counts"]["different"] / seconds if seconds else None

    def times(result: Mapping[str, Any], epoch: str, peer: str) -> str:
        ours, other = rate(result, epoch), rate(results.get(peer), "first epoch")
        return f"{_short(ours / other)}" if ours and other else "-"

    columns: dict[str, Callable[[Mapping[str, Any]], str]] = {"texts": lambda result: f"{result['counts']['rows']:,}"}
    for epoch in ("first epoch", "later epochs"):
        columns[epoch] = lambda result, epoch=epoch: _short(rate(result, epoch))
        for name, peer in {"synonyms": NLPAUG_WORDNET, "masked LM": NLPAUG_MLM}.items():
            columns[f"× nlpaug's {name}, {epoch}"] = lambda result, epoch=epoch, peer=peer: times(result, epoch, peer)
    columns["same ids"] = lambda result: _percent(result["same ids"], 2) if "same ids" in result else "-"
    return _table(columns, results)


def _table(columns: Mapping[str, Callable[[Mapping[str, Any]], str]], results: Results) -> str:
    lines = [f"| source | {' | '.join(columns)} |", f"|---|{'---:|' * len(columns)}"]
    lines += [
        f"| {name} | {' | '.join(cell(result) for cell in columns.values())} |" for name, result in results.items()
    ]
    return "\n".join(lines) + "\n"


def _percent(share: float | None, digits: int = 1) -> str:
    return "-" if share is None else f"{100 * share:.{digits}f} %"


def _share(result: Mapping[str, Any], name: str, with_count: bool = False) -> str:
    found = result.get("words", {}).get(name)
    if found is None:
        return "-"
    return _percent(found["share"]) + (f" of {found['count']:,}" if with_count else "")


def _flips(result: Mapping[str, Any], which: str) -> str:
    return _percent(result["flips"][which]) if result.get("flips") else "-"


def _short(number: float | None) -> str:
    return (
        "-"
        if number is None
        else f"{number:,.0f}"
        if number >= 100
        else f"{number:.2g}"
        if number < 1
        else f"{number:.1f}"
    )
