"""Line charts: every value is where its axis says."""

from itertools import pairwise
from xml.etree import ElementTree

import pytest

from hf_mmel.hub.charts import HEIGHT, WIDTH, draw


def drawn(line, **options):
    """Marks on the axes as numbers, and the points, in pixels."""
    root = ElementTree.fromstring(draw({"title": {"name": line}}, "step", **options))
    texts = [element for element in root.iter() if element.tag.endswith("text")]
    marks = {"x": {}, "y": {}}
    for text in texts:
        number = text.text.replace(".", "").replace("e+", "")
        if number.isdigit():
            axis = "y" if text.get("text-anchor") == "end" else "x"
            marks[axis][float(text.text)] = float(text.get(axis)) - (4 if axis == "y" else 0)
    circles = [element for element in root.iter() if element.tag.endswith("circle")]
    return marks, [(float(circle.get("cx")), float(circle.get("cy"))) for circle in circles]


@pytest.mark.parametrize(
    "line", [{10: 0.25, 20: 0.4, 30: 1.0}, {1: 3.0}, {500: 0.001, 100000: 0.07}, dict.fromkeys(range(1, 41), 4.2)]
)
def test_points_lie_between_the_marks_of_linear_axes(line):
    marks, points = drawn(line)
    assert 2 <= len(marks["x"]) <= 8 and 2 <= len(marks["y"]) <= 8 and min(marks["y"]) == 0
    (x0, x1), (y0, y1) = ((min(m), max(m)) for m in marks.values())
    assert marks["x"][x1] - marks["x"][x0] == WIDTH and marks["y"][y0] - marks["y"][y1] == HEIGHT
    assert len(points) == len(line)
    for (x, y), point in zip(line.items(), points, strict=True):
        assert point[0] == pytest.approx(marks["x"][x0] + (x - x0) / (x1 - x0) * WIDTH, abs=0.1)
        assert point[1] == pytest.approx(marks["y"][y0] - (y - y0) / (y1 - y0) * HEIGHT, abs=0.1)


def test_a_long_line_has_no_marks_of_its_own():
    assert drawn(dict.fromkeys(range(1000), 1.0))[1] == []


def test_doubling_is_the_same_way_everywhere_on_logarithmic_axes():
    _, points = drawn({1: 1.0, 2: 2.0, 4: 4.0, 8: 8.0}, logarithmic=True)
    steps = {(round(b[0] - a[0]), round(a[1] - b[1])) for a, b in pairwise(points)}
    assert steps == {(round(WIDTH / 3), HEIGHT // 3)}
