"""Trials on a Ray cluster of two nodes: one node is killed, then the head, and another cluster goes on."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl

from tests.reliability.cases import Case
from tests.reliability.outputs import Files, Outputs
from tests.reliability.processes import ROOT
from tests.reliability.ray_nodes import RayNodes
from tests.reliability.trials import Trial

_ROWS = 24
_LIMIT = 600.0  # seconds that a command may take
_AFTER_HEAD = 180.0  # seconds in which a command has to end that has lost the head; Ray waits for 60


class RayTrials:
    """Trials of a command with ``--engine daft --ray auto``, as `tests.reliability.trials.Trials`.

    Args:
        case: The command.
        inputs: The folder that `tests.reliability.inputs` has made.
        base: An empty folder to work in.
    """

    def __init__(self, case: Case, inputs: Path, base: Path) -> None:
        self._case, self._inputs, self._folder = case, inputs, base / "run"
        self._log, self._temporary = base / "told.txt", base / "temporary"
        self._temporary.mkdir(parents=True)
        self._outputs = Outputs(self._folder, self._temporary, lambda parts, name: b"", None)
        self._reference = self._run_reference()

    def run(self, seed: int, *, kills: int | None = None) -> Trial:
        """Run a trial: a node is killed after some parts, the head after some more.

        Args:
            seed: Decides after how many.
            kills: Has no effect.
        """
        trial, chance = Trial(self._case.name, seed), random.Random(seed)
        self._fresh()
        nodes = RayNodes()
        try:
            process = self._start(nodes)
            for node in ("second", "head"):
                wanted = min(self._parts() + chance.randint(1, _ROWS // 3), _ROWS - 2)
                if self._wait_for(wanted, process):
                    nodes.kill(node)
                    trial.kills += 1
                    trial.steps.append(f"{node} killed at {self._parts()} of {_ROWS} parts")
            self._check_end(trial, process, lost_head=trial.kills == 2)
        finally:
            nodes.close()
        nodes = RayNodes()
        try:
            there = self._parts()
            code = self._start(nodes).wait(_LIMIT)
        finally:
            nodes.close()
        trial.steps.append(f"another cluster goes on with {_ROWS - there} parts, code {code}")
        if code:
            trial.faults.append(f"the last run ended with {code}: {self._told()}")
        else:
            trial.faults += self._outputs.faults(1, [self._reference])
        return trial

    def _run_reference(self) -> Files:
        self._fresh()
        nodes = RayNodes()
        try:
            if code := self._start(nodes).wait(_LIMIT):
                raise RuntimeError(f"{self._case.name}: {code} {self._told()}")
        finally:
            nodes.close()
        return self._outputs.files()

    def _check_end(self, trial: Trial, process: subprocess.Popen[bytes], *, lost_head: bool) -> None:
        try:
            code = process.wait(_AFTER_HEAD if lost_head else _LIMIT)
        except subprocess.TimeoutExpired:
            trial.faults.append(f"still running {_AFTER_HEAD:g} s after the head was killed")
            os.killpg(process.pid, signal.SIGKILL)
            code = process.wait()
        last = next(iter(self._told().strip().splitlines()[-1:]), "")
        trial.steps.append(f"code {code}, {last}")
        if lost_head and code == 0 and self._parts() < _ROWS:
            trial.faults.append(f"code 0 with {self._parts()} of {_ROWS} parts")
        if code and "Traceback" in self._told():
            trial.faults.append(f"a traceback: {self._told()}")

    def _start(self, nodes: RayNodes) -> subprocess.Popen[bytes]:
        with self._log.open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", *self._case.words],
                cwd=self._folder,
                env={
                    **os.environ,
                    "RAY_ADDRESS": nodes.address,
                    "PYTHONPATH": str(ROOT),
                    "TMPDIR": str(self._temporary),
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _wait_for(self, parts: int, process: subprocess.Popen[bytes]) -> bool:
        """Wait until there are so many parts; whether the command still runs then."""
        until = time.monotonic() + _LIMIT
        while self._parts() < parts and process.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        return process.poll() is None

    def _parts(self) -> int:
        return len(list(self._folder.glob("scored.parquet/part-*.parquet")))

    def _told(self) -> str:
        return self._log.read_text(errors="replace")[-3000:]

    def _fresh(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        shutil.copytree(self._inputs / "videos", self._folder / "videos")
        names = ["0.mp4", "1.mp4", "broken.mp4", "missing.mp4", "with sound.mp4", "sub/ü.mkv"]
        paths = [f"{self._folder}/videos/{names[number % len(names)]}" for number in range(_ROWS)]
        ids = [f"{number:02}" for number in range(_ROWS)]
        pl.DataFrame({"id": ids, "path": paths}).write_csv(self._folder / "meta.csv")
