"""The page and the pictures of a comparison."""

import io

import numpy as np
import pytest
from browser import CHROMIUM, assert_fits
from finished_runs import ACCURACY, COMMAND, HARD, NONE, SOFT, document_of, rows_with_tests
from matplotlib.figure import Figure
from matplotlib.image import imread
from report_pages import EVIL, Page

from hf_mmel.compare.methods import METHODS
from hf_mmel.compare.page import write_page
from hf_mmel.compare.picture import COLORS, draw, draw_differences, draw_scores, pictures
from hf_mmel.compare.plan import TEMPERATURE, Criterion, Setting
from hf_mmel.compare.text import Document, named
from hf_mmel.report.layout import DARK, LIGHT


LABELS = ["no augmentation", "MMEL-H (hard labels) with wordnet", "MMEL-S (soft labels) with wordnet"]


@pytest.fixture(scope="module")
def rows():
    return rows_with_tests()


@pytest.fixture
def page(tmp_path):
    """Writes and reads a page."""

    def page(rows, document=None, **arguments):
        write_page(tmp_path, document or document_of(rows), rows, ACCURACY, 200, arguments)
        return Page((tmp_path / "compare.html").read_text(encoding="utf-8"))

    return page


def drawn(on, rows, criterion=ACCURACY):
    """The axes of a picture, and its values."""
    figure = Figure()
    values = on(figure.subplots(), LIGHT, rows, criterion)
    return figure.axes[0], [value.text for value in values]


def test_every_method_has_a_name_of_its_own_for_readers_and_a_colour():
    labels = [method.label for method in METHODS.values()]
    assert len(set(labels)) == len(labels) and not any("_" in label for label in labels)
    assert list(COLORS) == list(METHODS) and all(len(colors) == 2 for colors in COLORS.values())
    assert [named(setting) for setting in (NONE, HARD, SOFT)] == LABELS


def test_tables_conclusions_and_pictures_have_the_names_for_readers_and_results_those_of_the_options(rows, page):
    text, html = document_of(rows).markdown, page(rows)
    for label in LABELS:
        assert f"“{label}”" in text and f"“{label}”" in html.text
    for on in (draw_scores, draw_differences):
        axes, values = drawn(on, rows)
        assert [text.get_text() for text in axes.texts] == LABELS
        assert all(value.startswith(tuple(LABELS)) for value in values)
    assert [(row.to_dict()["method"], row.to_dict()["augmenter"]) for row in rows] == [NONE, HARD, SOFT]


def test_page_and_markdown_have_the_same_tables_and_sentences(rows, page):
    document = document_of(rows, ["none-seed-4: no room"])
    found, lines = page(rows, document), document.markdown.splitlines()
    assert [table.title for table in document.tables] == [
        *("Scores", "Worst case", "Calibration", "Paired tests of each seed"),
    ]
    cells = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
    shown = [[cell.replace("\n", " ") for cell in row] for row in found.cells[: len(cells)]]
    assert shown == cells and any("200" not in row and "0.5267" in row for row in cells)
    for sentence in document.conclusions:
        assert f"- {sentence}" in lines and sentence in found.text
    assert "none-seed-4: no room" in found.text and COMMAND in found.text


def test_clean_and_worst_case_accuracy_and_the_tests_of_each_seed_are_rows(rows):
    _, worst, _, tests = document_of(rows).tables
    assert worst.header[3::3] == ["accuracy", "worst-case accuracy"]
    assert [row[:3] for row in tests.rows[:3]] == [
        ["MMEL-H (hard labels)", "wordnet", f"{seed}"] for seed in (1, 2, 3)
    ]
    one = rows[1].test.seeds[1]
    assert tests.rows[0][3:5] == [str(one.only_baseline), str(one.only_setting)]


def test_the_page_loads_nothing_and_runs_nothing(rows, page):
    found = page(rows)
    assert len(found.loaded) == 5 and all(address.startswith("data:") for address in found.loaded)
    assert "http:" not in found.html and "https:" not in found.html and not found.links
    assert "default-src 'none'" in found.html and "script" not in found.tags
    assert "url(" not in found.styles and "prefers-color-scheme: dark" in found.styles


def test_the_page_has_all_sections_and_the_settings_without_folders(rows, page):
    found = page(rows, model_name_or_path="/disk/me/bert", lambda_p=0.5, max_steps=-1, lambda_t=None, unknown=3)
    assert found.ids == [
        *("scores", "each-seed", "differences", "worst-case", "calibration", "paired-tests-of-each-seed"),
        "configuration",
    ]
    assert "model_name_or_path bert lambda_p 0.5 Command" in found.text and "/disk/me" not in found.html
    assert "films · comparison by accuracy, higher is better" in found.text
    assert "2 settings" in page(rows_with_tests([NONE, TEMPERATURE])).text
    assert "3 runs" in page(rows_with_tests([NONE, TEMPERATURE])).text, "temperature scaling trains nothing"
    assert "3 settings" in found.text and "9 runs" in found.text and "200 validation examples" in found.text


def test_before_a_run_is_finished_the_page_says_why(page):
    found = page([], Document([], ["No run is finished yet."], [f"none-seed-1: hf_abcdefghij {EVIL}"], COMMAND))
    assert found.ids == ["failed", "configuration"] and "No run is finished yet." in found.text
    assert "script" not in found.tags and "hf_abcdefghij" not in found.html


@pytest.mark.parametrize(
    ("seeds", "label"),
    [
        ((1, 2, 3), "mean and 95% interval over 3 seeds (Student's t)"),
        ((1, 2), "mean over 2 seeds, without an interval"),
        ((1,), "mean over 1 seed, without an interval"),
    ],
)
def test_the_axes_have_a_unit_and_say_what_the_interval_is(seeds, label):
    rows = rows_with_tests(seeds=seeds)
    scores, differences = (
        drawn(on, rows)[0].get_xlabel().replace("\n", " ") for on in (draw_scores, draw_differences)
    )
    assert scores == "accuracy (%), higher is better each seed, and their mean"
    assert differences == f"difference to no augmentation (percentage points) {label}"


def test_scores_without_a_unit_are_drawn_as_they_are(rows):
    axes, values = drawn(draw_scores, rows, Criterion("eval_pearson_r", True))
    assert axes.get_xlabel().startswith("pearson r, lower is better") and 0.5 < axes.get_xlim()[1] < 1
    assert values[:2] == [f"no augmentation, mean: {rows[0].mean:.4f}", "no augmentation, seed 1: 0.5200"]


def test_values_are_shown_where_they_are_drawn(rows):
    for name, found in pictures(rows, ACCURACY).items():
        for theme, content in ((LIGHT, found.light), (DARK, found.dark)):
            pixels = imread(io.BytesIO(content))[..., :3]
            assert pixels.shape[:2] == (found.height, found.width)
            assert abs(pixels[0, 0] - [int(theme.background[i : i + 2], 16) / 255 for i in (1, 3, 5)]).max() < 0.01
            for spot in found.spots:
                x, y = int(spot.x + spot.width / 2), int(spot.y + spot.height / 2)
                around = pixels[y - 3 : y + 4, x - 3 : x + 4]
                assert np.ptp(around, axis=(0, 1)).max() > 0.1 or abs(around - pixels[0, 0]).max() > 0.1, spot
        texts = [spot.text for spot in found.spots]
        assert len(texts) == (12 if name == "scores" else 8)
        if name == "scores":
            assert texts[:2] == [
                f"no augmentation, mean: {100 * rows[0].mean:.2f} %",
                "no augmentation, seed 1: 52.00 %",
            ]
        else:
            first = f"MMEL-H (hard labels) with wordnet, mean: +{100 * rows[1].difference:.2f} points, 95% interval "
            assert texts[0].startswith(first)


def test_nothing_is_cut_off_and_the_differences_are_drawn_where_there_are_any(rows):
    both, alone = (imread(io.BytesIO(draw(of, ACCURACY)))[..., :3] for of in (rows, rows[:1]))
    for pixels in (both, alone):
        edges = (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])
        assert all((edge == 1).all() for edge in edges), "nothing is cut off"
    assert both.shape[0] > alone.shape[0] and both.shape[1] == 2 * alone.shape[1]
    blue = abs(both - [0, 0x72 / 255, 0xB2 / 255]).max(axis=-1) < 0.02
    right = blue[:, both.shape[1] // 2 :]
    assert blue[:, : both.shape[1] // 2].any() and right.sum(axis=1).max() > 0.1 * right.shape[1], "a line"


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_a_page_fits_its_window_without_errors_and_requests(tmp_path, width, scheme):
    long = "unbreakable" * 30
    rows = rows_with_tests([NONE, Setting("hard", long)])
    document = document_of(rows, [long])._replace(command=long)
    write_page(tmp_path, document, rows, ACCURACY, 200, {"model_name_or_path": long})
    assert_fits(tmp_path / "compare.html", tmp_path, width, scheme)
