"""The count of different variants, which commands, training and reports show."""

import pytest

from augment.core.variant_count import VariantCount, are_first


def test_copies_of_the_example_and_of_earlier_variants_are_not_counted():
    groups = [["a", "b", "a", "c", "b"], ["a", "a", "a", "a", "a"], ["a", "b", "c", "d", "e"]]
    assert are_first(groups[0]) == [True, True, False, True, False]
    count = VariantCount.of(map(are_first, groups), 4)
    assert count == VariantCount(4, examples=3, without=1, different=2 + 0 + 4)
    assert (count.copies, count.share_without, count.mean_of_others) == (6, 1 / 3, 3.0)


def test_counts_of_parts_add_up_to_that_of_the_whole():
    groups = [[True, True, False], [True, False, False], [True, True, True]]
    parts = [VariantCount.of(groups[:1], 2), VariantCount.of(groups[1:], 2)]
    assert parts[0] + parts[1] == VariantCount.of(groups, 2)


@pytest.mark.parametrize(
    ("without", "different", "are_few"),
    [(10, 360, False), (11, 356, True), (0, 200, False), (0, 199, True), (100, 0, True)],
)
def test_variants_are_few_above_a_tenth_without_or_below_half_of_those_asked_for(without, different, are_few):
    assert VariantCount(4, 100, without, different).are_few == are_few


def test_variants_are_not_few_without_examples_or_if_none_were_asked_for():
    count = VariantCount(4)
    assert (count.share_without, count.mean_of_others, count.are_few) == (None, None, False)
    assert not VariantCount(0, 8, 8, 0).are_few


@pytest.mark.parametrize(
    ("count", "num_all", "sentence"),
    [
        (
            VariantCount(4, 8, 2, 15),
            8,
            "25.0% of the training examples have no variant; the others have 2.50 ",
        ),
        (
            VariantCount(4, 8, 0, 30),
            8,
            "All training examples have variants: 3.75 different variants on average, of 4",
        ),
        (VariantCount(4, 8, 8, 0), 8, "No training example has a variant."),
        (VariantCount(4, 8, 8, 0), 2000, "No training example has a variant (counted on 8 of 2,000 examples)."),
        (VariantCount(4, 8, 8, 0), None, "No training example has a variant (counted on 8 examples)."),
    ],
)
def test_the_sentence_says_how_many_lack_variants_and_how_it_was_counted(count, num_all, sentence):
    assert count.sentence(num_all).startswith(sentence)
