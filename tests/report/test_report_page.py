"""The page of a report: what is on it, and what never is."""

import io
import re
from functools import partial
from itertools import pairwise

import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure
from report_pages import COUNT, EVIL, HARDEST, PAPERS, Page, predictions, scored, summary, undrawn

from augment.core.variant_count import ADVICE, VariantCount
from hf_mmel.report.layout import LIGHT, MAX_SPOTS, picture
from hf_mmel.report.page import write_page
from hf_mmel.report.pictures import MAX_STRIPS, draw_confusion, draw_lines, draw_scatter
from hf_mmel.report.predictions import Predictions, ScoredVariants


pytestmark = pytest.mark.integration  # every page has its pictures drawn


@pytest.fixture
def page(tmp_path):
    """Writes and reads a page."""

    def page(run, predictions=None, variants=None, missing=(), min_confidence=0.75):
        path = write_page(tmp_path, run, predictions, variants, missing, min_confidence)
        return Page(path.read_text(encoding="utf-8"))

    return page


def test_all_that_is_known_has_a_section(page):
    found = page(summary(), predictions(), scored())
    assert found.ids == [
        *("loss", "scores", "variant-loss", "weights", "effective", "confusion", "calibration", "flips", "hardest"),
        "configuration",
    ]
    for text in ("films", "0.75", "LexiconSubstitution", "python train.py", "label good, 90 % on the original"):
        assert text in found.text


def test_examples_without_variants_are_told_of(page):
    plenty = page(undrawn(), None, scored()).text
    assert "variants: 1.00 different variants on average, of 2 (counted on 1 of 9 examples)." in plenty
    assert ADVICE not in plenty
    without = VariantCount(2, examples=8, without=8, different=0)
    none = page(undrawn(), None, scored()._replace(originals=[], texts=[], variant_count=without)).text
    assert f"No training example has a variant (counted on 8 of 9 examples). {ADVICE}" in none


def test_what_is_not_known_has_no_section(page):
    bare = summary(log=[], scores={}, weight_histograms=[], hardest=[], method=None, settings={}, augmenter=None)
    found = page(bare)
    assert found.ids == ["configuration"] and "plain fine-tuning" in found.text
    assert page(summary(log=[]), None, None).ids == ["weights", "hardest", "configuration"]
    assert page(bare, missing=["There is no data."]).ids == ["missing", "configuration"]


def test_a_page_loads_nothing_and_runs_nothing(page):
    found = page(summary(), predictions(), scored())
    assert len(found.loaded) > 10 and all(address.startswith("data:") for address in found.loaded)
    assert found.links == {*PAPERS, "#flips"}
    assert "default-src 'none'" in found.html
    assert "script" not in found.tags and "url(" not in found.styles and "@import" not in found.styles


def test_all_text_is_escaped(page):
    row = {**HARDEST[0], "original": EVIL, "variant": EVIL + "b", "label": EVIL}
    names = (EVIL, "good " + EVIL)
    log = [{"step": step, "loss": 1.0, f"eval_{EVIL}": 0.5} for step in (1, 2)]
    everywhere = summary(
        **dict.fromkeys(("name", "dataset", "command"), EVIL),
        **{"scores": {EVIL: 1.0}, "log": log, "hardest": [row], "arguments": {EVIL: EVIL}},
        augmenter={"class": EVIL, EVIL: EVIL},
    )
    found = page(everywhere, predictions(names), scored(EVIL, EVIL + " good", names), [EVIL])
    assert "script" not in found.tags
    assert found.text.count("alert('&')") >= 15  # read as text, everywhere


def test_tokens_and_folders_are_left_out(page):
    token = "hf_abcdefghijklmnop"
    found = page(undrawn(dataset=token), missing=[f"There is no file /disk/me/secret/train.csv, {token}"])
    assert token not in found.html and "/disk/me" not in found.html and "train.csv" in found.text


def test_words_that_go_and_come_are_marked_in_words_too(page):
    found = page(undrawn(), None, scored())
    assert "<del>good</del> <ins>bad</ins>" in found.html
    assert "[removed: " in found.styles and "[added: " in found.styles


def test_only_confident_flips_are_shown(page):
    assert page(undrawn(), None, scored(), min_confidence=0.9).text.count("on the variant") == 0
    assert "There are none." in page(undrawn(), None, scored(), min_confidence=0.9).text
    assert page(undrawn(), None, scored(), min_confidence=0.8).text.count("on the variant") == 1


def test_a_regression_has_a_scatter_and_prediction_shifts(page):
    outputs, labels = np.array([1.0, 2.5]), np.array([1.5, 2.0])
    arrays = [np.array([x]) for x in (2.0, 2.1, 4.0)]
    moved = ScoredVariants("regression", [], ["a film"], ["a movie"], *arrays, COUNT, 1)
    found = page(undrawn(), Predictions("regression", ["LABEL_0"], outputs, labels, {}), moved)
    assert "scatter" in found.ids and not {"confusion", "calibration", "labels"} & set(found.ids)
    assert "label 2 2.1 on the original 4 on the variant" in found.text


def test_a_model_that_learned_nothing_is_told_of_first(page):
    labels, names = np.arange(60) % 4, ["a", "b", "c", "d"]
    outputs = np.full((60, 4), 0.24) + 0.04 * np.eye(4)[np.where(np.arange(60) < 15, labels, (labels + 1) % 4)]
    found = page(undrawn(), Predictions("single_label_classification", names, outputs, labels, {})).text
    first = "The model does not beat the majority class : it is right on 25.0 % of the validation examples, and always"
    assert f"{first} predicting “a” on 25.0 %." in found
    assert "fill 1 of 15 bins, which says little about their calibration" in found and "well calibrated" not in found
    assert found.index(first) < found.index("fill 1 of 15 bins")
    better = np.where(np.arange(60) < 16, labels, (labels + 1) % 4)
    found = page(undrawn(), Predictions("single_label_classification", names, np.eye(4)[better], labels, {})).text
    assert "The model is not shown to beat the majority class : it is right on 26.7 %" in found
    assert "Chance explains the difference." in found


def test_of_a_model_that_learned_something_no_guess_is_told(page):
    labels = np.arange(60) % 4
    found = page(undrawn(), Predictions("single_label_classification", list("abcd"), np.eye(4)[labels], labels, {}))
    assert "majority" not in found.text


def test_a_regression_that_is_no_better_than_the_mean_is_told_of_first(page):
    labels = np.array([1.0, 2, 3])
    for outputs, is_told in (([2, 2, 2], True), ([3, 2, 1], True), ([1, 2, 2.5], False)):
        kept = Predictions("regression", ["LABEL_0"], np.array(outputs, dtype=float), labels, {})
        assert ("The model does not beat the mean of the labels" in page(undrawn(), kept).text) == is_told


def test_several_labels_have_a_table_and_flips_by_label(page):
    kind, names = "multi_label_classification", ["sad", "funny"]
    outputs, labels = np.array([[0.9, 0.2], [0.8, 0.4]]), np.array([[1.0, 0], [0, 1]])
    arrays = np.array([[1.0, 0]]), np.array([[0.9, 0.2]]), np.array([[0.9, 0.85]])
    flipped = ScoredVariants(kind, names, ["a film"], ["a movie"], *arrays, COUNT, 1)
    found = page(undrawn(), Predictions(kind, names, outputs, labels, {}), flipped)
    assert {"labels", "calibration", "flips"} <= set(found.ids) and "confusion" not in found.ids
    assert "funny: no, 80 % on the original yes, 85 % on the variant" in found.text
    assert "On 1 variants the final model gets 1 labels wrong" in found.text
    assert "sad 1 2 50.0 % 100.0 %" in found.text


def test_pictures_are_files_of_both_themes_too(page, tmp_path):
    page(summary(), predictions(), scored())
    names = {path.name for path in (tmp_path / "report").iterdir()}
    assert {"loss.png", "loss-dark.png", "calibration.png", "weights-dark.png"} <= names
    corners = [matplotlib.image.imread(tmp_path / "report" / name)[0, 0, :3].mean() for name in sorted(names)]
    assert all(corner < 0.3 for corner in corners[::2]) and all(corner > 0.9 for corner in corners[1::2])


@pytest.mark.parametrize("num_classes", [3, 20, 80])
def test_many_classes_and_long_names_are_drawn(page, num_classes):
    outputs = np.full((5, num_classes), 1 / num_classes)
    names = [f"$a class of number_{i} with a name of its own" for i in range(num_classes)]
    labels = np.arange(5) % num_classes
    found = page(undrawn(), Predictions("single_label_classification", names, outputs, labels, {}))
    assert "confusion" in found.ids


def test_curves_are_of_finite_numbers():
    log = [{"step": i, "loss": value} for i, value in enumerate([2.0, "x", None, float("nan"), float("inf"), 1])]
    assert summary(log=[*log, {"step": 6}]).curve("loss") == {0: 2.0, 5: 1}


def test_a_single_logged_loss_is_a_marker_at_its_step(page):
    one = summary(log=summary().log[:1], weight_histograms=summary().weight_histograms[:1])
    assert page(one).ids[:3] == ["loss", "variant-loss", "weights"]
    figure = Figure()
    (value,) = draw_lines(figure, LIGHT, {"training": {7: 0.5}}, "loss")
    axes = figure.axes[0]
    (line,) = axes.lines
    assert line.get_marker() not in ("", "None", None) and line.get_markersize() > 6
    assert list(axes.get_xticks()) == [7] and value.text == "step 7: loss 0.5"

    def draw(figure, theme):
        return draw_lines(figure, theme, {"training": {7: 0.5}}, "loss")

    for content in picture(draw)[:2]:
        pixels = matplotlib.image.imread(io.BytesIO(content))[..., :3]
        assert (np.ptp(pixels, axis=2) > 0.3).sum() > 200, "nothing but the marker has a colour"


def test_curves_show_the_values_of_each_step_under_the_mouse():
    lines = {"training": {10: 0.5, 20: 0.25}, "validation": {20: 0.375}}
    shown = picture(partial(draw_lines, lines=lines, label="loss"))
    assert [spot.text for spot in shown.spots] == ["step 10: training 0.5", "step 20: training 0.25, validation 0.375"]
    first, second = shown.spots
    assert first.x + first.width == pytest.approx(second.x, abs=0.2) and first.height == second.height > 200
    assert first.x > 0 and second.x + second.width < shown.width and second.y + second.height < shown.height


def test_a_long_curve_shows_some_steps_and_a_picture_with_too_many_values_none():
    long = {step: 1 / step for step in range(1, 1001)}
    spots = picture(partial(draw_lines, lines={"training": long}, label="loss")).spots
    assert 100 <= len(spots) <= MAX_STRIPS
    numbers = np.arange(MAX_SPOTS + 1.0)
    many = Predictions("regression", ["LABEL_0"], numbers, numbers, {})
    assert picture(partial(draw_scatter, predictions=many)).spots == []


def test_every_picture_shows_its_values(page):
    html = page(summary(), predictions(), scored()).html
    titles = re.findall(r"<rect [^>]*><title>(.*?)</title>", html)
    assert html.count("<svg") == html.count("<img") == 7
    for text in (
        *(
            "step 10: training 0.5, validation 0.6",
            "step 10: accuracy 0.167",
            "step 10: effective number of variants 2.5",
        ),
        "step 10: 5.0% of the weights from 0 to 0.05",
        "label bad, predicted bad: 1, 100.0% of the label",
        "100.0% of 1 are right, mean confidence 90.0%",
    ):
        assert text in titles


def test_the_last_epoch_comes_first(page):
    text = page(undrawn()).text
    assert 0 < text.index("Epoch 2") < text.index("Epoch 1")


def test_sentences_are_apart(page):
    assert "originals. The weights" in page(summary()).text


@pytest.mark.parametrize("label, text", [(4.599999904632568, "4.6"), ([0.25, 1.0], "0.25, 1"), ("", "none"), (3, "3")])
def test_labels_of_the_hardest_variants_are_read_as_people_write_them(page, label, text):
    found = page(undrawn(hardest=[{**HARDEST[0], "label": label}]))
    assert f'<span class="tag">label {text}</span>' in found.html


def test_rows_of_the_confusion_matrix_are_labels():
    outputs, labels = np.eye(3)[[0, 2, 2, 1]], np.array([0, 0, 2, 1])
    figure = Figure()
    draw_confusion(figure, LIGHT, Predictions("single_label_classification", list("abc"), outputs, labels, {}))
    counts = [int(text.get_text()) for text in figure.axes[0].texts]
    assert counts == [1, 0, 1, 0, 1, 0, 0, 0, 1]
    positions = [(text.get_position()) for text in figure.axes[0].texts]
    assert positions == [(column, row) for row in range(3) for column in range(3)]
    assert figure.axes[0].get_ylabel() == "label" and figure.axes[0].yaxis_inverted()


def test_names_of_classes_do_not_run_into_each_other():
    names = ["a rather long name", "another long name", "and a third one"]
    outputs, labels = np.full((3, 3), 1 / 3), np.arange(3)
    figure = Figure()
    draw_confusion(figure, LIGHT, Predictions("single_label_classification", names, outputs, labels, {}))
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in figure.axes[0].get_xticklabels()]
    assert all(left.x1 <= right.x0 for left, right in pairwise(boxes))


def test_a_line_keeps_off_the_edge_of_its_picture():
    figure = Figure()
    draw_lines(figure, LIGHT, {"training": {1: 0.69, 2: 0.68}}, "loss")
    bottom, top = figure.axes[0].get_ylim()
    assert bottom == 0 and top > 1.05 * 0.69
