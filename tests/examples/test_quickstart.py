"""The notebook examples/quickstart.ipynb: it runs, and its stored outputs are those of its code."""

import json
import re
import sys
from pathlib import Path

import pytest


sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

from _tiny import make_config, make_tokenizer
from transformers import BertForSequenceClassification, set_seed


NOTEBOOK = Path(__file__).parents[2] / "examples" / "quickstart.ipynb"
CHECKPOINT = "sentence-transformers/all-MiniLM-L6-v2"


@pytest.fixture(scope="module")
def cells():
    return json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]


def code(cells):
    return [cell for cell in cells if cell["cell_type"] == "code"]


def shown(cell, kind):
    """What a cell has stored of a kind: texts of results, or of tables."""
    data = [output["data"] for output in cell["outputs"] if "data" in output]
    return ["".join(entry[kind]) for entry in data if kind in entry]


def test_the_notebook_is_short_and_its_outputs_are_those_of_one_run_from_the_top(cells):
    assert len(cells) <= 10
    assert [cell["execution_count"] for cell in code(cells)] == [1, 2, 3, 4]
    kinds = {output["output_type"] for cell in code(cells) for output in cell["outputs"]}
    assert kinds == {"stream", "display_data", "execute_result"}  # no error


def test_the_links_of_the_notebook_lead_somewhere(cells):
    text = "".join(line for cell in cells if cell["cell_type"] == "markdown" for line in cell["source"])
    links = [re.sub(r"\s", "", link) for link in re.findall(r"\]\((.*?)\)", text, flags=re.DOTALL)]
    assert links and all((NOTEBOOK.parent / link.partition("#")[0]).is_file() for link in links)


@pytest.mark.integration
def test_the_notebook_trains_a_classifier_and_stores_what_it_shows(cells, wordnet, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    sources = ["".join(cell["source"]) for cell in code(cells)]
    tokenizer = make_tokenizer([*(re.sub(r"[^a-z]", " ", source.lower()) for source in sources), ". , ! …"])
    tokenizer.save_pretrained("model")
    set_seed(0)
    BertForSequenceClassification(make_config(tokenizer)).save_pretrained("model")
    names = {}
    for source in sources:
        exec(source.replace(CHECKPOINT, "model"), names)

    _, variants, training, prediction = code(cells)
    stored, printed = "".join(variants["outputs"][0]["text"]), capsys.readouterr().out
    assert [line for line in stored.splitlines() if line[0] != " "] == names["train"]["text"][:3]
    assert stored.splitlines()[0] in printed and re.search(r"\n    \w", printed)
    assert shown(variants, "text/plain") == [repr(names["augmenter"])]

    trainer = names["trainer"]
    table, *hardest = shown(training, "text/html")
    metrics = [name for log in trainer.state.log_history for name in log if name.startswith("mmel/")]
    titles = re.findall("<th>(.*?)</th>", table)
    assert len(re.findall("<td>", table)) == len(titles) * trainer.args.num_train_epochs
    assert titles[-5:] == [" ".join(name[5:].split("_")).title() for name in dict.fromkeys(metrics)]
    assert len(hardest) == trainer.args.num_train_epochs and printed.count("Hardest variants of epoch") == len(hardest)

    (found,) = shown(prediction, "text/plain")
    assert re.findall("'label': '(.*?)'", found) == list(trainer.model.config.id2label.values())[::-1]
