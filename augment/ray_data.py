"""Augmentation on Ray: a class for pipelines of Ray Data, and the engine of `python -m augment write --engine ray`."""

from collections.abc import Mapping, Sequence
from typing import Any

from .base import Augmenter
from .core.devices import default_device, fast_dtype
from .mlm.source import MaskedLMSource
from .registry import augmenter_config, load_augmenter
from .shards import variants_of_shard


class AddVariants:
    """
    Adds a column of variants to the batches of a Ray Dataset.

    The variants of a row depend only on its texts, its number and the seed, so they are the same for any blocks,
    order and number of workers: those of `variants_of_shard` and of `python -m augment write`. A masked language
    model runs on the GPU that Ray assigns to the worker, in the fastest `dtype` of the device unless the
    configuration has one. With a model, rounding also depends on the batch: keep `batch_size`.

    Args:
        augmenter (`str` or `Mapping`):
            The name of an augmenter as in `make_augmenter`, or its configuration, `augmenter.to_dict()`. Each worker
            builds the augmenter once. Your own class is `"MODULE:CLASS"`, in a module that the workers can import.
        tokenizer (`str` or `transformers.PreTrainedTokenizerFast`, *optional*):
            The tokenizer, its name or its folder. Defaults to that of the model, and to a tokenizer of bytes if there
            is no model.
        columns (`str` or a list of `str`, *optional*, defaults to `"text"`): The column of the text, or several.
        index_column (`str`, *optional*, defaults to `"index"`): The column with the number of each row, an int.
        seed (`int`, *optional*, defaults to 0): Random seed.
        num_variants (`int`, *optional*, defaults to 4): K, at least 1.
        new_column (`str`, *optional*, defaults to `"variants"`): Name of the new column.
        keep_copies (`bool`, *optional*, defaults to `False`): As in `variants_of_shard`.
        model (`str`, *optional*): Name or folder of the model, if `augmenter` is the name of one that needs a model.
        options: Arguments of the augmenter, such as `replace_prob`, if `augmenter` is a name.

    Raises:
        `TypeError`: if the augmenter is neither a name nor a configuration.
        `ValueError`: if the augmenter is unknown or cannot be built.

    Example:

    ```python
    >>> options = {"augmenter": "synonyms", "tokenizer": "bert-base-uncased", "index_column": "id"}
    >>> dataset = ray.data.read_parquet("reviews/")
    >>> dataset = dataset.map_batches(AddVariants, fn_constructor_kwargs=options, batch_format="pyarrow")
    >>> dataset.write_parquet("augmented/")
    ```
    """

    def __init__(
        self,
        augmenter: str | Mapping[str, Any],
        tokenizer: Any = None,
        *,
        columns: str | Sequence[str] = "text",
        index_column: str = "index",
        seed: int = 0,
        num_variants: int = 4,
        new_column: str = "variants",
        keep_copies: bool = False,
        model: str | None = None,
        **options,
    ):
        if isinstance(augmenter, str):
            config = augmenter_config(augmenter, model, **options)
        elif not isinstance(augmenter, Mapping):
            raise TypeError(
                f"augmenter is {augmenter!r:.100} of type {type(augmenter).__name__}; expected a name, or the "
                "configuration augmenter.to_dict(), which is sent to the workers."
            )
        elif model is not None or options:
            names = ", ".join([*(["model"] if model is not None else []), *options])
            raise ValueError(f"The configuration of a {augmenter.get('class')} has all arguments; received {names}.")
        else:
            config = dict(augmenter)
        if tokenizer is None or isinstance(tokenizer, str):
            self.augmenter = load_augmenter(config, tokenizer)
        else:
            self.augmenter = Augmenter.from_dict(config, tokenizer)
        _set_fast_dtype(self.augmenter)
        self.columns = [columns] if isinstance(columns, str) else list(columns)
        self.index_column = index_column
        self.seed = seed
        self.options: dict[str, Any] = {
            "num_variants": num_variants,
            "new_column": new_column,
            "keep_copies": keep_copies,
        }

    def __call__(self, batch: Any) -> Any:
        """
        The batch with the new column, whose type is a list of strings, or of lists of strings with several columns.

        Args:
            batch (`dict` of `np.ndarray`, or `pyarrow.Table`): A batch of the format "default", "numpy" or "pyarrow".

        Raises:
            `TypeError`: if the batch is of another format, a text is not a `str`, or a number not an `int`.
            `ValueError`: as in `variants_of_shard`.
        """
        import pyarrow

        is_table = isinstance(batch, pyarrow.Table)
        if not is_table and not isinstance(batch, Mapping):
            raise TypeError(
                f"The batch is a {type(batch).__name__}; expected batch_format='pyarrow' or 'numpy' in map_batches."
            )
        names = batch.column_names if is_table else list(batch)
        if self.index_column not in names:
            raise ValueError(
                f"The rows have no column {self.index_column!r} with their numbers; set index_column to one of "
                f"{', '.join(map(repr, names))}."
            )
        rows = {name: batch[name] for name in names}
        for name in {*self.columns, self.index_column} & rows.keys():
            rows[name] = rows[name].to_pylist() if is_table else list(rows[name])
        made = variants_of_shard(
            rows, rows[self.index_column], self.seed, augmenter=self.augmenter, columns=self.columns, **self.options
        )
        # The type is given, since a batch without any variant has none, and lists of one length would be a tensor.
        texts = pyarrow.list_(pyarrow.string())
        ((name, variants),) = made.items()
        column = pyarrow.array(variants, texts if len(self.columns) == 1 else pyarrow.list_(texts))
        return batch.append_column(name, column) if is_table else {**batch, name: column}


def _set_fast_dtype(augmenter: Augmenter) -> None:
    """Has each masked LM compute in the fastest type of its device, as `precompute` does, if it has no `dtype`."""
    if isinstance(augmenter, MaskedLMSource) and augmenter.dtype is None:
        augmenter.dtype = fast_dtype(augmenter.device or default_device())
    for part in augmenter.parts:
        _set_fast_dtype(part)
