"""The page of a report in a real browser."""

import json
from pathlib import Path

import pytest
from browser import CHROMIUM, assert_fits
from report_pages import HARDEST, predictions, scored, summary

from hf_mmel.report.page import write_page


LONG = "unbreakable" * 30


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    """A page with all sections, and with text that cannot be broken at spaces."""
    rows = [*HARDEST, {**HARDEST[0], "original": LONG, "variant": LONG + "x", "label": LONG}]
    known = summary(name=LONG, hardest=rows, arguments={LONG: LONG}, command=LONG, augmenter={"class": LONG})
    variants = scored(LONG, LONG + "y", ("bad", LONG))
    folder = tmp_path_factory.mktemp("report")
    (folder / "attack").mkdir()
    success = {"success": True, "text": LONG + "y", "prediction": LONG, "words_changed": 1.0}
    row = {"text": LONG, "label": LONG, "prediction": LONG, "greedy": success}
    attack = {"num_examples": 1, "attacks": ["greedy"], "data": LONG, "budget": 9, "weights": {}}
    (folder / "attack" / "attack.json").write_text(json.dumps({**attack, "augmenter": {"class": LONG}}))
    (folder / "attack" / "attack.jsonl").write_text(json.dumps(row))
    return write_page(folder, known, predictions(("bad", LONG)), variants, [LONG], 0.5)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_a_page_fits_its_window_without_errors_and_requests(page, tmp_path, width, scheme):
    assert_fits(page, tmp_path, width, scheme)
