"""The picture of the suite names things as readers do."""

import pytest

from benchmarks.suite.picture import COLORS, LABELS, SOURCES, named
from benchmarks.suite.plan import AUGMENTERS, METHODS, Kind


def test_every_method_and_augmenter_has_a_name_for_readers():
    assert {*METHODS} <= {*LABELS} and {*AUGMENTERS} == {*SOURCES}
    assert {*COLORS} == {*METHODS} - {"none"}
    assert not any("_" in LABELS[method].replace("λ_P", "") for method in METHODS)


@pytest.mark.parametrize(
    "kind, name",
    [
        (Kind("hard", "mlm"), "MMEL-H (hard labels), masked LM"),
        (Kind("none_time", "wordnet"), "no augmentation, same time"),
        (Kind("rdrop"), "R-Drop"),
    ],
)
def test_a_kind_is_named_by_its_method_and_the_source_of_its_variants(kind, name):
    assert named(kind) == name
