"""The model card: what its readers and the Hub are told of a training."""

import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from conftest import make_model
from datasets import Dataset
from huggingface_hub import EvalResult, ModelCard
from huggingface_hub.repocard_data import model_index_to_eval_results

from hf_mmel import MMELTrainer, VariantCollator
from hf_mmel.hub import model_card


pytestmark = pytest.mark.integration  # every card is of a training run of its own


@pytest.fixture
def trained(arguments, tokenizer, dataset, augmenter):
    """A trainer that has trained two steps and evaluated: `trained(augmenter=..., **fields of the arguments)`."""

    def make(augmenter=augmenter, data_collator=None, **fields):
        args = arguments(max_steps=2, logging_steps=1, **fields)
        options = {"train_dataset": dataset, "eval_dataset": dataset, "processing_class": tokenizer}
        trainer = MMELTrainer(make_model(tokenizer), args, data_collator, augmenter=augmenter, **options)
        trainer.train()
        trainer.evaluate()
        return trainer

    return make


def card_of(trainer, **facts) -> ModelCard:
    trainer.create_model_card(**facts)
    return ModelCard.load(Path(trainer.args.output_dir) / "README.md")


def table(card: ModelCard) -> dict[str, str]:
    return dict(re.findall(r"^\| `?([\w.]+)`? +\| `?(.*?)`? +\|", card.text, re.MULTILINE))


def test_the_objective_is_told_as_it_was_in_force(trained):
    fields = {"mmel_loss": "hard", "lambda_p": 0.5, "num_variants": 3, "variant_backward": "top", "score_interval": 2}
    card = card_of(trained(**fields, variant_backward_count=2))
    told = table(card)
    assert {name: told[name] for name in fields} == {name: str(value) for name, value in fields.items()}
    assert told["variant_backward_count"] == "2"
    assert told["reweight_original"] == "True"  # its default in MMEL-H
    assert "arxiv.org/abs/2103.08933" in card.text and "MMEL-H " in card.text and "MMEL-S " not in card.text
    assert '"class": "LexiconSubstitution"' in card.text and '"replace_prob"' in card.text
    assert "learning_rate" in told and all(f"- {name} " in card.text for name in ("hf_mmel", "torch", "transformers"))


@pytest.mark.parametrize(
    ("fields", "told", "untold"),
    [
        (
            {"mmel_loss": "hard"},
            {"lambda_p", "reweight_original", "variant_backward"},
            {"lambda_t", "soft_label_gradient", "variant_backward_count", "score_interval", "class_weights"}
            | {"feature_separation", "weight_column"},
        ),
        (
            {"mmel_loss": "soft"},
            {"lambda_p", "lambda_t", "soft_label_gradient"},
            {"reweighting_warmup", "lambda_t_warmup", "soft_labels", "ema_decay", "soft_label_temperature"},
        ),
        (
            {"mmel_loss": "soft", "soft_labels": "ema", "soft_label_temperature": 0.5, "lambda_t_warmup": 0.1},
            {"soft_labels", "ema_decay", "soft_label_temperature", "lambda_t_warmup"},
            {"class_weights"},
        ),
        ({"mmel_loss": "uniform"}, {"num_variants", "reweight_original"}, {"lambda_p", "lambda_t"}),
        (
            {"effective_num_variants": 2, "reweighting_warmup": 0.5},
            {"effective_num_variants", "reweighting_warmup"},
            {"lambda_p"},
        ),
        (
            {"mmel_loss": "uniform", "effective_num_variants": 2, "reweighting_warmup": 0.5},
            {"num_variants"},
            {"lambda_p", "effective_num_variants", "reweighting_warmup"},
        ),
        (
            {"variant_backward": "sample", "variant_chunk_size": 2, "score_interval": 2, "scoring_bf16": True},
            {"variant_backward_count", "variant_chunk_size", "score_interval", "scoring_dropout", "scoring_bf16"},
            {"class_weights"},
        ),
        ({"feature_separation": 0.1}, {"feature_separation"}, {"weight_column"}),
    ],
    ids=["hard", "soft", "soft labels", "uniform", "solved", "solved without effect", "few variants", "separated"],
)
def test_arguments_without_effect_are_left_out(trained, fields, told, untold):
    rows = table(card_of(trained(**fields)))
    assert told <= rows.keys() and not untold & rows.keys()
    assert "None" not in rows.values()


def test_unlabelled_examples_are_told_where_there_were_any(trained):
    trainer = trained(unlabeled_ratio=2.0)
    names = {"unlabeled_loss", "unlabeled_ratio", "lambda_u", "confidence_threshold"}
    assert not names & table(card_of(trainer)).keys()
    trainer.state.log_history.append({"mmel/loss_unlabeled": 0.1, "step": 1})
    rows = table(card_of(trainer))
    assert rows["unlabeled_ratio"] == "2.0" and names <= rows.keys() and "training_signal_annealing" not in rows


def test_the_optimizer_is_told_by_its_name_and_what_was_set(trained):
    assert table(card_of(trained()))["optimizer"] == "adamw_torch_fused"
    rows = table(card_of(trained(adam_beta2=0.98, weight_decay=0.01)))
    assert (rows["adam_beta2"], rows["weight_decay"]) == ("0.98", "0.01") and "adam_beta1" not in rows
    rows = table(card_of(trained(optim="sgd", adam_beta2=0.98)))
    assert rows["optimizer"] == "sgd" and "adam_beta2" not in rows


def test_variants_are_those_of_the_collator_where_one_is_given(trained, tokenizer, augmenter):
    collator = VariantCollator(tokenizer, augmenter, num_variants=5)
    assert table(card_of(trained(augmenter=None, data_collator=collator)))["num_variants"] == "5"


def test_training_without_variants_is_called_so(trained):
    trainer = trained(mmel_loss="none")
    card = card_of(trainer)
    assert "without variants" in card.text and "lambda_p" not in card.text and "LexiconSubstitution" not in card.text
    assert not (Path(trainer.args.output_dir) / "mmel_weights.svg").exists()
    assert not {"mmel", "data-augmentation"} & set(card.data.tags)


def test_a_model_that_was_not_trained_is_not_said_to_be(arguments, tokenizer, dataset, augmenter):
    options = {"train_dataset": dataset, "eval_dataset": dataset, "processing_class": tokenizer}
    trainer = MMELTrainer(make_model(tokenizer), arguments(), augmenter=augmenter, **options)
    trainer.evaluate()
    card = card_of(trainer, dataset="reviews", command="run --do_eval")
    assert "evaluated on reviews" in card.text and "| evaluation | Loss" in card.text
    assert "run --do_eval" in card.text
    assert not any(word in card.text for word in ("tuned", "## Method", "Lexicon", "Hyperparameter", "Citation"))
    assert "mmel" not in card.data.tags


CURVES = {"Largest weight": {10: 0.2, 20: 0.4, 40: 0.8}, "Effective number of variants": {10: 5.0, 20: 4.0, 40: 1.0}}


def markers(file: Path) -> list[list[tuple[float, float]]]:
    """The markers of each curve of a picture, in points from its upper left corner."""
    groups = [list(group) for group in ElementTree.parse(file).iter() if group.get("clip-path")]
    uses = [[part for part in group if part.tag.endswith("use")] for group in groups]
    return [[(float(use.get("x")), float(use.get("y"))) for use in group] for group in uses if group]


def test_the_picture_shows_every_logged_weight(trained):
    trainer = trained()
    card = card_of(trainer)
    name = re.search(r"!\[.*\]\((.*)\)", card.text).group(1)
    assert [len(curve) for curve in markers(Path(trainer.args.output_dir) / name)] == [2, 2]  # steps of each curve


def test_points_are_where_the_axes_say(tmp_path):
    assert model_card.save_picture(tmp_path / "a.svg", CURVES)
    for points, curve in zip(markers(tmp_path / "a.svg"), CURVES.values(), strict=True):
        (x0, y0), (x1, y1), (x2, y2) = points
        assert (x2 - x1) / (x1 - x0) == pytest.approx(2)
        first, second, third = curve.values()
        assert (y2 - y1) / (y1 - y0) == pytest.approx((third - second) / (second - first))
        assert (y2 < y0) == (third > first)


def test_a_long_curve_has_no_markers(tmp_path):
    model_card.save_picture(tmp_path / "a.svg", dict.fromkeys(CURVES, dict.fromkeys(range(1000), 1.0)))
    assert markers(tmp_path / "a.svg") == []


def test_the_same_curves_give_the_same_picture(tmp_path):
    for name in ("a.svg", "b.svg"):
        model_card.save_picture(tmp_path / name, CURVES)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert not re.search("20[0-9]{2}-|[Mm]atplotlib v", (tmp_path / "a.svg").read_text())


def test_without_matplotlib_the_card_has_no_picture_and_a_warning_says_why(trained, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    trainer = trained()
    card = card_of(trainer)
    assert not (Path(trainer.args.output_dir) / "mmel_weights.svg").exists() and "mmel_weights" not in card.text
    assert "mmel" in card.data.tags and "MMEL-S " in card.text
    assert 'pip install "hf_mmel[report]"' in caplog.text


def test_the_hub_reads_the_scores_of_all_splits(trained):
    scores = {
        "validation_matched": {"eval_loss": 0.5, "eval_accuracy": 0.75, "eval_runtime": 1.0, "epoch": 2.0},
        "validation_mismatched": {"eval_loss": float("nan"), "eval_pearson": 0.5, "eval_samples": 9},
    }
    data = {"dataset": "GLUE MNLI", "dataset_tags": "nyu-mll/glue", "dataset_args": "mnli"}
    card = card_of(trained(), scores=scores, model_name="mine", tasks="text-classification", **data)

    def result(split, metric, name, value):
        return EvalResult(
            "text-classification", "nyu-mll/glue", "GLUE MNLI", metric, value,
            dataset_config="mnli", dataset_split=split, metric_name=name,
        )  # fmt: skip

    expected = [
        result("validation_matched", "accuracy", "Accuracy", 0.75),
        result("validation_mismatched", "pearsonr", "Pearson", 0.5),
    ]
    metadata = yaml.safe_load(card.content.split("---\n")[1])
    name, results = model_index_to_eval_results(metadata["model-index"])
    assert name == "mine" and results == expected == card.data.eval_results
    assert metadata["datasets"] == ["nyu-mll/glue"] and metadata["metrics"] == ["accuracy", "pearsonr"]
    assert metadata["pipeline_tag"] == "text-classification" and metadata["library_name"] == "transformers"
    assert "| validation_matched    | Accuracy | 0.75" in card.text and "| Loss     | 0.5" in card.text


def test_scores_are_those_of_the_latest_evaluation_by_default(trained):
    trainer = trained(eval_strategy="steps", eval_steps=1)
    trainer.state.log_history[-1]["eval_accuracy"] = 0.5
    card = card_of(trainer, dataset="reviews")
    (result,) = card.data.eval_results
    assert (result.dataset_name, result.dataset_split) == ("reviews", "evaluation")
    assert (result.metric_type, result.metric_value) == ("accuracy", 0.5)
    assert "Validation Loss" in card.text  # of each step


def test_scores_of_a_part_of_a_split_are_not_given_as_those_of_the_split(trained):
    scores = {"validation[:10]": {"eval_accuracy": 0.9}, "test": {"eval_accuracy": 0.5}}
    card = card_of(trained(), dataset="reviews", scores=scores)
    assert [(result.dataset_split, result.metric_value) for result in card.data.eval_results] == [("test", 0.5)]
    assert "| validation[:10] | Accuracy | 0.9" in card.text and "on that range of its examples alone" in card.text
    assert "that range" not in card_of(trained(), dataset="reviews", scores={"test": {"eval_accuracy": 0.5}}).text


def test_data_without_a_name_has_no_results_in_the_index(trained):
    card = card_of(trained())
    assert card.data.eval_results is None and "| evaluation | Loss" in card.text


def test_data_sets_that_know_their_name_are_named(trained, dataset):
    trainer = trained()
    trainer.eval_dataset = Dataset(dataset.data, dataset.info.copy(), split="test")
    trainer.eval_dataset.info.dataset_name, trainer.eval_dataset.info.config_name = "glue", "rte"
    trainer.state.log_history[-1]["eval_accuracy"] = 0.5
    (result,) = card_of(trainer).data.eval_results
    assert (result.dataset_name, result.dataset_config, result.dataset_split) == ("glue", "rte", "test")
    trainer.eval_dataset.info.dataset_name = trainer.eval_dataset.info.builder_name = "csv"  # as of a file
    assert card_of(trainer).data.eval_results is None


def test_tags_add_up(trained):
    trainer = trained(hub_tags=["from_arguments"])
    assert card_of(trainer, tags="given").data.tags[:4] == ["given", "from_arguments", "mmel", "data-augmentation"]
    assert "given" in card_of(trainer).data.tags  # of the card that was there


def test_a_model_of_the_hub_is_named_and_a_folder_is_not(trained, tmp_path):
    trainer = trained()
    assert card_of(trainer, finetuned_from="some/model", license="mit").data.base_model == "some/model"
    card = card_of(trainer, finetuned_from=str(tmp_path), license="mit")
    assert card.data.base_model is None and str(tmp_path) not in card.content
