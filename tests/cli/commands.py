"""Commands run in this process."""

from __future__ import annotations

from typer.testing import CliRunner

from mmm_xgen.cli import app


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def ran(*arguments):
    """The result of a command that has to succeed."""
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result


def refused(*arguments):
    """The message of a command that has to be refused: one line, exit status 2, no traceback."""
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("mmm-xgen: error: ")
    return result.stderr.removeprefix("mmm-xgen: error: ").strip()
