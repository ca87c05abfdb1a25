"""A trial: run a command, kill it a few times, let it finish; its files are those of an uninterrupted run."""

from __future__ import annotations

import io
import json
import os
import random
import re
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.reliability.cases import ENVIRONMENT, SERVED, STATE, WEIGHTS, Case
from tests.reliability.processes import Ended, Kill, Runner

_PART = re.compile(r"(?P<stem>.*)_part(?P<rank>\d+)(?P<end>\.failures\.csv|\.[^.]+)")
_LEFT = re.compile(r"\.part$|\.tmp|\.unfinished")
_SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
_PATIENCE = 5.0  # seconds that another process may keep a segment of shared memory
_WORKERS = re.compile(rb'"--num-workers",\s*"\d+"')  # in the command that a manifest has
_SIDECAR = ".provenance.json"
_INTERESTING = re.compile(r"rename|\.receipt|\.jsonl|\.lock|names|made|link|remove")


@dataclass
class Reference:
    """An uninterrupted run.

    Attributes:
        files: Every file in the folder in the end, but for the state of runs.
        code: Its exit code.
        operations: Its file operations.
        seconds: How long it took.
    """

    files: dict[str, bytes]
    code: int
    operations: list[str]
    seconds: float


@dataclass
class Trial:
    """What happened.

    Attributes:
        case: The name of the case.
        seed: The trial again: the same seed.
        steps: Each run in a few words.
        kills: How many processes were killed, or groups of them.
        faults: What is wrong; empty for a trial that went well.
    """

    case: str
    seed: int
    steps: list[str] = field(default_factory=list)
    kills: int = 0
    faults: list[str] = field(default_factory=list)


class Trials:
    """Trials of one case.

    Args:
        case: The command.
        inputs: The folder that `tests.reliability.inputs` has made.
        base: An empty folder to work in.
        forks: See `tests.reliability.processes`.
        server: Address of the caption server, without the name of a run.
        launcher: Words between ``python -m`` and the command's own, with RANKS for the number of ranks; so
            `torchrun` starts the ranks. None: they are started one by one.

    Raises:
        RuntimeError: The uninterrupted run has failed.
    """

    def __init__(
        self,
        case: Case,
        inputs: Path,
        base: Path,
        *,
        forks: bool = False,
        server: str = "",
        launcher: Sequence[str] | None = None,
    ) -> None:
        self._case, self._inputs, self._base = case, inputs, base
        self._forks, self._server, self._launcher = forks, server, launcher
        self._folder, self._temporary = base / "run", base / "temporary"
        self._environment = {
            **json.loads((inputs / WEIGHTS / ENVIRONMENT).read_text()),
            "TMPDIR": str(self._temporary),
            "OPENAI_API_KEY": "none",
        }
        base.mkdir(parents=True)
        self.reference = self._run_reference(0)
        self._begun_with: dict[int, dict[str, bytes]] = {0: self.reference.files}

    def _run_reference(self, workers: int) -> Reference:
        runner = self._fresh(f"reference{workers}")
        begun = time.monotonic()
        ended = runner.run(self._words(workers), chance=random.Random(0))
        seconds = time.monotonic() - begun
        if ended.codes != [0] or ended.faults:
            raise RuntimeError(f"{self._case.name}: {ended.codes} {ended.faults}\n{ended.told[-3000:]}")
        return Reference(self._files(), 0, ended.operations, seconds)

    def run(self, seed: int, *, kills: int | None = None) -> Trial:
        """Run a trial.

        Args:
            seed: Decides everything.
            kills: How often to kill; by default up to three times.
        """
        chance = random.Random(f"{self._case.name} {seed}")
        trial = Trial(self._case.name, seed)
        runner = self._fresh(f"trial{seed}")
        memory = _shared_memory()
        begun = {0}
        if self._case.encodes:  # a run keeps the threads of its encoder; which one reserved them is not known
            for workers in (1, 2):
                if workers not in self._begun_with:
                    self._begun_with[workers] = self._run_reference(workers).files
            runner = self._fresh(f"trial{seed}")
            begun = set()
        for _ in range(kills or chance.choice((1, 1, 2, 3))):
            ranks, workers = self._choose(chance)
            begun.add(workers if self._case.encodes else 0)
            kill = self._choose_kill(chance, ranks)
            ended = self._step(runner, trial, chance, ranks, workers, kill)
            self._check_killed(trial, ended, kill)
        ranks, workers = self._choose(chance)
        ended = self._step(runner, trial, chance, ranks, workers, None)
        if self._case.ends_alone and ranks > 1:
            ranks = 1
            ended = self._step(runner, trial, chance, ranks, workers, None)
        if set(ended.codes) != {0}:
            trial.faults.append(f"the last run ended with {ended.codes}: {ended.told[-2000:]}")
        else:
            begun.add(workers if self._case.encodes else 0)
            self._compare(trial, ranks, [self._begun_with[number] for number in begun])
        until = time.monotonic() + _PATIENCE
        while (left := _shared_memory(memory)) and time.monotonic() < until:  # of other software, perhaps
            time.sleep(0.2)
        if left:
            trial.faults.append(f"left in /dev/shm: {left}")
        return trial

    def _step(
        self, runner: Runner, trial: Trial, chance: random.Random, ranks: int, workers: int, kill: Kill | None
    ) -> Ended:
        if self._launcher is not None and ranks > 1:
            launcher = [word.replace("RANKS", str(ranks)) for word in self._launcher]
            ended = runner.run([*launcher, *self._words(workers)], kill=kill, chance=chance)
        else:
            ended = runner.run(self._words(workers), ranks=ranks, kill=kill, chance=chance)
        what = f"{ranks} ranks, {workers} workers: {ended.killed or 'to the end'}, codes {ended.codes}"
        trial.steps.append(what)
        trial.kills += bool(ended.killed)
        trial.faults += ended.faults
        return ended

    def _check_killed(self, trial: Trial, ended: Ended, kill: Kill) -> None:
        allowed = {0, -kill.signal, 128 + kill.signal}  # the last also of a pipeline whose step was killed
        if self._launcher is not None:
            allowed |= {1}  # of torchrun, when a rank was killed
        if not set(ended.codes) <= allowed:
            trial.faults.append(f"a killed run ended with {ended.codes}: {ended.told[-2000:]}")
        if "Traceback" in ended.told and self._launcher is None:
            trial.faults.append(f"a traceback: {ended.told[-2000:]}")

    def _choose(self, chance: random.Random) -> tuple[int, int]:
        """Ranks and workers. A fork costs little, but each of its workers a start."""
        ranks, workers = ((1, 1, 2), (0, 0, 0, 1)) if self._forks else ((1, 1, 2, 3), (0, 0, 1, 2))
        return (
            chance.choice(ranks) if self._case.ranks else 1,
            chance.choice(workers) if self._case.workers else 0,
        )

    def _choose_kill(self, chance: random.Random, ranks: int) -> Kill:
        number = chance.choice(_SIGNALS)
        target = chance.choice(("parent", "worker", "all", "the one", "the one"))
        if number != signal.SIGKILL:
            target = chance.choice(("parent", "all"))
        if not self._forks and chance.random() < 0.35:
            return Kill(target, number, seconds=chance.uniform(0.05, self.reference.seconds))
        operations = self.reference.operations
        chosen = range(len(operations))
        if chance.random() < 0.6:
            chosen = [i for i in chosen if _INTERESTING.search(operations[i])] or chosen
        return Kill(target, number, at=chance.choice(chosen), torn=chance.random() < 0.5)

    def _words(self, workers: int) -> list[str]:
        return [*self._case.words, *(("--num-workers", str(workers)) if self._case.workers else ())]

    def _fresh(self, name: str) -> Runner:
        """A new copy of the inputs; every run has the same path, which is in some outputs."""
        for folder in (self._folder, self._temporary):
            shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self._inputs, self._folder, ignore=shutil.ignore_patterns(WEIGHTS))
        (self._folder / WEIGHTS).symlink_to(self._inputs / WEIGHTS)
        self._temporary.mkdir()
        state = self._base / "state"
        state.mkdir(exist_ok=True)
        environment = dict(self._environment)
        if self._case.name in SERVED:
            self._address = f"{self._server}/{self._case.name}-{name}/v1"
            environment["OPENAI_BASE_URL"] = self._address
        return Runner(self._folder, state, environment, forks=self._forks)

    def _compare(self, trial: Trial, ranks: int, references: list[dict[str, bytes]]) -> None:
        found = self._files()
        left = [name for name in self._every_file() if _LEFT.search(name)]
        left += [f"TMPDIR/{path.name}" for path in self._temporary.iterdir() if not _is_torchruns(path)]
        if left:
            trial.faults.append(f"temporary files are left: {left}")
        if ranks > 1:
            found = self._merged(found, ranks)
        if ranks > 1:  # each part has a sidecar of its own
            found, *references = [
                {name: content for name, content in files.items() if not name.endswith(_SIDECAR)}
                for files in (found, *references)
            ]
        differences = [self._differences(found, expected, ranks) for expected in references]
        trial.faults += min(differences, key=len)

    def _differences(self, found: dict[str, bytes], expected: dict[str, bytes], ranks: int) -> list[str]:
        faults = []
        for name in sorted(found.keys() ^ expected.keys()):
            faults.append(f"{name}: {'is missing' if name in expected else 'should not be there'}")
        for name in sorted(found.keys() & expected.keys()):
            is_same = found[name] == expected[name]
            if not is_same and not (ranks > 1 and self._is_same(name, found[name], expected[name])):
                faults.append(f"{name}: differs from that of an uninterrupted run")
        return faults

    def _is_same(self, name: str, merged: bytes, expected: bytes) -> bool:
        """Whether a file put together from parts of ranks has the content of that of one process."""
        if name.endswith(".failures.csv"):  # ranks list their failures one after the other
            return sorted(merged.splitlines()) == sorted(expected.splitlines())
        if name.endswith(".parquet"):  # the same writer for both
            copy = self._base / "state" / "expected.parquet"
            copy.write_bytes(expected)
            return self._merge_tables(name, [str(copy)]) == merged
        return False

    def _merged(self, files: dict[str, bytes], ranks: int) -> dict[str, bytes]:
        """The files with the parts of ranks put together."""
        parts: dict[str, list[str]] = {}
        merged = {}
        for name in sorted(files, key=_rank_of):
            match = _PART.fullmatch(name)
            if match is None:
                merged[name] = files[name]
            else:
                parts.setdefault(match["stem"] + match["end"], []).append(name)
        for name, names in parts.items():
            if name.endswith(".failures.csv"):
                first, *others = (files[part].splitlines(keepends=True) for part in names)
                merged[name] = b"".join([*first, *(line for lines in others for line in lines[1:])])
            elif name.endswith(".npy"):
                arrays = [np.load(io.BytesIO(files[part])) for part in names]
                whole = np.empty((sum(len(array) for array in arrays), *arrays[0].shape[1:]), arrays[0].dtype)
                for rank, array in enumerate(arrays):
                    whole[rank::ranks] = array
                buffer = io.BytesIO()
                np.save(buffer, whole)
                merged[name] = buffer.getvalue()
            else:
                merged[name] = self._merge_tables(name, names)
        return merged

    def _merge_tables(self, name: str, parts: list[str]) -> bytes:
        state = self._base / "state"
        target = self._base / "merged" / Path(name).name
        words = ["tools.datasets.datautil", *parts, "--output", str(target)]
        ended = Runner(self._folder, state, self._environment, forks=self._forks).run(
            words, chance=random.Random(0)
        )
        if ended.codes != [0]:
            return ended.told.encode()
        return target.read_bytes()

    def _files(self) -> dict[str, bytes]:
        names = (name for name in self._every_file() if f"{STATE}/" not in name and f"{STATE}." not in name)
        return {name: self._content(name) for name in names}

    def _content(self, name: str) -> bytes:
        """The bytes of a file, without what says when and how it was made."""
        content = (self._folder / name).read_bytes()
        if name.endswith(_SIDECAR):
            return json.dumps(_without_runs(json.loads(content))).encode()
        return _WORKERS.sub(b"", content)

    def _every_file(self) -> Iterator[str]:
        for folder, _, names in os.walk(self._folder):
            for name in names:
                yield os.path.relpath(os.path.join(folder, name), self._folder)  # noqa: PTH118


def _without_runs(document: object) -> object:
    """A sidecar without what differs from run to run: it is under the key ``run``, on every level."""
    if isinstance(document, dict):
        return {key: _without_runs(value) for key, value in document.items() if key != "run"}
    return document


def _is_torchruns(path: Path) -> bool:
    """Whether torchrun has left a folder: its log, which it never removes."""
    return path.name.startswith("torchelastic_")


def _rank_of(name: str) -> tuple[int, str]:
    match = _PART.fullmatch(name)
    return (int(match["rank"]) if match else -1, name)


def _shared_memory(before: set[str] | None = None) -> set[str]:
    """Segments of shared memory; or those of them that were not there before and that no process uses."""
    folder = Path("/dev/shm")
    found = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if before is None:
        return found
    return {name for name in found - before if not _is_used(f"/dev/shm/{name}")}


def _is_used(path: str) -> bool:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if path in (entry / "maps").read_text():
                    return True
            except OSError:
                continue
    return False
