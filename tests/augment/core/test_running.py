import argparse

import pytest

from augment.core.running import one_line, run_command, shown


def test_a_message_fits_a_screen_and_keeps_its_end():
    assert one_line("wrong\n  row; mend it") == "wrong row; mend it"
    message = one_line(f"{'columns ' * 10_000} Name the text with --text_column_names.")
    assert len(message) < 1300 and message.startswith("columns columns") and " [...] " in message
    assert message.endswith("Name the text with --text_column_names.")


def test_few_names_are_shown_of_many():
    assert shown(["a", "b"]) == "a, b"
    assert shown(map(str, range(1000))).endswith("18, 19 and 980 others")
    assert len(shown(["x" * 1000] * 1000)) < 1200


@pytest.mark.parametrize("error", [ValueError("x" * 10**6), OSError("many words " * 10**5)])
def test_errors_of_commands_fit_a_screen(capsys, error):
    def run(args):
        raise error
        yield

    assert run_command(argparse.Namespace(run=run), (ValueError, OSError)) == 1
    assert len(capsys.readouterr().err) < 1300
