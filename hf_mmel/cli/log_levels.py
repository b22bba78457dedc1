"""What the command logs."""

import logging
import sys

import datasets
import transformers

from ..training_args import MMELTrainingArguments


def set_up_logging(logger: logging.Logger, training_args: MMELTrainingArguments) -> None:
    """Sets the levels of the command's own logger, of this package, and of the libraries."""
    level = training_args.get_process_log_level()
    logging.basicConfig(format="%(asctime)s - %(levelname)s - %(name)s - %(message)s", stream=sys.stdout)
    logger.setLevel(level)
    is_default = training_args.log_level == "passive" and training_args.should_log
    # At debug it logs tracebacks of usage errors.
    logging.getLogger("hf_mmel").setLevel(min(level, logging.INFO if is_default else logging.WARNING))
    datasets.utils.logging.set_verbosity(level)
    transformers.utils.logging.set_verbosity(level)
