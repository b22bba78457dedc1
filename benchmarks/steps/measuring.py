"""Training steps of `Trainer` and `MMELTrainer`, timed, and their memory. As a program: the memory of one of them."""

import gc
import json
import re
import sys
import time
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from pathlib import Path
from tempfile import mkdtemp

import torch
from torch import Tensor
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    PreTrainedModel,
    Trainer,
    TrainingArguments,
)

from hf_mmel import AdversarialVariants, MMELTrainer, MMELTrainingArguments, VariantCollator
from hf_mmel.data.groups import GROUP_KEY, VARIANT_MASK, originals
from hf_mmel.data.layout import HostedBatch

from .comparisons import Configuration


@dataclass(frozen=True)
class Setting:
    """
    On what steps are measured.

    `model` is a name or a folder, or `None` for a BERT-base of random weights; `data` GLUE's name or folder, of whose
    RTE the rows are, cut at `length`, or `None` for rows of exactly `length` random tokens.
    """

    model: str | None
    batch_size: int
    length: int
    device: str
    data: str | None = None


class Bench:
    """
    A model, an optimizer, and a trainer for each configuration that steps with them.

    A step is what `Trainer` does for an update: `training_step`, clipping, the optimizer's step, gradients dropped.
    Collating, which worker processes do meanwhile, is not in it.
    """

    def __init__(self, setting: Setting, configurations: list[Configuration]):
        torch.manual_seed(0)
        self.setting = setting
        self.model = load_model(setting.model)
        folder, on_gpu = mkdtemp(prefix="step_cost"), setting.device != "cpu"
        options = {"output_dir": folder, "report_to": "none", "use_cpu": not on_gpu, "bf16": on_gpu}
        first = Trainer(self.model, TrainingArguments(**options))
        optimizer = first.create_optimizer()
        self.trainers = {
            configuration: make_trainer(configuration, self.model, optimizer, options)
            for configuration in configurations
        }
        self.model, self.optimizer = first.accelerator.prepare(self.model, optimizer)
        self._new_keys = count()

    def step(self, configuration: Configuration, number: int = 0) -> float:
        """
        Makes a step on the batch of this number. Returns its CPU seconds, or on a GPU its seconds. Where scores are
        reused, it is the mean over as many steps on this batch as there are from one scoring to the next.
        """
        trainer = self.trainers[configuration]
        batch = make_batch(self.setting, configuration.num_variants, number)
        if configuration.method == "stock":
            batch = as_examples(batch)
        if configuration.score_interval > 1:
            batch = {**batch, GROUP_KEY: torch.tensor([next(self._new_keys) for _ in batch["labels"]])}
        trainer.current_gradient_accumulation_steps = 1
        batch = HostedBatch(batch).to(trainer.args.device)
        start = self._now()
        for _ in range(configuration.score_interval):
            (batch,), num_items = trainer.get_batch_samples(iter([batch]), 1, trainer.args.device)
            trainer.training_step(self.model, batch, num_items)
            trainer.accelerator.clip_grad_norm_(self.model.parameters(), trainer.args.max_grad_norm)
            self.optimizer.step()
            self.model.zero_grad()
        return (self._now() - start) / configuration.score_interval

    def _now(self) -> float:
        if self.setting.device == "cpu":
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()

    def peak_memory(self, configuration: Configuration, steps: int = 2) -> int:
        """Bytes that steps need on top of what there was before the first, whose optimizer has no state yet."""
        if self.setting.device != "cpu":
            before = torch.cuda.memory_allocated()
            torch.cuda.reset_peak_memory_stats()
        else:
            gc.collect()
            Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
            before = resident("VmRSS")
        for number in range(steps):
            self.step(configuration, number)
        return (torch.cuda.max_memory_allocated() if self.setting.device != "cpu" else resident("VmHWM")) - before


def resident(name: str) -> int:
    """Bytes of memory of this process, now (`VmRSS`) or at most (`VmHWM`). Linux only."""
    return int(re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024


def load_model(name: str | None) -> PreTrainedModel:
    if name is None:
        return BertForSequenceClassification(BertConfig())
    return AutoModelForSequenceClassification.from_pretrained(name, num_labels=2, dtype="float32")


def make_trainer(
    configuration: Configuration, model: PreTrainedModel, optimizer: torch.optim.Optimizer, options: dict
) -> Trainer:
    if configuration.method == "stock":
        return Trainer(model, TrainingArguments(**options), optimizers=(optimizer, None))
    args = MMELTrainingArguments(
        **options,
        mmel_loss=configuration.method,
        num_variants=max(configuration.num_variants, 1),
        variant_backward=configuration.variant_backward,
        variant_chunk_size=configuration.variant_chunk_size,
        scoring_bf16=configuration.scoring_bf16,
        scoring_compile=configuration.scoring_compile,
        score_interval=configuration.score_interval,
        loss_check=False,  # a pass once a run, which is no part of a step
    )
    adversary = AdversarialVariants(configuration.adversarial_steps) if configuration.adversarial_steps else None
    return MMELTrainer(model, args, optimizers=(optimizer, None), adversary=adversary)


@lru_cache(maxsize=4)
def make_batch(setting: Setting, num_variants: int, number: int) -> dict[str, Tensor]:
    """Groups of variants, `(B, V, L)`; of the original alone where there are none."""
    if setting.data is not None:
        return _batch_of_texts(setting, num_variants, number)
    shape = (setting.batch_size, num_variants + 1, setting.length)
    generator = torch.Generator().manual_seed(number)
    ids = torch.randint(1000, 30000, shape, generator=generator)
    return {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "token_type_ids": torch.zeros_like(ids),
        "labels": torch.randint(0, 2, shape[:1], generator=generator),
        VARIANT_MASK: torch.ones(shape[:2], dtype=torch.bool),
    }


def _batch_of_texts(setting: Setting, num_variants: int, number: int) -> dict[str, Tensor]:
    from datasets import load_dataset

    from augment import WordNetSynonyms

    rows = load_dataset(setting.data, "rte", split="train")
    first = number * setting.batch_size
    rows = rows.select(range(first, first + setting.batch_size))
    tokenizer = AutoTokenizer.from_pretrained(setting.model)
    encoded = tokenizer(list(rows["sentence1"]), list(rows["sentence2"]), truncation=True, max_length=setting.length)
    examples = [
        {**{name: column[i] for name, column in encoded.items()}, "label": rows[i]["label"]} for i in range(len(rows))
    ]
    batch = VariantCollator(tokenizer, WordNetSynonyms(tokenizer), num_variants=max(num_variants, 1))(examples)
    if num_variants:
        return batch
    return {name: tensor if name == "labels" else tensor[:, :1] for name, tensor in batch.items()}


def as_examples(groups: dict[str, Tensor]) -> dict[str, Tensor]:
    """The variants of all groups as examples, each with the label of its group."""
    present = groups[VARIANT_MASK]
    if present.shape[1] == 1:
        return originals(groups)
    labels = groups["labels"][:, None].expand(present.shape)
    return {name: tensor[present] for name, tensor in {**groups, "labels": labels}.items() if name != VARIANT_MASK}


if __name__ == "__main__":
    torch.set_num_threads(1)
    of_setting, of_configuration = json.loads(sys.argv[1])
    configuration = Configuration(**of_configuration)
    print(Bench(Setting(**of_setting), [configuration]).peak_memory(configuration))
