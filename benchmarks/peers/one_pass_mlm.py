"""
A masked LM with all chosen words of a variant masked at once and one pass for each variant, in batches of variants.

It stands for the masked-LM script of Glitter (Kamalloo et al., "When Chosen Wisely, More Data Is What You Need",
2022), which is research code and no package. It is our own rendering of what that script does: 15 % of the tokens of
each variant are chosen, whole words from random places on, 80 % of them masked, 10 % replaced at random and 10 % left;
each is drawn from the k most probable tokens of its place; batches are of 32 variants, in the order of the sentences.
"""

import math

import numpy as np
import torch
from common import parse_arguments, report
from transformers import AutoModelForMaskedLM, AutoTokenizer


MASK_RATIO, RANDOM_SHARE, UNMASKED_SHARE = 0.15, 0.1, 0.1
TOP_K = 15
ATTEMPTS = 5  # to find another word, one after the other


class OnePassMLM:
    def __init__(self, path: str, batch_size: int):
        self.tokenizer = AutoTokenizer.from_pretrained(path)
        self.model = AutoModelForMaskedLM.from_pretrained(path).eval()
        self.batch_size = batch_size
        self.rng = np.random.default_rng(0)
        pieces = self.tokenizer.convert_ids_to_tokens(list(range(len(self.tokenizer))))
        self.continues = [piece.startswith("##") for piece in pieces]
        self.special = set(self.tokenizer.all_special_ids)

    def choose(self, ids: list[int]) -> list[int]:
        """Places of whole words from random ones on, until the share to be masked is reached."""
        wanted, chosen, failures = math.ceil(MASK_RATIO * len(ids)), set(), 0
        while len(chosen) < wanted and failures < ATTEMPTS:
            start = int(self.rng.integers(len(ids)))
            if start in chosen or ids[start] in self.special:
                failures += 1
                continue
            failures = 0
            stop = start + 1
            while self.continues[ids[start]]:
                start -= 1
            while stop < len(ids) and self.continues[ids[stop]]:
                stop += 1
            chosen.update(list(range(start, stop))[: wanted - len(chosen)])
        return sorted(chosen)

    def mask(self, ids: list[int], places: list[int]) -> list[int]:
        masked = list(ids)
        for place in places:
            uniform = self.rng.random()
            if uniform < RANDOM_SHARE:
                masked[place] = int(self.rng.integers(len(self.continues)))
            elif uniform >= RANDOM_SHARE + UNMASKED_SHARE:
                masked[place] = self.tokenizer.mask_token_id
        return masked

    @torch.no_grad()
    def fill(self, rows: list[list[int]], places: list[list[int]]) -> list[str]:
        """The texts of masked rows with their places drawn by the model."""
        batch = self.tokenizer.pad({"input_ids": rows}, return_tensors="pt")
        logits = self.model(**batch).logits
        texts = []
        for row, chosen, scores in zip(rows, places, logits, strict=True):
            top, tokens = scores[chosen].topk(TOP_K)
            drawn = tokens.gather(1, torch.multinomial(top.softmax(-1), 1)).squeeze(1)
            for place, token in zip(chosen, drawn.tolist(), strict=True):
                row[place] = token
            texts.append(self.tokenizer.decode(row, skip_special_tokens=True))
        return texts

    def variants(self, texts: list[str], num_variants: int) -> list[list[str]]:
        rows, places = [], []
        for text in texts:
            ids = self.tokenizer(text)["input_ids"]
            for _ in range(num_variants):
                places.append(self.choose(ids))
                rows.append(self.mask(ids, places[-1]))
        made = []
        for begin in range(0, len(rows), self.batch_size):
            end = begin + self.batch_size
            made += self.fill(rows[begin:end], places[begin:end])
        return [made[i : i + num_variants] for i in range(0, len(made), num_variants)]


def main() -> None:
    args = parse_arguments("mlm", "batch_size")
    augmenter = OnePassMLM(args.mlm, int(args.batch_size))
    report(lambda texts: augmenter.variants(texts, args.num_variants), args.texts, args.repeats, warm_up=8)


if __name__ == "__main__":
    main()
