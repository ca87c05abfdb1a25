"""Run the command of a step in a process of its own, which ends with this one."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

from tools.base.signals import Stopped, ending_with_parent
from tools.cli import STEP_VARIABLE
from tools.pipeline.commands import typed
from tools.pipeline.plan import Step

_RANK_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")


def run_step(step: Step, document: Path, lock: int) -> int:
    """Run a step; after several ranks once more alone, which makes one table of what they have finished.

    What the command prints goes to standard error, or where it has no output to standard output: that is what
    it is run for.

    Args:
        step: The step.
        document: The file of the pipeline, for errors.
        lock: A file that the command inherits, so that no other run begins before it has ended.

    Returns:
        The exit code; 128 plus the signal where one has ended it.
    """
    code = _run(typed(step.does.command, step.full_line, step.ranks), step, document, lock)
    if code == 0 and step.ranks > 1:
        code = _run(typed(step.does.command, step.full_line), step, document, lock)
    return code


def command_of(step: Step) -> str:
    """What could be typed in place of a step."""
    words = typed(step.does.command, step.full_line, step.ranks)
    return shlex.join(["torchrun" if step.ranks > 1 else "python", *words[3 if step.ranks > 1 else 1 :]])


def _run(words: list[str], step: Step, document: Path, lock: int) -> int:
    environment = {name: value for name, value in os.environ.items() if name not in _RANK_VARIABLES}
    environment[STEP_VARIABLE] = f"{document}: step '{step.name}': "
    sys.stdout.flush()
    sys.stderr.flush()
    process = subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=None if step.output is None else sys.stderr.fileno(),
        env=environment,
        pass_fds=(lock,),
        preexec_fn=ending_with_parent(signal.SIGTERM),
    )
    try:
        code = process.wait()
    except KeyboardInterrupt as stop:
        # Ctrl-C went to the command, too; another signal came to this process alone.
        if isinstance(stop, Stopped):
            process.send_signal(stop.number)
        process.wait()
        raise
    return code if code >= 0 else 128 - code
