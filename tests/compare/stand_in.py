"""A stand-in for training runs: `stand_in.py -m hf_mmel.cli OPTION...` writes at once what one would."""

import sys
from pathlib import Path


_PROGRAM = """\
import json, pathlib, sys
options = sys.argv[3:]
value = {name: options[len(options) - options[::-1].index(name)] for name in options if name.startswith("--")
         and name not in ("--do_train", "--do_eval", "--use_cpu", "--overwrite_output_dir")}
method, seed, out = value["--mmel_loss"], int(value["--seed"]), pathlib.Path(value["--output_dir"])
with open(pathlib.Path(__file__).with_name("calls"), "a") as calls:
    print(json.dumps(options), file=calls)
gain = {"none": 0, "uniform": 0.01, "hard": 0.02, "soft": 0.03}[method]
metrics = {"eval_accuracy": 0.5 + gain + 0.01 * seed + 0.001 * gain * seed**2, "eval_loss": 1 - gain}
metrics["eval_samples"] = 16
(out / "all_results.json").write_text(json.dumps(metrics))
(out / "model.safetensors").write_text("weights")
(out / "checkpoint-2").mkdir(exist_ok=True)
if pathlib.Path(__file__).with_name(f"fail-{out.name}").exists():
    raise MemoryError("There is no room.")
"""


def write_stand_in(folder: Path, when_started: str = "") -> str:
    """Writes the program and returns the launcher that runs it; `when_started` is code that knows the `seed`."""
    (folder / "stand_in.py").write_text(_PROGRAM.replace("gain = ", f"{when_started}gain = "))
    return f"{sys.executable} {folder / 'stand_in.py'}"
