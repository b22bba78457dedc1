"""Augmentation on Ray: a class for pipelines of Ray Data, and the engine of `python -m augment write --engine ray`."""

import logging
import os
import pickle
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from types import ModuleType
from typing import Any

from .base import Augmenter
from .configurable import check_count
from .parts.job import PartJob, choose_dtype
from .registry import augmenter_config, load_augmenter
from .shards import variants_of_shard


_MAX_DEATHS = 3  # of the workers of one part


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
        choose_dtype(self.augmenter)
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


def write_parts(job: PartJob, numbers: Sequence[int], num_workers: int | None = None) -> Iterator[int]:
    """
    Writes parts on the workers of a Ray cluster, and yields the number of each part when it is there.

    Ray Data gives the parts to workers one by one, and gives the parts of a worker that dies to others. The cluster
    is the one that Ray is connected to, or that `RAY_ADDRESS` or `ray start` names; otherwise one is started on this
    machine and stopped at the end. A worker has one CPU, and one GPU if the augmenter has a model and there are GPUs.

    Args:
        job (`PartJob`): Writes any part, in any process.
        numbers (`Sequence[int]`): The numbers of the parts to write.
        num_workers (`int`, *optional*): The number of workers. Defaults to one for each GPU, or CPU, of the cluster.

    Raises:
        `RuntimeError`: if a worker raises an error, whose message it has, if workers die at the same part again and
            again, or Ray fails. All parts that were yielded stay.
        `ConnectionError`: if there is no cluster at `RAY_ADDRESS`.
    """
    check_count("num_workers", num_workers, optional=True)
    if not numbers:
        return
    num_done = 0
    with _ray_errors(), _cluster(job):
        for result in _results(job, numbers, num_workers):
            if result["num_deaths"] == _MAX_DEATHS:
                raise RuntimeError(
                    f"The worker of part {result['number']} died {_MAX_DEATHS} times, probably out of memory; "
                    f"{num_done} of {len(numbers)} parts are done. Lower --num_workers or use machines with more "
                    "memory, and run the same command again to continue."
                )
            if result["error"] is not None:
                raise RuntimeError(result["error"])
            num_done += 1
            yield result["number"]


class _PartWriter:
    """
    A worker that writes parts and returns only their numbers, or why it cannot. It catches errors itself, as those of
    a worker reach the driver within pages of Ray's own messages.
    """

    def __init__(self, pickled_job: bytes, begun: Any, folder: str):
        self._pickled_job = pickled_job
        self._begun = begun
        self._folder = folder

    def __call__(self, batch: Any) -> dict[str, list[Any]]:
        import ray

        number = int(batch["item"][0])
        num_deaths = ray.get(self._begun.add.remote(number))
        error = None
        if num_deaths < _MAX_DEATHS:
            try:
                self._job.write(number)
            except Exception as raised:
                error = str(raised) or type(raised).__name__
        return {"number": [number], "num_deaths": [num_deaths], "error": [error]}

    @cached_property
    def _job(self) -> PartJob:
        if os.path.isdir(self._folder):  # that of the command, to which names of files and modules are relative
            os.chdir(self._folder)
        return pickle.loads(self._pickled_job)  # noqa: S301 - of the driver


class _Begun:
    """An actor that counts how often a part was begun, as a worker that dies can say nothing."""

    def __init__(self) -> None:
        self._counts = Counter[int]()

    def add(self, number: int) -> int:
        """Notes the beginning of a part. Returns how often it was begun before."""
        self._counts[number] += 1
        return self._counts[number] - 1


def _results(job: PartJob, numbers: Sequence[int], num_workers: int | None) -> Iterator[dict[str, Any]]:
    """What the workers return for each part, in the order in which they finish."""
    import ray
    from ray import cloudpickle, data

    resources = ray.cluster_resources()
    num_gpus = int(resources.get("GPU", 0)) if job.has_model else 0
    size = min(num_workers or num_gpus or int(resources["CPU"]), len(numbers))
    begun = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(_Begun).remote()
    dataset = data.from_items(list(numbers), override_num_blocks=len(numbers)).map_batches(
        _PartWriter,
        fn_constructor_args=(cloudpickle.dumps(job), begun, os.getcwd()),
        batch_size=1,
        # The second part waits in the worker, which is never idle between parts.
        compute=data.ActorPoolStrategy(size=size, max_tasks_in_flight_per_actor=2),
        num_cpus=1,
        num_gpus=1 if num_gpus else 0,
    )
    dataset.context.enable_progress_bars = dataset.context.print_on_execution_start = False
    table: Any
    for table in dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        yield from table.to_pylist()


@contextmanager
def _cluster(job: PartJob) -> Iterator[None]:
    """Connects to a cluster, or starts one on this machine, unless Ray is connected already. Silences Ray Data."""
    import ray
    import ray.data

    connects = not ray.is_initialized()
    if connects:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        quiet: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.ERROR}
        try:
            ray.init(runtime_env={"py_modules": _modules(job)}, **quiet)
        except ConnectionError as error:
            raise ConnectionError(
                f"{str(error).splitlines()[0].rstrip('.')}. Check RAY_ADDRESS, or unset it to start a cluster on this "
                "machine."
            ) from error
    consoles = [one for one in logging.getLogger("ray.data").handlers if isinstance(one, logging.StreamHandler)]
    levels = [console.level for console in consoles]
    for console in consoles:  # the file in Ray's folder has everything
        console.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for console, level in zip(consoles, levels, strict=True):
            console.setLevel(level)
        if connects:
            ray.shutdown()


def _modules(job: PartJob) -> list[ModuleType]:
    """The code that is sent to the workers: this package, and the module of the user's class in the current folder."""
    modules = [sys.modules[__package__]]
    if job.own_class is not None:
        own = sys.modules[job.own_class.partition(":")[0].partition(".")[0]]
        where = os.path.abspath(own.__file__ or own.__path__[0])
        if where.startswith(os.path.join(os.getcwd(), "")) and "site-packages" not in where:
            modules.append(own)
    return modules


@contextmanager
def _ray_errors() -> Iterator[None]:
    """Raises errors of Ray, which fill a screen, as one sentence."""
    from ray.exceptions import RayError

    try:
        yield
    except RayError as error:
        reason = next((line for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)
        reason = reason.strip().rstrip(".")
        raise RuntimeError(
            f"Ray failed: {reason}. The parts that are done stay: run the same command again to continue."
        ) from error
