"""Run the command of a step in a process of its own, which ends with this one."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path

from tools.base.signals import Stopped, ending_with_parent
from tools.pipeline.plan import Step
from tools.program import STEP_VARIABLE
from tools.typed_names import as_typed, is_vidsieve_typed

_TOOLS = Path(__file__).resolve().parents[1]
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
    code = _run(_words(step, step.ranks), step, document, lock)
    if code == 0 and step.ranks > 1:
        code = _run(_words(step, 1), step, document, lock)
    return code


def try_step(step: Step, document: Path) -> str:
    """What the dry run of a step prints as JSON, empty if it fails; the first rank speaks for all.

    Args:
        step: The step, of a command that works row by row.
        document: The file of the pipeline.
    """
    ranks = {"RANK": "0", "WORLD_SIZE": str(step.ranks), "LOCAL_WORLD_SIZE": str(step.ranks)}
    done = subprocess.run(
        [*_words(step, 1), "--dry-run", "--json"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=_environment(step, document) | (ranks if step.ranks > 1 else {}),
        preexec_fn=ending_with_parent(signal.SIGTERM),
        check=False,
    )
    return "" if done.returncode else done.stdout


def command_of(step: Step) -> str:
    """What could be typed in place of a step."""
    run = "python"
    if step.ranks > 1:
        run = f"torchrun --standalone --nproc_per_node {step.ranks}"
    return as_typed(f"{run} -m {step.does.command.typed} {shlex.join(step.full_line)}")


def _words(step: Step, ranks: int) -> list[str]:
    """The command of a step with this Python and these tools, as this command itself was run."""
    words = [sys.executable]
    if ranks > 1:
        words += ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(ranks)]
    if is_vidsieve_typed():  # perhaps in a folder with other tools, which -m would find
        return [*words, str(_TOOLS.parent / "vidsieve_command.py"), step.does.command.name, *step.full_line]
    return [*words, "-m", step.does.command.typed, *step.full_line]


def _environment(step: Step, document: Path) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if name not in _RANK_VARIABLES}
    environment[STEP_VARIABLE] = f"{document}: step '{step.name}': "
    if step.ranks > 1:
        environment.setdefault("OMP_NUM_THREADS", "1")  # as torchrun does, which says so in five lines
    if str(_TOOLS.parent) in sys.path and str(_TOOLS.parent) not in sysconfig.get_paths().values():
        listed = environment.get("PYTHONPATH")
        environment["PYTHONPATH"] = os.pathsep.join([str(_TOOLS.parent), *([listed] if listed else [])])
    return environment


def _run(words: list[str], step: Step, document: Path, lock: int) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    process = subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=None if step.output is None else 2,  # also where sys.stderr is a notebook's
        env=_environment(step, document),
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
