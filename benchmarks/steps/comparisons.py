"""What is measured against what, and what is aimed at."""

from dataclasses import dataclass, replace


ALL_NUM_VARIANTS = (1, 2, 4, 8, 16, 32)  # of the picture
TIME, MEMORY = "time", "memory"


@dataclass(frozen=True)
class Configuration:
    """
    A way to train on groups of `num_variants` + 1 sequences.

    `method` is an `mmel_loss`, or `"stock"`: `Trainer` itself, for which each sequence is an example. The other fields
    are those of `MMELTrainingArguments`; `scoring_bf16` is `None` where nothing is scored. With `adversarial_steps`
    the model makes a further variant against itself, in so many steps.
    """

    method: str = "stock"
    num_variants: int = 0
    variant_backward: str = "full"
    variant_chunk_size: int | None = None
    scoring_bf16: bool | None = None
    score_interval: int = 1
    adversarial_steps: int = 0
    scoring_compile: bool = False

    @property
    def name(self) -> str:
        if self == PLAIN:
            return "plain"
        parts = [self.method, self.variant_backward if self.method != "stock" else ""]
        parts += [f"K={self.num_variants}"] if self.num_variants or not self.adversarial_steps else []
        parts += [] if self.variant_chunk_size is None else [f"chunks of {self.variant_chunk_size}"]
        parts += [] if self.score_interval == 1 else [f"scored every {self.score_interval} epochs"]
        parts += [f"adversarial in {self.adversarial_steps}"] if self.adversarial_steps else []
        parts += [] if self.scoring_bf16 is None else ["bfloat16" if self.scoring_bf16 else "float32"]
        parts += ["compiled"] if self.scoring_compile else []
        return " ".join(filter(None, parts))


@dataclass(frozen=True)
class Comparison:
    """The ratio of a quantity in two configurations, and the largest that is aimed at."""

    quantity: str
    ours: Configuration
    baseline: Configuration
    target: float | None = None

    @property
    def name(self) -> str:
        return f"{self.quantity}: {self.ours.name} / {self.baseline.name}"


PLAIN = Configuration()


def full(method: str, num_variants: int) -> Configuration:
    return Configuration(method, num_variants)


def top(method: str, num_variants: int, scoring_bf16: bool) -> Configuration:
    return Configuration(method, num_variants, "top", scoring_bf16=scoring_bf16)


def reused(method: str, num_variants: int, scoring_bf16: bool) -> Configuration:
    return Configuration(method, num_variants, "top", scoring_bf16=scoring_bf16, score_interval=3)


def chunked(method: str, num_variants: int, scoring_bf16: bool) -> Configuration:
    return Configuration(method, num_variants, variant_chunk_size=2, scoring_bf16=scoring_bf16)


def adversarial(method: str, num_steps: int) -> Configuration:
    return Configuration(method, adversarial_steps=num_steps)


def compiled(method: str, num_variants: int) -> Configuration:
    return replace(top(method, num_variants, True), scoring_compile=True)


def comparisons(for_picture: bool) -> list[Comparison]:
    """What has a target, what adversarial variants cost, and what else is drawn."""
    found = {comparison.name: comparison for comparison in [*aims(), *adversaries()]}
    for comparison in picture() if for_picture else []:
        found.setdefault(comparison.name, comparison)
    return list(found.values())


def aims() -> list[Comparison]:
    """All comparisons that have a target."""
    found = []
    for method in ("hard", "soft"):
        for num_variants in (4, 8):
            stock = Configuration("stock", num_variants)
            found.append(Comparison(TIME, full(method, num_variants), stock, 1.05))
        for in_bf16 in (True, False):
            found += [
                Comparison(TIME, top(method, 8, in_bf16), full(method, 8), 0.50),
                Comparison(TIME, top(method, 16, in_bf16), full(method, 16), 0.42),
                Comparison(TIME, top(method, 4, in_bf16), PLAIN, 2.8),
                Comparison(TIME, reused(method, 8, in_bf16), PLAIN, 2.0),
                Comparison(TIME, chunked(method, 32, in_bf16), full(method, 32), 1.10),
            ]
        found.append(Comparison(MEMORY, chunked(method, 32, True), full(method, 1), 1.25))
    return found


def adversaries() -> list[Comparison]:
    """Adversarial variants, next to none and to as many that need no search."""
    found = []
    for method in ("hard", "soft"):
        found += [Comparison(TIME, adversarial(method, steps), PLAIN) for steps in (1, 3)]
        found.append(Comparison(TIME, adversarial(method, 1), full(method, 1)))
    return found


def compilations() -> list[Comparison]:
    """Compiled scoring, next to scoring that is not."""
    return [Comparison(TIME, compiled(method, 8), top(method, 8, True)) for method in ("hard", "soft")]


def picture() -> list[Comparison]:
    """What is drawn: MMEL-H against a step on the originals, for all numbers of variants."""
    drawn = []
    for k in ALL_NUM_VARIANTS:
        in_both = (full("hard", k), top("hard", k, True), chunked("hard", k, True))
        drawn += [Comparison(quantity, ours, PLAIN) for ours in in_both for quantity in (TIME, MEMORY)]
        drawn.append(Comparison(TIME, top("hard", k, False), PLAIN))
    return drawn
