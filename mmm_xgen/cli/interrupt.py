"""Ctrl-C while the command line imports what it needs: status 130 and no traceback.

The package itself takes most of that time, so this is the first thing that it imports. It does
nothing in any other program.
"""

import os
import signal
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

INTERRUPTED = 130


def _end(*_: Any) -> NoReturn:
    os._exit(INTERRUPTED)


def is_command(words: list[str], script: str) -> bool:
    """Tell if a process is the command line, by its words and by the script that it runs.

    Examples
    --------
    >>> is_command(["python", "/bin/mmm-xgen", "presets"], "/bin/mmm-xgen")
    True
    >>> is_command(["python", "-m", "mmm_xgen", "presets"], "-m")
    True
    >>> is_command(["python", "study.py", "mmm-xgen"], "study.py")
    False
    """
    if script == "-m":
        return ("-m", "mmm_xgen") in pairwise(words)
    return script in words and Path(script).stem == "mmm-xgen"


if is_command(sys.orig_argv, sys.argv[0]):
    signal.signal(signal.SIGINT, _end)
