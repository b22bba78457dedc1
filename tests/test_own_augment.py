"""`import hf_mmel` where something else is called augment."""

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import augment
import hf_mmel
from hf_mmel.own_augment import FILE, own_augment


ROOT = Path(__file__).parents[1]
LIBRARIES = f"import sys; sys.path.append({str(ROOT)!r})\n"  # behind the folder of the script, as site-packages are
# Imports of all parts, those that hf_mmel itself imports only when it needs them included.
IMPORTS = """
import hf_mmel.cli.run, hf_mmel.cli.dry_run, hf_mmel.compare, hf_mmel.report
from hf_mmel import MMELTrainer, search_variants
from hf_mmel.cli.arguments import augmenter_config
assert augmenter_config("wordnet")["class"] == "WordNetSynonyms"
import pickle
pickle.loads(pickle.dumps(hf_mmel.search.GreedySearch))
import augment
assert augment.MINE, augment
print("fine")
"""


def run(folder: Path, code: str) -> subprocess.CompletedProcess:
    script = folder / "script.py"
    script.write_text(LIBRARIES + code)
    return subprocess.run([sys.executable, str(script)], capture_output=True, text=True, cwd=folder)


@pytest.fixture
def beside(tmp_path, model_dir, masked_lm_dir, nltk_data, monkeypatch):
    """
    A folder with a package named augment, which has modules of all the names that ours has, and the checkpoint of a
    masked LM. Programs see the libraries behind it.
    """
    for path in FILE.parent.rglob("*.py"):
        other = tmp_path / path.relative_to(ROOT)
        other.parent.mkdir(exist_ok=True)
        other.write_text("MINE = True\n")
    shutil.copytree(masked_lm_dir, tmp_path / "masked_lm")
    for name, value in {"PYTHONPATH": ROOT, "NLTK_DATA": nltk_data, "HF_HUB_OFFLINE": 1, "OMP_NUM_THREADS": 1}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def run_beside(folder: Path, *command: str) -> str:
    """What a program in the folder writes."""
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


@pytest.mark.integration
@pytest.mark.parametrize(
    ("others", "augmenters"),
    [
        ("first", ["wordnet", "context", "mlm", "mlm_insert", "embedding", "typos:fork"]),
        ("later", ["delete", "swap", "insert", "same_text", "wordnet:spawn"]),
    ],
)
def test_all_augmenters_train_beside_a_package_with_the_names_of_ours(beside, others, augmenters):
    shutil.copy(ROOT / "tests" / "scripts" / "beside_augment.py", beside)
    written = run_beside(beside, "beside_augment.py", others, "masked_lm", *augmenters)
    assert json.loads(written.splitlines()[-1]) == [name.partition(":")[0] for name in augmenters]


@pytest.mark.integration
def test_the_commands_work_beside_a_package_with_the_names_of_ours(beside):
    shutil.copy(ROOT / "run_glue_mmel.py", beside)
    rows = [f"{text},{i % 2}" for i, text in enumerate(["the film was good", "the actors had an awful day"] * 8)]
    (beside / "train.csv").write_text("\n".join(["text,label", *rows]))
    options = ["--model_name_or_path", "masked_lm", "--train_file", "train.csv", "--validation_file", "train.csv"]
    options += ["--do_train", "--max_steps", "2", "--use_cpu", "--report_to", "none", "--cache_dir", "files"]
    train = ["run_glue_mmel.py", *options, "--do_eval", "--output_dir", "out", "--augmenter", "mlm"]
    run_beside(beside, *train, "--augmenter_model", "masked_lm", "--greedy_search", "loss")
    assert (beside / "out" / "augmenter.json").is_file()
    run_beside(beside, "-m", "hf_mmel", "report", "out")
    assert (beside / "out" / "report.html").is_file()
    grid = ["--methods", "none,hard", "--augmenters", "delete", "--seeds", "1", "--output_dir", "grid"]
    assert "delete" in run_beside(beside, "-m", "hf_mmel", "compare", *options, *grid)


def test_no_function_of_this_package_imports_augment():
    """Which would be the user's where the function is called; modules are executed with ours."""
    for path in ROOT.joinpath("hf_mmel").rglob("*.py"):
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
                imports = [node for node in ast.walk(function) if isinstance(node, (ast.Import, ast.ImportFrom))]
                assert not [node for node in imports if "augment" in ast.unparse(node)], f"{path}: {function.name}"


def test_ours_is_a_part_of_this_package_too():
    assert hf_mmel.augment is augment


def test_ours_is_left_alone_where_nothing_is_in_the_way():
    before = dict(sys.modules)
    with own_augment():
        assert sys.modules["augment"] is augment
    assert dict(sys.modules) == before and Path(augment.__file__).resolve() == FILE


@pytest.mark.integration
@pytest.mark.parametrize("first", ["import hf_mmel", "import augment, hf_mmel"])
@pytest.mark.parametrize("path", ["augment.py", "augment/__init__.py"])
def test_a_module_of_the_users_named_augment_does_no_harm(tmp_path, path, first):
    (tmp_path / path).parent.mkdir(exist_ok=True)
    (tmp_path / path).write_text("MINE = True\n")
    done = run(tmp_path, f"{first}\n{IMPORTS}")
    assert (done.stdout, done.returncode) == ("fine\n", 0), done.stderr


@pytest.mark.integration
def test_submodules_of_the_users_remain_theirs(tmp_path):
    folder = tmp_path / "augment"
    folder.mkdir()
    (folder / "__init__.py").write_text("MINE = True\n")
    (folder / "base.py").write_text("MINE = 1\n")
    code = "import hf_mmel\nimport augment.base\nfrom augment.base import MINE\nprint(MINE)"
    done = run(tmp_path, code)
    assert (done.stdout, done.returncode) == ("1\n", 0), done.stderr


@pytest.mark.integration
def test_the_error_names_the_file_that_is_in_the_way_of_ours(tmp_path):
    (tmp_path / "augment.py").write_text("MINE = True\n")
    done = run(tmp_path, "import hf_mmel\nfrom augment import WordNetSynonyms")
    assert "cannot import name 'WordNetSynonyms' from 'augment'" in done.stderr
    assert str(tmp_path / "augment.py") in done.stderr.splitlines()[-1]


@pytest.mark.integration
@pytest.mark.parametrize("content", [None, "MINE = True\n"])
def test_a_package_installed_over_ours_is_named(tmp_path, content):
    shutil.copytree(ROOT / "hf_mmel", tmp_path / "hf_mmel")
    if content is not None:
        (tmp_path / "augment").mkdir()
        (tmp_path / "augment" / "__init__.py").write_text(content)
    done = subprocess.run([sys.executable, "-c", "import hf_mmel"], capture_output=True, text=True, cwd=tmp_path)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: ") and str(tmp_path / "augment" / "__init__.py") in last
    assert "nstall hf_mmel again" in last
