"""`python -m augment generate`: a file with a column of lists of new texts."""

import hashlib
import json
from argparse import Namespace
from collections.abc import Iterator

from ..core.shared_folder import distributed
from ..core.tables import Table
from ..generated import Generated
from ..generation.text_generator import PLACE
from . import output


# Options of the command that are arguments of `generate`.
GENERATION = ("num_return_sequences", "temperature", "top_p", "num_beams", "max_new_tokens")


def generate(args: Namespace) -> Iterator[str]:
    """Writes the rows of a file to another file, with a column of lists of new texts."""
    table = Table(args.input, [args.column])
    out = output.checked_output(args.output, table.path)
    num_rows, columns = table.scan()
    if args.new_column in columns:
        raise ValueError(f"{table.path} already has a column {args.new_column!r}. Choose another --new_column.")
    prompts = args.prompt or [PLACE]
    options = {name: getattr(args, name) for name in GENERATION if getattr(args, name) is not None}
    generated = Generated(
        args.model,
        prompts if len(prompts) > 1 else prompts[0],
        min_ratio=args.min_ratio,
        max_ratio=args.max_ratio,
        batch_tokens=args.batch_tokens,
        cache_dir=args.cache_dir,
        **options,
    )
    groups = generated.texts([row[args.column] for row in table], args.num_variants, args.seed)
    if distributed()[0] > 0:
        return  # each process has all texts; one of them writes the file
    schema = table.schema
    if schema is not None:
        import pyarrow

        schema = schema.append(pyarrow.field(args.new_column, pyarrow.list_(pyarrow.string())))
    digest = hashlib.sha256(json.dumps(groups).encode()).hexdigest()
    settings = {"input": table.digest(), "column": args.new_column, "texts": digest, "rows": output.CHUNK}
    writer = output.ResumableWriter(out, [*columns, args.new_column], schema, settings)
    pairs = zip(table, groups, strict=True)
    writer.write(pairs, num_rows, lambda own, first: ([{**row, args.new_column: group} for row, group in own], {}))
    num_texts, num_without = sum(map(len, groups)), sum(not group for group in groups)
    yield f"{out}: {num_rows} rows with {num_texts} new texts in column {args.new_column!r}; {num_without} have none."
