"""What is on a page, and summaries of training runs to write pages of."""

import re
from html.parser import HTMLParser

import numpy as np

from augment.core.variant_count import VariantCount
from hf_mmel.report.predictions import Predictions, ScoredVariants
from hf_mmel.report.summary import RunSummary


PAPERS = {"https://arxiv.org/abs/1706.04599", "https://arxiv.org/abs/2103.08933"}
EVIL = "<script>alert('&')</script>"
COUNT = VariantCount(2, examples=1, without=0, different=1)
STEPS = range(10, 60, 10)
LOG = [
    {
        "step": step,
        "epoch": step / 25,
        "loss": 5 / step,
        "mmel/loss_original": 4 / step,
        "mmel/loss_variants": 6 / step,
    }
    | {"mmel/max_weight": 0.5, "mmel/effective_num_variants": 2.5, "eval_loss": 6 / step, "eval_accuracy": step / 60}
    for step in STEPS
]
HISTOGRAMS = [{"step": step, "epoch": step / 25, "counts": [step] * 20} for step in STEPS]
HARDEST = [
    {"epoch": epoch, "step": 25, "original": "a good film", "variant": "a bad film", "label": "good"}
    | {"weight": 0.75, "loss": 3.25, "loss_original": 0.125}
    for epoch in (1.0, 2.0)
]
SETTINGS = {"mmel_loss": "hard", "num_variants": 3, "reweight_original": True, "lambda_p": 1.0}


class Page(HTMLParser):
    """The parts of a page: sections by their ids, its text, what it loads, and where its links lead."""

    def __init__(self, html: str):
        super().__init__()
        self.html, self.ids, self.tags, self.loaded, self.links, self.texts = html, [], set(), [], set(), []
        self.cell = False
        self.cells: list[list[str]] = []  # of the tables, row by row
        self.feed(html)
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.add(tag)
        self.cells += [[]] if tag == "tr" else []
        if tag in ("td", "th"):
            self.cells[-1].append("")
        self.cell = tag in ("td", "th")
        self.ids += [attrs["id"]] if tag == "section" else []
        self.loaded += [attrs[name] for name in ("src", "srcset", "data") if name in attrs]
        if "href" in attrs:
            (self.links.add if tag == "a" else self.loaded.append)(attrs["href"])

    def handle_data(self, data):
        self.texts.append(data)
        if self.cell:
            self.cells[-1][-1] += data

    def handle_endtag(self, tag):
        self.cell = False

    @property
    def styles(self) -> str:
        return "".join(re.findall(r"<style>(.*?)</style>", self.html, flags=re.DOTALL))


def summary(**changes) -> RunSummary:
    """A training with variants of which all is known."""
    known = {"name": "reviews", "dataset": "films", "scores": {"accuracy": 0.75, "loss": 0.5}, "log": LOG}
    known |= {"weight_histograms": HISTOGRAMS, "hardest": HARDEST, "method": "hard", "settings": SETTINGS}
    known |= {"augmenter": {"class": "LexiconSubstitution"}, "arguments": {"seed": "7"}, "command": "python train.py"}
    return RunSummary(**{**known, **changes})


def undrawn(**changes) -> RunSummary:
    """The same without what takes time to draw."""
    return summary(log=[], weight_histograms=[], **changes)


def predictions(names=("bad", "good")) -> Predictions:
    outputs = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    return Predictions("single_label_classification", list(names), outputs, np.array([0, 1, 1]), {})


def scored(original="a good film", variant="a bad film", names=("bad", "good")) -> ScoredVariants:
    before, after = np.array([[0.1, 0.9]]), np.array([[0.8, 0.2]])
    texts = [original], [variant]
    return ScoredVariants("single_label_classification", list(names), *texts, np.array([1]), before, after, COUNT, 9)
