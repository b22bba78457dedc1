"""The methods of a comparison: each is the options that docs/compare.md says."""

import pytest
from conftest import reviews
from stand_in import plan_of

from hf_mmel.cli import run as cli
from hf_mmel.compare.methods import METHODS
from hf_mmel.compare.plan import Run, Setting, check


@pytest.fixture
def arguments_of(model_dir, files, tmp_path):
    """The parsed arguments of a run of a method, given the options of a comparison."""

    def arguments_of(method, *options, augmenter=None):
        argv = ["--model_name_or_path", model_dir, *files, "--output_dir", tmp_path, "--use_cpu"]
        argv += ["--methods", ",".join(METHODS), "--augmenters", "typos"]
        plan = plan_of(*argv, *options)
        return cli.parse_arguments(plan.options_of(Run(Setting(method, augmenter), 3)))

    return arguments_of


WITH_VARIANTS = ("--num_variants", 4, "--augmenter_lang", "deu", "--replace_prob", 0.3)
OF_LOSS = ("--lambda_t", 2, "--lambda_p", 0.1, "--min_label_probability", 0.1, "--reweighting_warmup", 0.2)
RESTRICTED = ("--variant_backward", "sample", "--score_interval", 2, "--reweight_original", "true")
SEARCH = ("--adversarial_num_steps", 2, "--greedy_search", "loss")


@pytest.mark.parametrize("options", [(), WITH_VARIANTS, OF_LOSS, RESTRICTED, SEARCH, ("--effective_num_variants", 2)])
def test_r_drop_is_mmel_s_on_one_copy_with_a_gradient_through_both_readings(arguments_of, options):
    args = arguments_of("r-drop", *options)
    training, augmenter = args.training, args.augmenter
    assert (training.mmel_loss, augmenter.augmenter, training.num_variants) == ("soft", "same_text", 1)
    assert training.lambda_t == 0.5 and training.soft_label_gradient and not training.weighs_original
    assert training.variant_backward == "full" and training.min_label_probability is None
    assert augmenter.adversary() is None and augmenter.greedy_search == "none" and augmenter.replace_prob is None
    assert training.reweighting_warmup == 0 and training.effective_num_variants is None


def test_r_drop_reads_no_column_of_variants(arguments_of):
    assert arguments_of("hard", "--variants_column", "x", augmenter="typos").augmenter.variants_column == "x"
    assert arguments_of("r-drop", "--variants_column", "x").augmenter.variants_column is None


def test_label_smoothing_trains_on_originals_with_a_tenth_of_the_label_spread(arguments_of):
    training = arguments_of("label_smoothing").training
    assert (training.mmel_loss, training.label_smoothing_factor) == ("none", 0.1)
    assert arguments_of("none").training.label_smoothing_factor == 0


@pytest.mark.parametrize(
    ("options", "times"),
    [
        ((), 5),
        (("--num_variants", 2), 3),
        (("--adversarial_num_steps", 2), 6),
        (("--variant_backward", "sample", "--variant_backward_count", 2), 3),
        (("--variant_backward", "top", "--variant_backward_count", 9, "--num_variants", 3), 4),
    ],
)
def test_longer_trains_on_as_many_rows_as_runs_with_variants(arguments_of, options, times):
    assert arguments_of("longer", *options).training.num_train_epochs == 3 * times
    training = arguments_of("longer", "--num_train_epochs", 0.1, *options).training
    assert training.num_train_epochs == pytest.approx(0.1 * times) and training.mmel_loss == "none"
    assert arguments_of("longer", "--max_steps", 7, *options).training.max_steps == 7 * times


@pytest.mark.parametrize("method", [method for method in METHODS if method != "temperature"])
def test_all_methods_have_the_same_seed_data_and_batches(arguments_of, method):
    own = arguments_of(method, augmenter="typos" if METHODS[method].has_augmenter else None)
    none = arguments_of("none")
    assert own.data == none.data and own.model == none.model and own.run == none.run
    for name in ("seed", "per_device_train_batch_size", "learning_rate", "warmup_steps", "weight_decay"):
        assert getattr(own.training, name) == getattr(none.training, name)


def test_rivals_are_rows_without_an_augmenter(model_dir, tmp_path):
    argv = ["--model_name_or_path", model_dir, "--train_file", "a.csv", "--output_dir", tmp_path]
    argv += ["--methods", "soft,r-drop,longer,none,temperature", "--augmenters", "typos,delete", "--seeds", "1,"]
    plan = plan_of(*argv)
    rivals = [Setting("none"), Setting("r-drop"), Setting("longer"), Setting("temperature")]
    assert plan.settings == [*rivals, Setting("soft", "typos"), Setting("soft", "delete")]
    assert [str(run.setting) for run in plan.runs] == ["none", "r-drop", "longer", "soft-typos", "soft-delete"]


def test_comparisons_without_mmel_need_no_augmenter(synonyms, model_dir, files, tmp_path):
    argv = ["--model_name_or_path", model_dir, *files, "--output_dir", tmp_path, "--use_cpu"]
    alone = plan_of(*argv, "--methods", "r-drop,longer")
    more = plan_of(*argv, "--methods", "r-drop,longer,none,label_smoothing")
    assert alone.augmenters == {}
    assert check(alone)[1] == check(more)[1], "so that rivals can be added to a comparison"
    assert check(alone)[1]["label_smoothing_factor"] == 0 and check(alone)[1]["num_train_epochs"] == 3


@pytest.mark.parametrize("options", [["--attack"], ["--methods", "none,temperature"]])
def test_what_needs_one_class_is_refused_for_other_labels(model_dir, write, tmp_path, options):
    rows = [{**row, "label": float(i)} for i, row in enumerate(reviews())]
    file = write("numbers.csv", rows)
    argv = ["--train_file", file, "--validation_file", file, "--model_name_or_path", model_dir]
    argv += ["--output_dir", tmp_path / "out", "--use_cpu", "--methods", "none", "--do_regression", *options]
    with pytest.raises(cli.UsageError, match=r"The labels are those of regression, and .* needs one class for each"):
        check(plan_of(*argv))
