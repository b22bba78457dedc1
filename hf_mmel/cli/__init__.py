"""The parts of `run_glue_mmel.py`."""
