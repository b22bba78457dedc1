"""The benchmark of quality: what it counts, and that it measures nothing twice."""

import csv
import json

import pytest
import yaml
from datasets import ClassLabel, Dataset, Features, Value

from benchmarks import augment_quality, reading_sheet
from benchmarks.quality import forms, measures
from benchmarks.quality.peers import Unavailable
from benchmarks.quality.sentences import choose_populations


pytestmark = pytest.mark.integration  # it starts processes, or runs whole programs and pages

WORDS = ("movie", "film", "actors", "story", "wonderful", "odd")


@pytest.fixture
def glue(tmp_path):
    """A folder laid out as GLUE with 40 short texts, 40 long ones and 40 with capitals, all different."""
    short = [f"the {WORDS[i % 6]} was {WORDS[i // 7]} {i}" for i in range(40)]
    long = [f"{text} and the awful children ran to a wonderful film" for text in short]
    cased = [f"The awful {text} and children ran to a Film" for text in short]
    tasks = {
        "sst2": ("sentence", [text for pair in zip(short, long, strict=True) for text in pair]),
        "rte": ("sentence2", cased[:20]),
        "stsb": ("sentence1", cased[20:]),
    }
    configs = []
    for task, (column, texts) in tasks.items():
        features = Features({column: Value("string"), "label": ClassLabel(names=["no", "yes"])})
        data = Dataset.from_dict({column: texts, "label": [i // 2 % 2 for i in range(len(texts))]}, features=features)
        (tmp_path / "glue" / task).mkdir(parents=True)
        data.to_parquet(tmp_path / "glue" / task / "train-0.parquet")
        configs.append({"config_name": task, "data_files": [{"split": "train", "path": f"{task}/train-*"}]})
    (tmp_path / "glue" / "README.md").write_text(f"---\n{yaml.safe_dump({'configs': configs})}---\n")
    return str(tmp_path / "glue")


@pytest.fixture
def small_wordnet(wordnet, monkeypatch):
    reader = forms.load_wordnet()
    monkeypatch.setattr(forms, "wordnet", lambda: reader)
    forms.tags.cache_clear()
    yield
    forms.tags.cache_clear()


@pytest.fixture
def run(glue, masked_lm_dir, small_wordnet, synonyms, tmp_path, monkeypatch, capsys):
    """Runs the benchmark: `run(*options)` gives what it prints. All words are nouns, and no peer is available."""
    monkeypatch.setattr(
        augment_quality, "tag_words", lambda args, texts: [["NN"] * len(measures.words_of(text)) for text in texts]
    )

    def unavailable(name, texts, args):
        raise Unavailable(f"there is no {name} here")

    monkeypatch.setattr(augment_quality, "run_peer", unavailable)

    def main(*options):
        argv = ["--data", glue, "--mlm", masked_lm_dir, "--output_dir", tmp_path / "out", "--num_sentences", 10]
        assert augment_quality.main([str(option) for option in (*argv, "--num_variants", 2, *options)]) == 0
        return capsys.readouterr().out

    return main


def test_variants_that_a_group_lacks_or_repeats_are_copies():
    texts = ["a film", "a movie", "it's odd"]
    groups = [["a movie", "A  movie"], [], ["it 's odd", "it's odd!"]]
    counts = measures.count_variants(texts, groups, num_variants=2)
    assert counts == {"copies": 4 / 6, "rows without": 1 / 3, "rows": 3, "different": 2}
    assert [measures.new_variants(*pair) for pair in zip(texts, groups, strict=True)] == [
        ["a movie"],
        [],
        ["it's odd!"],
    ]


def test_forms_are_those_of_wordnet(small_wordnet):
    assert forms.tags("movies") == {"NNS"} and forms.tags("Movie") == {"NN"}
    assert forms.tags("viewed") == {"VBD", "VBN"} == forms.tags("ran")
    assert forms.tags("unheard") == set()
    inflected = {"movies": "NNS", "viewed": "VBN", "meeting": "VBG"}
    assert [forms.ending_of(*pair) for pair in inflected.items()] == ["s", "ed", "ing"]
    assert forms.ending_of("meeting", "NN") is None and forms.ending_of("ran", "VBD") is None
    assert forms.ending_of("us", "NNS") is None
    assert forms.keeps_ending("VBD", ["ran"]) and not forms.keeps_ending("VBD", ["run"])
    assert forms.keeps_ending("NNS", ["picture", "shows"]) and not forms.keeps_ending("NNS", ["picture", "show"])
    assert not forms.keeps_ending("VBZ", ["actors"]) and forms.keeps_ending("VBZ", ["unheards"])


def test_words_that_only_change_places_are_not_replaced(small_wordnet):
    texts = ["the movies were odd", "a Film of an actor"]
    groups = [["odd movies were the", "the car were odd"], ["a Movie of an player"]]
    tags = {"movies": "NNS", "odd": "JJ"}
    shares = measures.compare_words(
        texts, groups, lambda texts: [[tags.get(word, "NN") for word in text.split()] for text in texts]
    )
    assert shares["same tag"] == {"share": 2 / 3, "count": 3}  # movies -> car, Film -> Movie, actor -> player
    assert shares["-s"] == {"share": 0.0, "count": 1}
    assert shares["capitals"] == {"share": 1.0, "count": 1}
    assert shares["article"] == {"share": 0.5, "count": 2}


def test_a_tag_is_possible_if_wordnet_has_the_word_in_that_form(small_wordnet):
    def tag_words(texts):
        return [["JJ" if word == "film" else "NN" for word in text.split()] for text in texts]

    shares = measures.compare_words(["the movie"], [["the film", "the films"]], tag_words)
    assert shares["same tag"]["share"] == 0.5
    assert shares["same tag possible"]["share"] == 1.0
    shares = measures.compare_words(["the film"], [["the movie"]], tag_words)
    assert shares["same tag possible"]["share"] == 0.0


def test_perplexity_is_the_median_over_variants_of_the_ratio():
    scores = {"good": (-2.0, 2), "better": (-1.0, 1), "worst": (-8.0, 2)}
    ratio = measures.perplexity_ratio(
        [["good"], [], ["better", "worst"]], [(-2.0, 1)] * 3, lambda texts: [scores[text] for text in texts]
    )
    assert ratio == pytest.approx(2.718281828**-1)
    assert measures.perplexity_ratio([[]], [(-2.0, 1)], lambda texts: []) is None


def test_texts_are_different_and_of_their_length_and_from_the_half_that_no_judge_learns_from(glue):
    populations = choose_populations(glue, 10)
    assert populations == choose_populations(glue, 10)
    assert all(len(set(texts)) == 10 for texts, _ in populations.values())
    assert all(len(text.split()) > 8 for text in populations["long"].texts)
    assert all(len(text.split()) <= 8 for text in populations["short"].texts)
    assert populations["cased"].labels is None
    with pytest.raises(SystemExit, match="expected 100"):
        choose_populations(glue, 100)


def test_it_goes_from_texts_to_tables_and_measures_nothing_twice(run, tmp_path, monkeypatch):
    options = ("--augmenters", "wordnet", "swap", "mlm", "--peers", "nlpaug SynonymAug")
    printed = run(*options)
    assert "nlpaug SynonymAug is left without variants: there is no nlpaug SynonymAug here" in printed
    tables = (tmp_path / "out" / "tables.md").read_text()
    assert tables in printed
    rows = [line.split(" | ")[0] for line in tables.splitlines() if line.startswith("| ")]
    assert rows == ["| source", "| wordnet", "| swap", "| mlm"] * 9  # three tables of three populations
    monkeypatch.setattr(augment_quality, "run_augmenter", None)
    assert run("--augmenters", "wordnet", "--peers").startswith("SST-2, more than 8 words:")
    with pytest.raises(SystemExit, match="Name another --output_dir"):
        run("--num_variants", 3)


def test_a_judge_is_asked_later_and_then_known(run, tmp_path, monkeypatch):
    options = ("--augmenters", "swap", "--peers", "--populations", "short")
    monkeypatch.setattr(
        augment_quality.label_flips, "parse_arguments", short_training(augment_quality.label_flips.parse_arguments)
    )
    assert "flips" not in run(*options)
    printed = run(*options, "--num_judge", 8)
    assert "flips by 8" in printed and "the judge is right on" in printed
    assert "flips by" not in run(*options, "--num_judge", 8)
    found = json.loads((tmp_path / "out" / "short-swap.json").read_text())["flips by 8"]
    assert 0 <= found["all"] <= 1 and 0 <= found["judge_right"] <= 1
    assert len(list((tmp_path / "out" / "judge").glob("*/model.safetensors"))) == 2


def short_training(parse_arguments):
    return lambda argv: parse_arguments([*argv, "--num_steps", "2", "--num_novice", "4"])


def test_a_reading_sheet_has_equal_parts_and_does_not_tell_their_sources(run, tmp_path):
    run("--augmenters", "swap", "typos", "--peers")
    sheet = tmp_path / "sheet.csv"
    options = [str(tmp_path / "out"), "--sources", "swap", "typos", "--num_variants", "12", "--output", str(sheet)]
    assert reading_sheet.main(options) == 0
    rows, key = (list(csv.DictReader(path.open())) for path in (sheet, tmp_path / "sheet.key.csv"))
    assert list(rows[0]) == ["number", "original", "variant", "grammatical", "same_meaning"]
    assert [row["number"] for row in rows] == [row["number"] for row in key] == [str(i + 1) for i in range(12)]
    kinds = [(row["source"], row["population"]) for row in key]
    assert {kinds.count(kind) for kind in kinds} == {3} and len(set(kinds)) == 4
    assert kinds != sorted(kinds)
    assert len({row["original"] for row in rows}) == 12
    assert all(row["original"] != row["variant"] and not row["grammatical"] for row in rows)
    before = sheet.read_text()
    reading_sheet.main(options)
    assert sheet.read_text() == before


@pytest.mark.parametrize(
    "text", ["It's good, but they don't care (much).", "it 's good , but they do n't care ( much ) ."]
)
def test_spelling_does_not_tell_how_a_text_was_split(text):
    assert reading_sheet.spelt_alike(text) == "it's good, but they don't care (much)."
