"""The results of `python -m hf_mmel attack` in the folder of a run, as a report shows them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from scipy import stats

from augment.core.marking import differences

from ..attack.results import FOLDER, Found, Row, is_misled, read_attack, texts_of
from ..cli.fingerprint import digest_of
from ..hub.redaction import without_folders


MAX_SHOWN = 10  # examples that were misled
CONFIDENCE = 0.95


class Share(NamedTuple):
    """A share of N examples, with its exact confidence interval."""

    value: float
    low: float
    high: float


class Accuracy(NamedTuple):
    """The accuracy under an attack, and the share of all examples that it misleads; `None` without an attack."""

    name: str
    accuracy: Share
    misled: Share | None


class Misled(NamedTuple):
    """An example that is classified correctly, and a variant of it that is not."""

    label: str
    prediction: str
    attack: str
    texts: list[tuple[str, str]]  # of the example and the variant: one, or the two of a pair


class AttackSection(NamedTuple):
    """What the page shows of the attacks on N examples."""

    data: str
    augmenter: str
    budget: int
    num_examples: int
    accuracies: list[Accuracy]  # without an attack, under each, and under all of them
    misled: list[Misled]
    num_misled: int


def attack_section(folder: Path) -> AttackSection | None:
    """
    The attack on the model in the folder of a run; `None` if there is none. A `ValueError` says if it has not
    finished, or is one on other weights than those in the folder.
    """
    if not (folder / FOLDER).is_dir():
        return None
    try:
        if (found := read_attack(folder / FOLDER)) is None:
            raise LookupError
        weights, section = found.summary["weights"].items(), _section(found)
    except (LookupError, TypeError, ValueError, AttributeError):
        raise ValueError(f"the attack in {FOLDER} has not finished, or its files are damaged. Run it again.") from None
    for name, digest in weights:
        file = folder / Path(name).name
        if file.is_file() and digest_of(file) != digest:
            raise ValueError(f"the attack in {FOLDER} is one on other weights. Remove the folder, and attack again.")
    return section


def share(count: int, num_examples: int) -> Share:
    """
    A share and its exact 95 % interval.

    Source: Clopper and Pearson, Biometrika 26, 1934.
    """
    interval = stats.binomtest(count, num_examples).proportion_ci(CONFIDENCE, method="exact")
    return Share(count / num_examples, float(interval.low), float(interval.high))


def _section(found: Found) -> AttackSection:
    rows, attacks, total = found.rows, found.attacks, len(found.rows)
    num_correct = sum(row["prediction"] == row["label"] for row in rows)
    accuracies = [Accuracy("no attack", share(num_correct, total), None)]
    for names in [*([name] for name in attacks), *([attacks] if len(attacks) > 1 else [])]:
        count = sum(is_misled(row, names) for row in rows)
        accuracies.append(Accuracy(" or ".join(names), share(num_correct - count, total), share(count, total)))
    misled = [_misled(row, attacks) for row in rows if is_misled(row, attacks)]
    shown = sorted(misled, key=lambda pair: pair[0])[:MAX_SHOWN]  # stable, so in the order of the data
    config = found.summary["augmenter"]
    parts = config.get("augmenters") or [config]  # those of `InTurn` and `Compose`
    return AttackSection(
        without_folders(found.summary["data"]),
        " and ".join(dict.fromkeys(part["class"] for part in parts)),
        found.summary["budget"],
        total,
        accuracies,
        [example for _, example in shown],
        len(misled),
    )


def _misled(row: Row, attacks: list[str]) -> tuple[tuple[float, int], Misled]:
    """The success that changes the smallest share of an example's words; the first item is its size."""
    successes = [name for name in attacks if row[name]["success"]]
    name = min(successes, key=lambda attack: row[attack]["words_changed"])
    found = row[name]
    texts = list(zip(texts_of(row["text"]), texts_of(found["text"]), strict=True))
    num_changes = sum(before != after for pair in texts for before, after in differences(*pair))
    return (found["words_changed"], num_changes), Misled(row["label"], found["prediction"], name, texts)
