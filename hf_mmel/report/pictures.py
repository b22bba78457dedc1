"""The pictures of a report, each with the values that it shows under the mouse."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, PercentFormatter
from sklearn.metrics import confusion_matrix

from .layout import Draw, Theme, Value, number
from .predictions import Predictions
from .statistics import calibration
from .summary import RunSummary


MAX_MARKERS = 40  # longer curves have no markers
MAX_STRIPS = 200  # of longer curves, not every step shows its values under the mouse
MAX_COUNTS, MAX_NAMES = 12, 30  # larger confusion matrices show no counts, no class names
MAX_LETTERS = 32  # longer names are rotated
_MARKERS, _DASHES = "osD^", ("-", "--", "-.", ":")


def pictures(run: RunSummary, predictions: Predictions | None) -> dict[str, Draw]:
    """The pictures that the data allows, by the names of their files."""
    found: dict[str, Draw] = {}
    if training := run.curve("loss"):
        losses = {"training": training, "validation": run.curve("eval_loss")}
        found["loss"] = partial(draw_lines, lines=losses, label="loss")
    scores = {name: run.curve(f"eval_{name}") for name in run.scores if name != "loss"}
    if any(len(curve) > 1 for curve in scores.values()):
        label = next(iter(scores)).replace("_", " ") if len(scores) == 1 else "score"
        found["scores"] = partial(draw_lines, lines=scores, label=label)
    if variants := run.curve("mmel/loss_variants"):
        losses = {"variants": variants, "originals": run.curve("mmel/loss_original")}
        found["variant_loss"] = partial(draw_lines, lines=losses, label="loss")
    if run.weight_histograms:
        found["weights"] = partial(draw_weights, run=run)
    if effective := run.curve("mmel/effective_num_variants"):
        lines, label = {"effective number": effective}, "effective number of variants"
        found["effective"] = partial(draw_lines, lines=lines, label=label, uniform=run.num_weights)
    if predictions is not None and predictions.problem_type == "regression":
        found["scatter"] = partial(draw_scatter, predictions=predictions)
    elif predictions is not None:
        if predictions.problem_type == "single_label_classification":
            found["confusion"] = partial(draw_confusion, predictions=predictions)
        found["calibration"] = partial(draw_calibration, predictions=predictions)
    return found


def draw_lines(
    figure: Figure, theme: Theme, lines: Mapping[str, dict[float, float]], label: str, uniform: int | None = None
) -> list[Value]:
    """Lines over the steps; `uniform` is the level that uniform weights would have."""
    axes = figure.add_subplot()
    lines = {name: line for name, line in lines.items() if line}
    axes.set_prop_cycle(color=theme.lines, linestyle=_DASHES, marker=tuple(_MARKERS))
    for name, line in lines.items():
        (drawn,) = axes.plot(list(line), list(line.values()), markersize=4 if len(line) > 1 else 8, linewidth=2)
        if len(line) > MAX_MARKERS:
            drawn.set_marker("")
        if len(lines) > 1 or uniform is not None:
            drawn.set_label(name)
    values = [value for line in lines.values() for value in line.values()]
    if uniform is not None:
        level = f"uniform weights of all {uniform}"
        axes.axhline(uniform, color=theme.lines[-1], linestyle=":", linewidth=1.5, label=level)
        axes.set_ylim(bottom=0.9, top=uniform * 1.06)
    elif label == "loss" and min(values) >= 0:
        axes.set_ylim(0, 1.06 * max(values) or 1)
    axes.set(xlabel="step", ylabel=label)
    steps = sorted(set().union(*lines.values()))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6) if len(steps) > 1 else FixedLocator(steps))
    _legend(figure, axes)
    return _strips(axes, steps, lines, label)


def draw_weights(figure: Figure, theme: Theme, run: RunSummary) -> list[Value]:
    """A heat map of the weights of variants over the steps."""
    axes = figure.add_subplot()
    steps = [row["step"] for row in run.weight_histograms]
    shares = _shares(np.array([row["counts"] for row in run.weight_histograms], dtype=float))
    edges = [max(0, 2 * steps[0] - steps[1]) if len(steps) > 1 else 0, *steps]
    bins = np.linspace(0, 1, shares.shape[1] + 1)
    norm = PowerNorm(0.5, vmin=0, vmax=shares.max() or 1)  # makes the few large weights visible
    mesh = axes.pcolormesh(edges, bins, shares.T, cmap=theme.colormap, norm=norm)
    if run.num_weights:
        label = f"uniform weights of all {run.num_weights}"
        axes.axhline(1 / run.num_weights, color=theme.lines[1], linestyle="--", linewidth=1.5, label=label)
        _legend(figure, axes)
    axes.set(xlabel="step", ylabel="weight of a variant", ylim=(0, 1))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    _color_bar(figure, axes, mesh, "share of the weights")
    return [
        Value(
            f"step {steps[i]:,}: {shares[i, j]:.1%} of the weights from {bins[j]:.2g} to {bins[j + 1]:.2g}",
            *(axes, (edges[i], edges[i + 1]), (bins[j], bins[j + 1])),
        )
        for i, j in zip(*shares.nonzero(), strict=True)
    ]


def draw_confusion(figure: Figure, theme: Theme, predictions: Predictions) -> list[Value]:
    """Counts of true and predicted classes; colours are shares of the true class."""
    axes = figure.add_subplot()
    names, size = predictions.names, len(predictions.names)
    counts = confusion_matrix(predictions.labels, predictions.outputs.argmax(axis=1), labels=range(size))
    shares = _shares(counts)
    image = axes.imshow(shares, cmap=theme.colormap, vmin=0, vmax=1, aspect="auto")
    if size <= MAX_COUNTS:
        brightness, fontsize = image.to_rgba(shares)[..., :3] @ [0.3, 0.59, 0.11], 13 if size < 5 else 9
        for i, j in np.ndindex(counts.shape):
            color = "#10161d" if brightness[i, j] > 0.5 else "#ffffff"
            axes.text(j, i, f"{counts[i, j]:,}", ha="center", va="center", color=color, fontsize=fontsize)
    if size <= MAX_NAMES:
        short = [name if len(name) <= 16 else name[:15] + "…" for name in names]
        fontsize = 11 if size < 5 else 8 if size <= MAX_COUNTS else 5
        rotation = 0 if size * max(map(len, short)) <= MAX_LETTERS else 90
        axes.set_xticks(range(size), short, fontsize=fontsize, rotation=rotation)
        axes.set_yticks(range(size), short, fontsize=fontsize)
    axes.set(xlabel="predicted", ylabel="label")
    _color_bar(figure, axes, image, "share of the label")
    return [
        Value(
            f"label {names[i]}, predicted {names[j]}: {counts[i, j]:,}, {shares[i, j]:.1%} of the label",
            *(axes, (j - 0.5, j + 0.5), (i - 0.5, i + 0.5)),
        )
        for i, j in np.ndindex(counts.shape)
    ]


def draw_scatter(figure: Figure, theme: Theme, predictions: Predictions) -> list[Value]:
    """Predicted numbers over the labels."""
    axes = figure.add_subplot()
    labels, outputs = predictions.labels, predictions.outputs
    axes.scatter(labels, outputs, s=14, color=theme.lines[0], alpha=0.5, linewidths=0)
    ends = [min(labels.min(), outputs.min()), max(labels.max(), outputs.max())]
    axes.plot(ends, ends, color=theme.lines[1], linestyle="--", linewidth=1.5, label="prediction = label")
    axes.set(xlabel="label", ylabel="prediction")
    _legend(figure, axes)
    return [
        Value(f"label {number(x)}, prediction {number(y)}", axes, (x, x), (y, y))
        for x, y in zip(labels.tolist(), outputs.tolist(), strict=True)
    ]


def draw_calibration(figure: Figure, theme: Theme, predictions: Predictions) -> list[Value]:
    """Accuracy over confidence, and below it the number of predictions."""
    found = calibration(predictions.outputs, predictions.labels)
    curve, bars = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    used = found.counts > 0
    points = found.confidence[used], found.accuracy[used]
    curve.plot([0, 1], [0, 1], color=theme.lines[1], linestyle="--", linewidth=1.5, label="calibrated")
    curve.plot(*points, color=theme.lines[0], marker="o", linewidth=2, label="this model")
    is_multi_label = predictions.labels.ndim == 2
    curve.set(ylabel="has the label" if is_multi_label else "is right", xlim=(0, 1), ylim=(0, 1.04))
    curve.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    bars.bar(found.edges[:-1], found.counts, np.diff(found.edges) * 0.9, align="edge", color=theme.lines[0])
    bars.set(xlabel="probability of the label" if is_multi_label else "confidence", ylabel="count")
    bars.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    bars.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=2))
    _legend(figure, curve)
    right, confidence = ("have the label", "probability") if is_multi_label else ("are right", "confidence")
    texts = [
        f"{found.accuracy[i]:.1%} of {found.counts[i]:,} {right}, mean {confidence} {found.confidence[i]:.1%}"
        for i in used.nonzero()[0]
    ]
    widths = list(zip(found.edges[:-1][used], found.edges[1:][used], strict=True))
    return [
        Value(text, axes, width, axes.get_ylim())
        for axes in (curve, bars)
        for text, width in zip(texts, widths, strict=True)
    ]


def _strips(axes: Axes, steps: list[float], lines: Mapping[str, dict[float, float]], label: str) -> list[Value]:
    """What the lines show at each step, from half-way to the step before to half-way to the next one."""
    steps = steps[:: -(-len(steps) // MAX_STRIPS)]
    left, right = axes.get_xlim()
    edges = [left, *((a + b) / 2 for a, b in pairwise(steps)), right]
    names = {name: name if len(lines) > 1 else label for name in lines}
    texts = [
        ", ".join(f"{names[name]} {number(line[step])}" for name, line in lines.items() if step in line)
        for step in steps
    ]
    return [
        Value(f"step {step:,}: {text}", axes, (edges[i], edges[i + 1]), axes.get_ylim())
        for i, (step, text) in enumerate(zip(steps, texts, strict=True))
    ]


def _shares(counts: np.ndarray) -> np.ndarray:
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def _color_bar(figure: Figure, axes: Axes, image: ScalarMappable, label: str) -> None:
    axes.grid(visible=False)
    bar = figure.colorbar(image, ax=axes, format=PercentFormatter(1, decimals=0), pad=0.02)
    bar.set_label(label)
    bar.outline.set_visible(False)


def _legend(figure: Figure, axes: Axes) -> None:
    """Above the axes, where it hides no line."""
    handles, labels = axes.get_legend_handles_labels()
    if labels:
        figure.legend(handles, labels, loc="outside upper left", ncols=min(len(labels), 3), fontsize=10)
