import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import SENTENCES, WORDS
from files import write_rows
from transformers import BertConfig, BertForMaskedLM

from augment import MaskedLMSubstitution
from augment.__main__ import main
from augment.core.marking import PLAIN, marked
from augment.core.variant_count import ADVICE


ROOT = Path(__file__).parents[3]
MOVIE = "The movie was awful, said the children."


@pytest.fixture
def run(wordnet, wordnet_cache, tmp_path, monkeypatch, capsys):
    """Runs a command in an empty folder with the small WordNet, and returns what it prints, line by line."""
    monkeypatch.setenv("HF_MMEL_CACHE", str(wordnet_cache))
    monkeypatch.chdir(tmp_path)

    def run(*argv: str) -> list[str]:
        assert main([*argv]) == 0, capsys.readouterr().err
        return capsys.readouterr().out.splitlines()

    return run


@pytest.fixture
def lexicon(tmp_path) -> str:
    """A file that describes an augmenter."""
    path = tmp_path / "lexicon.json"
    path.write_text(json.dumps({"class": "LexiconSubstitution", "words": WORDS, "replace_prob": 0.5}))
    return str(path)


def test_preview_shows_the_text_and_its_variants(run):
    lines = run("preview", "--text", MOVIE, "--num_variants", "3")
    assert lines[0] == f"0  {MOVIE}"
    assert [line[:3] for line in lines] == ["0  ", "1  ", "2  ", "3  "]
    assert len({line[3:] for line in lines}) == 4
    assert lines == run("preview", "--text", MOVIE, "--num_variants", "3")
    assert lines != run("preview", "--text", MOVIE, "--num_variants", "3", "--seed", "1")


def test_replace_prob_of_one_replaces_every_word_that_it_can(run):
    for line in run("preview", "--text", MOVIE, "--replace_prob", "1", "--num_variants", "2", "--no_marks")[1:]:
        assert not {"movie", "children"} & set(line.strip(".").split())


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_preview_of_a_file_shows_its_first_rows(run, tmp_path, name):
    write_rows(tmp_path / name, [{"sentence": text} for text in SENTENCES])
    lines = run("preview", "--file", name, "--column", "sentence", "--num_rows", "2", "--num_variants", "1")
    assert [lines[0], lines[2], lines[3]] == [f"0  {SENTENCES[0]}", "", f"0  {SENTENCES[1]}"]
    assert len(lines) == 5


def test_preview_shows_the_variants_that_write_writes(run, tmp_path, lexicon):
    write_rows(tmp_path / "a.jsonl", [{"text": text} for text in SENTENCES])
    shown = run("preview", "--file", "a.jsonl", "--augmenter", lexicon, "--no_marks")
    run("write", "a.jsonl", "b.jsonl", "--augmenter", lexicon, "--keep_original")
    written = [json.loads(line) for line in Path("b.jsonl").read_text().splitlines()]
    assert [line for line in shown if line[:1].isdigit()] == [f"{row['variant']}  {row['text']}" for row in written]


@pytest.mark.parametrize(
    ("text", "found", "end"), [("odd day", 2, "no other variant found"), ("no way", 0, "no variant found")]
)
def test_preview_says_where_there_are_no_more_variants(run, lexicon, text, found, end):
    lines = run("preview", "--text", text, "--augmenter", lexicon, "--num_variants", "4")
    assert len({line[3:] for line in lines}) == len(lines) == found + 2
    assert (lines[0], lines[-1]) == (f"0  {text}", f"   {end}")
    assert (
        end not in "".join(run("preview", "--text", text, "--augmenter", lexicon, "--num_variants", "1")) or not found
    )


def test_preview_marks_changes_in_a_pipe_unless_told_not_to(run, lexicon):
    preview = ["preview", "--text", "odd day", "--augmenter", lexicon, "--num_variants", "2"]
    assert {line[3:] for line in run(*preview)[1:]} == {"[-odd-] {+unusual+} day", "[-odd-] {+strange+} day"}
    assert {line[3:] for line in run(*preview, "--no_marks")[1:]} == {"unusual day", "strange day"}


def test_marked_shows_what_is_gone_and_what_came():
    red, green, end = "\033[31;9m", "\033[32m", "\033[0m"
    assert marked("The movie, was bad", "The motion picture, was bad") == (
        f"The {red}movie{end} {green}motion picture{end}, was bad"
    )
    assert marked("very bad", "bad") == f"{red}very {end}bad"
    assert marked("so bad", "so very bad") == f"so {green}very {end}bad"
    assert marked("as it is", "as it is") == "as it is"
    assert marked("The movie, was bad", "The film, was very bad", PLAIN) == "The [-movie-] {+film+}, was {+very +}bad"


@pytest.mark.parametrize(
    ("terminal", "no_color", "coloured"), [(True, "", True), (True, "1", False), (False, "", False)]
)
def test_colours_are_for_terminals_that_want_them(run, monkeypatch, lexicon, terminal, no_color, coloured):
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    assert ("\033[" in "".join(run("preview", "--text", MOVIE, "--augmenter", lexicon))) == coloured


@pytest.mark.parametrize("name", ["wordnet", "delete", "swap", "insert"])
def test_each_name_stands_for_an_augmenter_that_changes_text(run, name):
    text = "children laughed and ran while the movie began"
    variants = run("preview", "--text", text, "--augmenter", name, "--num_variants", "2")[1:]
    assert all(variant[3:] != text for variant in variants)


def test_stats_count_words_candidates_changes_and_copies(run, tmp_path, lexicon):
    # Three words have candidates, two each. The second text can change in two ways only, the last ones in none.
    texts = ["the awful actors", "odd day", "no way", "no way"]
    write_rows(tmp_path / "a.jsonl", [{"text": text} for text in texts])
    (line,) = run("stats", "a.jsonl", "--augmenter", lexicon, "--json", "--num_variants", "4")
    report = json.loads(line)
    replaced = report.pop("share_of_words_replaced")
    assert report == {
        "file": "a.jsonl",
        "column": "text",
        "rows": 4,
        "words": 9,
        "share_of_words_with_candidates": pytest.approx(3 / 9),
        "candidates_per_such_word": 2.0,
        "variants": 16,
        "share_of_copies": pytest.approx(10 / 16),
        "share_of_rows_without_variants": 0.5,
        "different_variants_per_other_row": 3.0,
    }
    assert (4 + 2) / 36 <= replaced <= (8 + 2) / 36
    *lines, last = run("stats", "a.jsonl", "--augmenter", lexicon)[1:]
    shown = dict(line.rsplit(maxsplit=1) for line in lines)
    assert last == ADVICE
    assert (shown["words"], shown["share of words with candidates"]) == ("9", "33.3%")
    assert (shown["candidates per such word"], shown["share of copies"]) == ("2", "62.5%")
    assert (shown["share of rows without variants"], shown["different variants per other row"]) == ("50.0%", "3")


def test_stats_count_a_phrase_by_its_words(run, tmp_path):
    lexicon = {
        "class": "LexiconSubstitution",
        "words": {"no way": ["odd"], "story": ["tale", "plot"]},
        "replace_prob": 1,
    }
    (tmp_path / "phrases.json").write_text(json.dumps(lexicon))
    write_rows(tmp_path / "a.jsonl", [{"text": "no way but a story"}])
    (line,) = run("stats", "a.jsonl", "--augmenter", "phrases.json", "--json", "--num_variants", "1")
    report = json.loads(line)
    assert report["share_of_words_with_candidates"] == report["share_of_words_replaced"] == pytest.approx(3 / 5)
    assert report["candidates_per_such_word"] == pytest.approx(3 / 2)


def test_stats_leave_out_what_an_augmenter_cannot_tell(run, tmp_path):
    write_rows(tmp_path / "a.jsonl", [{"text": "odd day"}])
    (line,) = run("stats", "a.jsonl", "--augmenter", "swap", "--json")
    assert json.loads(line)["candidates_per_such_word"] is None
    assert not any("candidates" in line for line in run("stats", "a.jsonl", "--augmenter", "swap"))


def test_copies_that_are_meant_are_the_same_text_and_no_failure(run, tmp_path, lexicon):
    (tmp_path / "same.json").write_text(
        json.dumps({"class": "SameText", "augmenter": json.loads(Path(lexicon).read_text())})
    )
    options = ("--augmenter", "same.json", "--num_variants", "2")
    assert run("preview", "--text", "no way", *options)[1:] == ["1  no way  (same text)", "2  no way  (same text)"]
    assert not any("same text" in line for line in run("preview", "--text", "the awful actors", *options))
    write_rows(tmp_path / "a.jsonl", [{"text": text} for text in ("the awful actors", "no way", "the ran", "no way")])
    report = json.loads(run("stats", "a.jsonl", "--json", *options)[0])
    # "the ran" has one variant, and the other one is a copy that is left out.
    assert (report["share_of_same_text"], report["share_of_copies"]) == (4 / 8, 1 / 8)
    assert any(line.split() == ["share", "of", "same", "text", "50.0%"] for line in run("stats", "a.jsonl", *options))
    assert run("preview", "--text", "no way", "--augmenter", "same_text")[4] == "4  no way  (same text)"


@pytest.fixture
def model(tokenizer, tmp_path) -> str:
    """A folder with a tiny masked LM and its tokenizer."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertForMaskedLM(BertConfig(vocab_size=len(tokenizer), **sizes)).save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    return "model"


@pytest.mark.parametrize("name", ["mlm", "embedding"])
def test_model_gives_candidates_and_tokenizer(run, model, tmp_path, name):
    config = {"mlm": {"class": "MaskedLMSubstitution"}, "embedding": {"class": "EmbeddingNeighbours"}}[name]
    config |= {"model": model, "keep_inflection": False} | ({"min_similarity": -1} if name == "embedding" else {})
    (tmp_path / "parts.json").write_text(json.dumps({"class": "Compose", "augmenters": [config]}))
    lines = run("preview", "--text", "a superb story", "--augmenter", "parts.json")
    assert len({line[3:] for line in lines}) == 5
    assert run("preview", "--text", "a superb story", "--augmenter", name, "--model", model)[0] == "0  a superb story"


@pytest.mark.parametrize("command", ["write a.jsonl b.jsonl", "stats a.jsonl"])
def test_model_sees_the_whole_file_at_once(run, model, tmp_path, monkeypatch, command):
    seen = []
    monkeypatch.setattr("augment.cli.output.CHUNK", 2)
    monkeypatch.setattr(MaskedLMSubstitution, "precompute", lambda self, dataset: seen.append(len(dataset)))
    write_rows(tmp_path / "a.jsonl", [{"text": text} for text in SENTENCES])
    run(*command.split(), "--augmenter", "mlm", "--model", model)
    assert seen == [len(SENTENCES)]


def test_tokenizer_comes_by_folder(run, tmp_path, tokenizer, lexicon):
    tokenizer.save_pretrained(tmp_path / "saved")
    options = ["--augmenter", lexicon, "--tokenizer", "saved", "--num_variants", "3", "--no_marks"]
    lines = run("preview", "--text", "An Odd STORY", *options)
    assert {line[3:] for line in lines[1:]} == {"An Unusual TALE", "An Odd TALE", "An Unusual STORY"}


@pytest.mark.integration
def test_help_imports_nothing_heavy():
    heavy = {"torch", "transformers", "datasets", "pyarrow", "pandas", "nltk"}
    code = (
        "import sys; from augment.__main__ import main\n"
        f"try: main(['--help'])\nexcept SystemExit: print(*{heavy} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "" and "preview" in done.stdout


@pytest.mark.integration
def test_module_runs_as_a_command(tmp_path, lexicon):
    write_rows(tmp_path / "a.csv", [{"text": MOVIE}])
    command = [sys.executable, *f"-m augment write a.csv b.csv --augmenter {lexicon} --num_variants 1".split()]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "b.csv: 1 rows of 1 examples. Of 1 variants, 0 were copies and left out.\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "b.csv", "lexicon.json"]
