"""The pictures of a report, each as a function that draws on a figure of a theme."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from .collect import Predictions
from .facts import Facts
from .statistics import calibration, confusion
from .theme import Draw, Theme, legend


MOST_MARKS = 40  # of a line; with more points it is a line alone
MOST_NUMBERS, MOST_NAMES = 12, 30  # classes of a confusion matrix whose counts, whose names are shown
MOST_LETTERS = 32  # of names that stand side by side
_MARKERS, _DASHES = "osD^", ("-", "--", "-.", ":")


def pictures(facts: Facts, predictions: Predictions | None) -> dict[str, Draw]:
    """What can be drawn of a training, by the names of the files."""
    found: dict[str, Draw] = {}
    losses = {"training": facts.curve("loss"), "validation": facts.curve("eval_loss")}
    if losses["training"]:
        found["loss"] = lambda figure, theme: draw_lines(figure, theme, losses, "loss")
    scores = {name: facts.curve(f"eval_{name}") for name in facts.scores if name != "loss"}
    if any(len(curve) > 1 for curve in scores.values()):
        label = next(iter(scores)).replace("_", " ") if len(scores) == 1 else "score"
        found["scores"] = lambda figure, theme: draw_lines(figure, theme, scores, label)
    variants = {"variants": facts.curve("mmel/loss_variants"), "originals": facts.curve("mmel/loss_original")}
    if variants["variants"]:
        found["variant_loss"] = lambda figure, theme: draw_lines(figure, theme, variants, "loss")
    if facts.weight_histograms:
        found["weights"] = lambda figure, theme: draw_weights(figure, theme, facts)
    effective = {"effective number": facts.curve("mmel/effective_num_variants")}
    if effective["effective number"]:
        found["effective"] = lambda figure, theme: draw_lines(
            figure, theme, effective, "effective number of variants", facts.num_weighed
        )
    if predictions is None:
        return found
    if predictions.problem_type == "regression":
        found["scatter"] = lambda figure, theme: draw_scatter(figure, theme, predictions)
        return found
    if predictions.problem_type == "single_label_classification":
        found["confusion"] = lambda figure, theme: draw_confusion(figure, theme, predictions)
    found["calibration"] = lambda figure, theme: draw_calibration(figure, theme, predictions)
    return found


def draw_lines(
    figure: Figure, theme: Theme, lines: Mapping[str, dict[float, float]], label: str, level: float | None = None
) -> None:
    """Lines over the steps, and a level that uniform weights would have."""
    axes = figure.add_subplot()
    lines = {name: line for name, line in lines.items() if line}
    for i, (name, line) in enumerate(lines.items()):
        axes.plot(
            list(line),
            list(line.values()),
            color=theme.lines[i % len(theme.lines)],
            linestyle=_DASHES[i % len(_DASHES)],
            marker=_MARKERS[i % len(_MARKERS)] if len(line) <= MOST_MARKS else None,
            markersize=4,
            linewidth=2,
            label=name if len(lines) > 1 or level is not None else None,
        )
    if level is not None:
        axes.axhline(
            level, color=theme.lines[-1], linestyle=":", linewidth=1.5, label=f"uniform weights of all {level:g}"
        )
        axes.set_ylim(bottom=0.9, top=level * 1.06)
    elif min(y for line in lines.values() for y in line.values()) >= 0 and label == "loss":
        axes.set_ylim(0, 1.06 * max(y for line in lines.values() for y in line.values()) or 1)
    axes.set(xlabel="step", ylabel=label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    legend(figure, axes)


def draw_weights(figure: Figure, theme: Theme, facts: Facts) -> None:
    """How the weights of variants are spread, from left to right as the training goes on."""
    axes = figure.add_subplot()
    steps = [row["step"] for row in facts.weight_histograms]
    counts = np.array([row["counts"] for row in facts.weight_histograms], dtype=float)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    edges = [max(0, 2 * steps[0] - steps[1]) if len(steps) > 1 else 0, *steps]
    ramp = LinearSegmentedColormap.from_list("ramp", theme.ramp)
    bins = np.linspace(0, 1, counts.shape[1] + 1)
    norm = PowerNorm(0.5, vmin=0, vmax=shares.max() or 1)  # so that the few large weights are seen, too
    mesh = axes.pcolormesh(edges, bins, shares.T, cmap=ramp, norm=norm)
    if facts.num_weighed:
        uniform = 1 / facts.num_weighed
        axes.axhline(
            uniform,
            color=theme.lines[1],
            linestyle="--",
            linewidth=1.5,
            label=f"uniform weights of all {facts.num_weighed}",
        )
        legend(figure, axes)
    axes.grid(visible=False)
    axes.set(xlabel="step", ylabel="weight of a variant", ylim=(0, 1))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    bar = figure.colorbar(mesh, ax=axes, format=PercentFormatter(1, decimals=0), pad=0.02)
    bar.set_label("share of the weights")
    bar.outline.set_visible(False)


def draw_confusion(figure: Figure, theme: Theme, predictions: Predictions) -> None:
    """Counts of true and predicted classes; colours are shares of the true class."""
    axes = figure.add_subplot()
    names, size = predictions.names, len(predictions.names)
    counts = confusion(predictions.labels, predictions.outputs.argmax(axis=1), size)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(
        shares, cmap=LinearSegmentedColormap.from_list("ramp", theme.ramp), vmin=0, vmax=1, aspect="auto"
    )
    if size <= MOST_NUMBERS:
        for i, j in np.ndindex(counts.shape):
            red, green, blue, _ = image.cmap(image.norm(shares[i, j]))
            is_bright = 0.3 * red + 0.59 * green + 0.11 * blue > 0.5
            colour = "#10161d" if is_bright else "#ffffff"
            axes.text(
                j, i, f"{counts[i, j]:,}", ha="center", va="center", color=colour, fontsize=13 if size < 5 else 9
            )
    if size <= MOST_NAMES:
        short = [name if len(name) <= 16 else name[:15] + "…" for name in names]
        fontsize = 11 if size < 5 else 8 if size <= MOST_NUMBERS else 5
        fit = size * max(map(len, short)) <= MOST_LETTERS
        axes.set_xticks(range(size), short, fontsize=fontsize, rotation=0 if fit else 90)
        axes.set_yticks(range(size), short, fontsize=fontsize)
    axes.grid(visible=False)
    axes.set(xlabel="predicted", ylabel="label")
    bar = figure.colorbar(image, ax=axes, format=PercentFormatter(1, decimals=0), pad=0.02)
    bar.set_label("share of the label")
    bar.outline.set_visible(False)


def draw_scatter(figure: Figure, theme: Theme, predictions: Predictions) -> None:
    """Predicted numbers over the labels."""
    axes = figure.add_subplot()
    labels, outputs = predictions.labels, predictions.outputs
    axes.scatter(labels, outputs, s=14, color=theme.lines[0], alpha=0.5, linewidths=0)
    ends = [min(labels.min(), outputs.min()), max(labels.max(), outputs.max())]
    axes.plot(ends, ends, color=theme.lines[1], linestyle="--", linewidth=1.5, label="prediction = label")
    axes.set(xlabel="label", ylabel="prediction")
    legend(figure, axes)


def draw_calibration(figure: Figure, theme: Theme, predictions: Predictions) -> None:
    """Accuracy over confidence, and below it how many predictions there are of each confidence."""
    found = calibration(predictions.outputs, predictions.labels)
    curve, bars = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    used = found.counts > 0
    curve.plot([0, 1], [0, 1], color=theme.lines[1], linestyle="--", linewidth=1.5, label="calibrated")
    curve.plot(
        found.confidence[used], found.accuracy[used], color=theme.lines[0], marker="o", linewidth=2, label="this model"
    )
    several = predictions.labels.ndim == 2
    curve.set(ylabel="has the label" if several else "is right", xlim=(0, 1), ylim=(0, 1.04))
    curve.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    bars.bar(found.edges[:-1], found.counts, np.diff(found.edges) * 0.9, align="edge", color=theme.lines[0])
    bars.set(xlabel="probability of the label" if several else "confidence", ylabel="count")
    bars.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    bars.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=2))
    legend(figure, curve)
