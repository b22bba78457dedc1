"""The help of the commands: short, in groups, and without the libraries that take seconds to import."""

import re
import subprocess
import sys
from dataclasses import MISSING, fields
from pathlib import Path

import pytest
from transformers import TrainingArguments

from hf_mmel.__main__ import main as hf_mmel_command
from hf_mmel.argument_groups import ObjectiveArguments
from hf_mmel.cli.arguments import AugmenterArguments, RunArguments
from hf_mmel.cli.help import GROUPS, PROGRAM, TRAINING, asked_help, short_help, title_of
from hf_mmel.cli.parser import full_help
from hf_mmel.step.adversarial import NORMS


ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "transformers", "datasets", "evaluate", "peft", "pyarrow", "pandas", "matplotlib")
TITLES = [group.title for group in GROUPS]


def heavy_imports(*command: str, folder: Path = ROOT) -> tuple[str, list[str]]:
    """What a command writes, and which libraries it has imported when it ends, of those that take long."""
    code = (
        "import atexit, runpy, sys\n"
        f"atexit.register(lambda: print('\\nimported:', *({set(HEAVY)!r} & sys.modules.keys())))\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "sys.argv = sys.argv[1:]\n"
        "script = sys.argv[0]\n"
        "runpy.run_path(script, run_name='__main__') if script.endswith('.py') else "
        "runpy.run_module(script, run_name='__main__', alter_sys=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *command], cwd=folder, capture_output=True, text=True)
    written, _, imported = done.stdout.rpartition("\nimported:")
    return written + done.stderr, imported.split()


@pytest.mark.integration
@pytest.mark.parametrize(
    "command",
    [
        f"{ROOT / PROGRAM} --help",
        "hf_mmel.cli -h",
        "hf_mmel --help",
        "hf_mmel train --help",
        "hf_mmel augment preview --help",
        "hf_mmel compare --help",
        "hf_mmel report --help",
        "hf_mmel attack --help",
        "augment --help",
    ],
)
def test_help_imports_nothing_that_takes_long(command):
    written, imported = heavy_imports(*command.split())
    assert written.startswith("usage: ") and imported == []


@pytest.mark.integration
@pytest.mark.parametrize("command", ["report", "attack", "compare"])
@pytest.mark.parametrize(("name", "problem"), [("missing", "does not exist"), ("empty", "is empty")])
def test_a_wrong_folder_is_an_error_of_one_line_without_long_imports(tmp_path, command, name, problem):
    (tmp_path / "empty").mkdir()
    written, imported = heavy_imports("hf_mmel", command, name, folder=tmp_path)
    assert written.startswith(f"error: {name} {'is no file' if command == 'compare' else problem}; expected ")
    assert written.count("\n") == 1 and imported == []


def test_a_missing_folder_may_be_a_model_of_the_hub(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert hf_mmel_command(["attack", "some/model"]) == 1
    assert "For a model of the Hub name the folder of the results with --output_dir." in capsys.readouterr().err
    assert hf_mmel_command(["attack", "some/model", "--output_dir", "out"]) == 1
    assert "There is no data to work on" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["compare", "report", "attack"])
def test_usage_names_the_program_as_it_was_called(command, capsys):
    for program in ("hf-mmel", "python -m hf_mmel"):
        with pytest.raises(SystemExit):
            hf_mmel_command([command, "--help"], program)
        assert capsys.readouterr().out.startswith(f"usage: {program} {command} ")


def test_train_and_augment_are_commands_as_well(capsys):
    hf_mmel_command(["train", "--help"], "hf-mmel")
    assert capsys.readouterr().out == short_help("hf-mmel train")
    with pytest.raises(SystemExit, match=r"^hf-mmel train: error: There is no option --no_such; --help all lists"):
        hf_mmel_command(["train", "--model_name_or_path", "x", "--task_name", "rte", "--no_such"], "hf-mmel")
    with pytest.raises(SystemExit):
        hf_mmel_command(["augment", "preview", "--help"], "hf-mmel")
    assert capsys.readouterr().out.startswith("usage: hf-mmel augment preview ")
    assert hf_mmel_command(["augment", "preview", "--text", "a film", "--augmenter", "delete"]) == 0


def test_the_short_help_fits_80_lines_and_has_a_line_for_each_option():
    lines = short_help(PROGRAM).splitlines()
    assert len(lines) <= 80 and max(map(len, lines)) < 120
    assert [line[:-1] for line in lines if re.fullmatch(r"[A-Z].*:", line)] == ["Examples", *TITLES]
    shown = [name for group in GROUPS for name in group.shown] + list(TRAINING)
    assert [found[1] for line in lines if (found := re.match(r"  --(\w+) ", line))] == shown
    assert lines[-1].endswith("--help all lists every option.")


def test_the_short_help_has_default_choices_and_the_beginning_of_the_full_text():
    text = short_help(PROGRAM)
    assert "Name on the Hub or local path of the pretrained model (required)\n" in text
    assert "Regularisation strength, in units of the loss (default: 1.0)\n" in text
    assert "How the variants of one example are weighed: soft (default), hard, uniform, none\n" in text


def test_the_lines_about_the_options_of_transformers_have_its_defaults():
    known = {field.name: field for field in fields(TrainingArguments)}
    assert {name: default for name, (default, _) in TRAINING.items()} == {
        name: None if known[name].default is MISSING else known[name].default for name in TRAINING
    }


def test_the_full_help_has_the_groups_of_the_short_one_and_transformers_last():
    text = full_help(PROGRAM)
    positions = [text.index(f"\n{title}:\n") for title in TITLES]
    assert positions == sorted(positions)
    for option in ("lambda_p", "greedy_search", "unlabeled_file", "cache_dir", "adam_beta1", "seeds"):
        start = text.index(f"\n  --{option} ")
        assert max(position for position in positions if position < start) == text.index(f"\n{title_of(option)}:\n")


@pytest.mark.parametrize("cls", [ObjectiveArguments, AugmenterArguments, RunArguments])
def test_every_option_of_a_class_is_in_its_group(cls):
    (title,) = (group.title for group in GROUPS if cls in group.classes)
    assert {title_of(field.name) for field in fields(cls)} == {title}


def test_options_of_a_class_may_be_shown_in_another_group():
    assert title_of("teacher_model_name_or_path") == title_of("unlabeled_file") == title_of("soft_labels")


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        (["--help"], "short"),
        (["-h"], "short"),
        (["a.json", "--do_train", "--help"], "short"),
        (["--help", "--do_train"], "short"),
        (["--help", "all"], "all"),
        (["--do_train", "-h", "all"], "all"),
        (["--help=all"], "all"),
        (["--output_dir", "all"], None),
        ([], None),
    ],
)
def test_which_help_is_asked_for(options, asked):
    assert asked_help(options) == asked


@pytest.mark.parametrize(
    ("program", "started"), [(PROGRAM, f"python {PROGRAM} --"), ("hf-mmel train", "hf-mmel train --")]
)
def test_the_help_names_the_program_as_it_was_called(program, started):
    assert short_help(program).startswith(f"usage: {program} [FILE]")
    assert short_help(program).count(f"\n  {started}") == 2
    assert full_help(program).startswith(f"usage: {program} [FILE]")


def test_the_norms_of_the_command_are_those_of_adversarial_variants():
    (norm,) = (field for field in fields(AugmenterArguments) if field.name == "adversarial_norm")
    assert norm.metadata["choices"] == list(NORMS)
