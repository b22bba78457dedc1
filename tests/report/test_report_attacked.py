"""The part of a report about an attack on the model."""

import json

import pytest
from report_pages import EVIL, Page, predictions, summary
from scipy import stats

from hf_mmel.cli.fingerprint import digest_of
from hf_mmel.report.attacked import MAX_SHOWN, attack_section, share
from hf_mmel.report.page import write_page


def misled(text, prediction="bad", words_changed=0.1):
    return {"success": True, "queries": 3, "text": text, "prediction": prediction, "words_changed": words_changed}


FAILED = {"success": False, "queries": 9}
ROWS = [
    {"id": 0, "text": "a good film", "label": "good", "prediction": "good", "random": FAILED, "greedy": FAILED},
    {"id": 1, "text": "a film", "label": "good", "prediction": "bad"},
    {"id": 2, "text": "fine actors", "label": "good", "prediction": "good", "random": misled("fine players")},
    {"id": 3, "text": "a good plot", "label": "good", "prediction": "good", "random": misled("a fine plot")},
]
ROWS[2]["greedy"], ROWS[3]["greedy"] = misled("great actors", words_changed=0.05), FAILED


@pytest.fixture
def attacked(tmp_path):
    """Writes the results of an attack into the folder of a run, and returns this folder."""

    def attacked(rows=ROWS, **changed):
        (folder := tmp_path / "attack").mkdir(exist_ok=True)
        content = {"num_examples": len(rows), "attacks": ["random", "greedy"], "data": str(tmp_path / "films.csv")}
        content |= {"augmenter": {"class": "WordNetSynonyms"}, "budget": 50, "weights": {}, **changed}
        (folder / "attack.json").write_text(json.dumps(content))
        (folder / "attack.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        return tmp_path

    return attacked


def test_clean_and_worst_case_accuracy_are_of_the_same_examples(attacked):
    section = attack_section(attacked())
    assert [row.name for row in section.accuracies] == ["no attack", "random", "greedy", "random or greedy"]
    assert [row.accuracy.value for row in section.accuracies] == [0.75, 0.25, 0.5, 0.25]
    clean, worst = section.accuracies[0], section.accuracies[-1]
    assert clean.misled is None and worst.misled.value == clean.accuracy.value - worst.accuracy.value == 0.5
    assert section.num_examples == 4 and section.num_misled == 2 and section.data == "films.csv"


def test_a_single_attack_is_the_worst_case(attacked):
    section = attack_section(attacked(attacks=["greedy"]))
    assert [row.name for row in section.accuracies] == ["no attack", "greedy"]


@pytest.mark.parametrize(("count", "total"), [(0, 10), (3, 10), (10, 10), (61, 100)])
def test_intervals_are_those_of_clopper_and_pearson(count, total):
    low = stats.beta.ppf(0.025, count, total - count + 1) if count else 0.0
    high = stats.beta.ppf(0.975, count + 1, total - count) if count < total else 1.0
    assert share(count, total) == pytest.approx((count / total, low, high))


def test_variants_with_the_smallest_change_come_first(attacked):
    first, second = attack_section(attacked()).misled
    assert first.attack == "greedy" and first.texts == [("fine actors", "great actors")]
    assert second.attack == "random" and second.texts == [("a good plot", "a fine plot")]


def test_among_these_the_fewest_changes_come_first(attacked):
    texts = ("a ; good ; plot", "a good ; plot", "a ; good plot")
    rows = [{**ROWS[3], "random": misled(text, words_changed=0)} for text in texts]
    assert [example.texts[0][1] for example in attack_section(attacked(rows)).misled] == [*texts[1:], texts[0]]


def test_pairs_of_texts_are_shown_as_pairs(attacked):
    row = {**ROWS[2], "text": ["one", "two"], "random": misled(["won", "two"]), "greedy": FAILED}
    assert attack_section(attacked([row])).misled[0].texts == [("one", "won"), ("two", "two")]


def test_augmenters_that_are_joined_are_named(attacked):
    parts = [{"class": "WordNetSynonyms"}, {"class": "RandomPunctuation"}]
    section = attack_section(attacked(augmenter={"class": "InTurn", "augmenters": [*parts, parts[1]]}))
    assert section.augmenter == "WordNetSynonyms and RandomPunctuation"


def test_without_an_attack_there_is_nothing_to_say(tmp_path):
    assert attack_section(tmp_path) is None


@pytest.mark.parametrize(
    "changed", [{"num_examples": 5}, {"attacks": 3}, {"weights": 3}, {"augmenter": None}, {"attacks": ["beam"]}]
)
def test_an_attack_that_is_unfinished_or_damaged_is_named(attacked, changed):
    folder = attacked(**changed)
    if changed == {"attacks": ["beam"]}:
        (folder / "attack" / "attack.json").unlink()
    with pytest.raises(ValueError, match="the attack in attack has not finished, or its files are damaged"):
        attack_section(folder)


def test_an_attack_on_other_weights_is_named(attacked, tmp_path):
    (weights := tmp_path / "model.safetensors").write_text("weights")
    folder = attacked(weights={"model.safetensors": digest_of(weights)})
    assert attack_section(folder).num_examples == 4
    weights.write_text("others")
    with pytest.raises(ValueError, match="the attack in attack is one on other weights"):
        attack_section(folder)
    weights.unlink()
    assert attack_section(folder) is not None, "weights that are elsewhere cannot be compared"


@pytest.mark.integration  # every page has its pictures drawn
def test_the_page_shows_the_worst_case_and_some_misled_examples(attacked):
    rows = [{**ROWS[3], "id": i} for i in range(12)] + [{**ROWS[0], "text": EVIL, "random": misled(f"{EVIL} x", EVIL)}]
    found = Page(write_page(attacked(rows), summary(), predictions()).read_text(encoding="utf-8"))
    assert found.ids[-3:] == ["attack", "hardest", "configuration"] and "script" not in found.tags
    assert "right on 100.0 % of 13 examples, and stays right under attack on 0.0 %." in " ".join(found.text.split())
    assert found.text.count("on the variant (random)") == MAX_SHOWN and "And 3 more." in found.text
    assert "Examples of films.csv, variants by WordNetSynonyms, at most 50 for each example" in found.text


@pytest.mark.integration  # every page has its pictures drawn
def test_a_page_without_the_attack_says_why(attacked):
    folder = attacked()
    (folder / "attack" / "attack.json").unlink()
    found = Page(write_page(folder, summary(), predictions()).read_text(encoding="utf-8"))
    assert "attack" not in found.ids
    assert "The accuracy in the worst case is left out: the attack in attack has not finished" in found.text
