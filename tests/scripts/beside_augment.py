"""Training beside a package of the user's named augment: `beside_augment.py OTHERS FOLDER AUGMENTER...`.

OTHERS is `first` if that package is imported before hf_mmel, or else `later`. FOLDER has the checkpoint of a masked
LM.
"""

import json
import multiprocessing
import pickle
import sys


if __name__ == "__main__" and sys.argv[1] == "first":
    import augment

    assert augment.MINE

from transformers import AutoModelForSequenceClassification, AutoTokenizer

from hf_mmel import MMELTrainer, MMELTrainingArguments
from hf_mmel import augment as ours
from hf_mmel.cli.arguments import augmenter_config


TEXTS = ["the film was good", "the actors had an awful day", "we were not sad", "a very dull story of the year"]


def train(folder: str, augmenter, tokenizer, num_workers: int) -> dict:
    """The last logged line of two steps."""
    rows = [{**tokenizer(text), "label": i % 2} for i, text in enumerate(TEXTS * 4)]
    args = MMELTrainingArguments(
        f"{folder}/out",
        max_steps=2,
        logging_steps=2,
        num_variants=2,
        dataloader_num_workers=num_workers,
        report_to="none",
        save_strategy="no",
        use_cpu=True,
        disable_tqdm=True,
    )
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    trainer = MMELTrainer(model, args, train_dataset=rows, processing_class=tokenizer, augmenter=augmenter)
    trainer.train()
    return trainer.state.log_history[0]


def main(folder: str, names: list[str]) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    trained = []
    for name in names:
        name, _, method = name.partition(":")
        model = folder if name in ("mlm", "mlm_insert", "embedding", "context") else None
        config = augmenter_config(name, model)
        augmenter = ours.Augmenter.from_dict(config, tokenizer)
        assert pickle.loads(pickle.dumps(augmenter)).to_dict() == augmenter.to_dict()
        if method:
            multiprocessing.set_start_method(method, force=True)
        metrics = train(folder, augmenter, tokenizer, num_workers=int(bool(method)))
        assert metrics["mmel/loss_variants"] > 0, metrics
        trained.append(name)
    assert isinstance(augmenter, ours.Augmenter)
    import augment
    import augment.base

    assert augment.MINE and augment.base.MINE
    sys.stdout.write(f"{json.dumps(trained)}\n")


if __name__ == "__main__":
    main(sys.argv[2], sys.argv[3:])
