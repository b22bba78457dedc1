"""How fast a masked LM fills the table of candidates, and how much of the GPU it uses."""

import math
import random
import time
from collections.abc import Iterator

import torch
from torch.utils.flop_counter import FlopCounterMode

from augment import MaskedLMSubstitution

from .encoders import masked_lm
from .report import Place, Row
from .tiny import make_tokenizer


VOCABULARY, MATMUL_SIZE = 30_000, 8192
FEW_ROWS, MOST_ROWS, SECONDS = 2000, 67_000, 12  # as many rows as SST-2 has, or as fit into the time
# Words of a row as in the training set of SST-2: a median of 7, a mean of about 9.5, at most 52.
MEDIAN_WORDS, SPREAD, MOST_WORDS = 7, 0.8, 52


def make_rows(words: list[int], count: int, first: int, last: int) -> list[dict[str, list[int]]]:
    """Rows of random words, between the ids of the special tokens that begin and end them."""
    generator, rows = random.Random(0), []
    for _ in range(count):
        length = round(generator.lognormvariate(math.log(MEDIAN_WORDS), SPREAD))
        chosen = generator.choices(words, k=min(max(length, 1), MOST_WORDS))
        rows.append({"input_ids": [first, *chosen, last]})
    return rows


def synchronise(place: Place) -> None:
    if place.is_gpu:
        torch.cuda.synchronize()


def matmul_flops(place: Place) -> float:
    """The most operations per second of products of large matrices in bfloat16."""
    size = 256 if place.small else MATMUL_SIZE
    a, b = (torch.randn(size, size, device=place.device, dtype=torch.bfloat16) for _ in range(2))
    best, products = math.inf, 10
    for _ in range(6):  # the first one warms up
        synchronise(place)
        start = time.perf_counter()
        for _ in range(products):
            a @ b
        synchronise(place)
        best = min(best, time.perf_counter() - start)
    return products * 2 * size**3 / best


def rows(place: Place) -> Iterator[Row]:
    """Rows per second of `precompute`, and the operations of its model as a share of the peak."""
    tokenizer = make_tokenizer(1000 if place.small else VOCABULARY)
    model = masked_lm(place, len(tokenizer)).to(place.device)
    words = [i for piece, i in tokenizer.get_vocab().items() if piece.isalpha() and len(piece) > 1]
    augmenter = MaskedLMSubstitution(
        tokenizer,
        model,
        masking="grouped",
        keep_inflection=False,  # which needs a dictionary
        min_probability=0.0,  # to a random model all words are unlikely
        device=place.device,
    )

    def rate(dataset: list, name: str) -> float:
        """Rows per second of a table."""
        synchronise(place)
        start = time.perf_counter()
        augmenter.precompute(dataset, place.folder / "tables" / name)
        synchronise(place)
        return len(dataset) / (time.perf_counter() - start)

    few, most = (100, 200) if place.small else (FEW_ROWS, MOST_ROWS)
    sentences = make_rows(words, most, tokenizer.cls_token_id, tokenizer.sep_token_id)
    sample = sentences[:few]
    rate(sample[:-1], "first")  # warms up
    sentences = sentences[: max(few, round(SECONDS * rate(sample, "sample")))]
    rows_per_second = rate(sentences, "all")
    figures = {"rows_per_second": rows_per_second, "rows": len(sentences)}
    yield Row(f"table of {len(sentences):,} rows, masking grouped", f"{rows_per_second:,.0f} rows/s", values=figures)
    peak = matmul_flops(place)
    yield Row("bfloat16 peak, one large product", f"{peak / 1e12:,.1f} TFLOP/s", values={"flops": peak})
    with FlopCounterMode(display=False) as counter:
        rate(sample[1:], "counted")
    flops_per_row = counter.get_total_flops() / (len(sample) - 1)
    share = rows_per_second * flops_per_row / peak
    yield Row("share of the peak", f"{share:.1%}", values={"share": share, "flops_per_row": flops_per_row})
