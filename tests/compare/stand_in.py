"""
Stand-ins for training runs and attacks: programs that write at once what these would. And what comparisons ask for and
leave.
"""

import json
import sys
from pathlib import Path

from hf_mmel.__main__ import parse
from hf_mmel.compare.plan import Plan, read_plan


_PROGRAM = """\
import json, pathlib, sys
import numpy as np
options = sys.argv[3:]
value = {name: options[len(options) - options[::-1].index(name)] for name in options if name.startswith("--")
         and name not in ("--do_train", "--do_eval", "--use_cpu", "--overwrite_output_dir", "--save_eval_predictions")}
method, seed, out = value["--mmel_loss"], int(value["--seed"]), pathlib.Path(value["--output_dir"])
with open(pathlib.Path(__file__).with_name("calls"), "a") as calls:
    print(json.dumps(options), file=calls)
gain = {"none": 0, "uniform": 0.01, "hard": 0.02, "soft": 0.03}[method]
metrics = {"eval_accuracy": 0.5 + gain + 0.01 * seed + 0.001 * gain * seed**2, "eval_loss": 1 - gain}
metrics["eval_samples"] = 16
(out / "all_results.json").write_text(json.dumps(metrics))
(out / "model.safetensors").write_text("weights")
(out / "checkpoint-2").mkdir(exist_ok=True)
labels = np.arange(16) % 2
right = np.arange(16) >= 8 - 200 * gain  # 8, 10, 12 or 14 examples
logits = (2 * np.eye(2) - 1)[np.where(right, labels, 1 - labels)] * (1 + seed / 10)
np.savez(out / "eval_predictions.npz", id=np.arange(16), label=labels, logits=logits)
if pathlib.Path(__file__).with_name(f"fail-{out.name}").exists():
    raise MemoryError("There is no room.")
"""

_ATTACK = """\
import json, pathlib, sys
import numpy as np
folder = pathlib.Path(sys.argv[1])
here = pathlib.Path(__file__)
with open(here.with_name("calls"), "a") as calls:
    print(json.dumps(["attack", *sys.argv[1:]]), file=calls)
assert (folder / "model.safetensors").exists()
(folder / "attack").mkdir(exist_ok=True)
if here.with_name(f"fail-attack-{folder.name}").exists():
    raise MemoryError("There is no room for an attack.")
with np.load(folder / "eval_predictions.npz") as arrays:
    labels, logits = arrays["label"].tolist(), arrays["logits"]
predictions = logits.argmax(axis=1).tolist()
rows = [{"id": i, "label": pair[0], "prediction": pair[1]} for i, pair in enumerate(zip(labels, predictions))]
for row in rows:
    if row["label"] == row["prediction"]:
        row["random"], row["greedy"] = {"success": row["id"] == 15}, {"success": row["id"] == 14}
(folder / "attack" / "attack.jsonl").write_text("".join(json.dumps(row) + "\\n" for row in rows))
summary = {"num_examples": len(rows), "attacks": ["random", "greedy"]}
(folder / "attack" / "attack.json").write_text(json.dumps(summary))
"""


def write_stand_in(folder: Path, when_started: str = "") -> str:
    """Writes the program and returns the launcher that runs it; `when_started` is code that knows the `seed`."""
    (folder / "stand_in.py").write_text(_PROGRAM.replace("gain = ", f"{when_started}gain = "))
    return f"{sys.executable} {folder / 'stand_in.py'}"


def write_attack(folder: Path) -> list[str]:
    """Writes the program that stands in for an attack, and returns its command, which takes the folder of the run."""
    (folder / "attack_stand_in.py").write_text(_ATTACK)
    return [sys.executable, str(folder / "attack_stand_in.py")]


def plan_of(*options) -> Plan:
    """The plan of a comparison with these options."""
    return read_plan(parse(["compare", *map(str, options)]))


def read(out: Path):
    """What a comparison has written."""
    return json.loads((out / "compare.json").read_text())


def read_calls(folder: Path) -> list[list[str]]:
    """The arguments of the programs that have been started since the last time."""
    file = folder / "calls"
    lines = file.read_text().splitlines() if file.exists() else []
    file.unlink(missing_ok=True)
    return list(map(json.loads, lines))


def value_of(options: list[str], name: str) -> str:
    """The value of an option, of which the last one counts."""
    return options[len(options) - options[::-1].index(name)]
