"""The hardest variants of an epoch, for people: lines in a terminal, a table in a notebook."""

import sys
from collections.abc import Iterable
from html import escape
from typing import Any

from tqdm.auto import tqdm
from transformers.utils import is_in_notebook

from augment.core.marking import COLOURS, HTML, PLAIN, marked


def show_variants(rows: list[dict[str, Any]]) -> None:
    """Prints the hardest variants of an epoch, rows of `VariantHistory`, or displays them in a notebook."""
    if is_in_notebook():
        from IPython.display import display

        display({"text/plain": "\n".join(_lines(rows, PLAIN)), "text/html": _table(rows)}, raw=True)
    else:
        marks = COLOURS if sys.stdout.isatty() else PLAIN
        tqdm.write("\n".join(_lines(rows, marks)))  # above the progress bars


def _title(rows: list[dict[str, Any]]) -> str:
    return f"Hardest variants of epoch {rows[0]['epoch']:g}:"


def _lines(rows: list[dict[str, Any]], marks: tuple[tuple[str, str], tuple[str, str]]) -> Iterable[str]:
    """The rows as lines, with the replaced words marked."""
    yield _title(rows)
    for row in rows:
        label = "" if row["label"] is None else f"label {row['label']}, "
        losses = f"loss {row['loss']:.3g} (original {row['loss_original']:.3g})"
        yield f"  {label}weight {row['weight']:.3g}, {losses}"
        # A line break or a control character would break the line, or reach the terminal.
        original, variant = (
            "".join(character if character.isprintable() else " " for character in row[name])
            for name in ("original", "variant")
        )
        yield f"    {marked(original, variant, marks)}"


def _table(rows: list[dict[str, Any]]) -> str:
    """The rows as an HTML table in the style of the table of losses, with the replaced words marked."""
    columns = ["label", "weight", "loss", "loss_original"]
    if all(row["label"] is None for row in rows):
        columns.remove("label")
    titles = [*(name.replace("_", " ").title() for name in columns), "Variant"]
    body = []
    for row in rows:
        cells = [escape(f"{row[name]:.3g}" if isinstance(row[name], float) else str(row[name])) for name in columns]
        body.append([*cells, marked(row["original"], row["variant"], HTML, escape)])
    lines = [f"<p>{_title(rows)}</p>", '<table border="1" class="dataframe tex2jax_ignore mathjax_ignore">']
    lines += [_html_row("th", titles), *(_html_row("td", cells) for cells in body), "</table>"]
    return "\n".join(lines)


def _html_row(tag: str, cells: Iterable[str]) -> str:
    return f'<tr style="text-align: left;">{"".join(f"<{tag}>{cell}</{tag}>" for cell in cells)}</tr>'
