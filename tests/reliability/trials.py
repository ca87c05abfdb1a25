"""A trial: run a command, kill it a few times, let it finish; its files are those of an uninterrupted run."""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.reliability import shared_memory
from tests.reliability.cases import ENVIRONMENT, SERVED, STATE, STORED, WEIGHTS, Case
from tests.reliability.object_storage import ObjectStorage
from tests.reliability.outputs import Files, Outputs
from tests.reliability.payments import FORGETS, Payments
from tests.reliability.processes import Ended, Kill, Runner

_SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
_INTERESTING = re.compile(r"rename|\.receipt|\.jsonl|\.lock|names|made|link|remove|PUT|POST|DELETE")
_DAFTS = ("psm_",)  # segments with a batch of rows each, which Daft leaves if it is killed meanwhile


@dataclass(frozen=True)
class Servers:
    """What commands need beside their files.

    Attributes:
        answers: Address of the caption server, without the name of a run.
        paid: What it has been paid for.
        storage: Object storage.
    """

    answers: str = ""
    paid: Path = Path()
    storage: ObjectStorage | None = None


@dataclass
class Reference:
    """An uninterrupted run.

    Attributes:
        files: Every file in the folder in the end, but for the state of runs.
        operations: Its file operations.
        seconds: How long it took.
        paid: How often it has paid for each question.
    """

    files: Files
    operations: list[str]
    seconds: float
    paid: Counter[str]


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
        servers: What the command needs.
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
        servers: Servers = Servers(),
        launcher: Sequence[str] | None = None,
    ) -> None:
        self._case, self._inputs, self._base = case, inputs, base
        self._forks, self._servers, self._launcher = forks and case.forks, servers, launcher
        self._folder, self._temporary = base / "run", base / "temporary"
        self._storage = servers.storage if case.stored else None
        self._outputs = Outputs(self._folder, self._temporary, self._merge_tables, self._storage)
        self._environment = {
            **json.loads((inputs / WEIGHTS / ENVIRONMENT).read_text()),
            "TMPDIR": str(self._temporary),
            "OPENAI_API_KEY": "none",
        }
        if self._storage is not None:
            self._environment |= self._storage.environment
        base.mkdir(parents=True)
        self.reference = self._run_reference(0)
        self._begun_with: dict[int, Files] = {0: self.reference.files}

    def _run_reference(self, workers: int) -> Reference:
        runner = self._fresh(f"reference{workers}")
        begun = time.monotonic()
        ended = runner.run(self._words(workers), chance=random.Random(0))
        seconds = time.monotonic() - begun
        if ended.codes != [0] or ended.faults:
            raise RuntimeError(f"{self._case.name}: {ended.codes} {ended.faults}\n{ended.told[-3000:]}")
        return Reference(self._outputs.files(), ended.operations, seconds, Counter(self._payments.paid()))

    def run(self, seed: int, *, kills: int | None = None) -> Trial:
        """Run a trial.

        Args:
            seed: Decides everything.
            kills: How often to kill; by default up to three times.
        """
        chance = random.Random(f"{self._case.name} {seed}")
        trial = Trial(self._case.name, seed)
        name = f"trial{seed}{FORGETS if seed % 2 else ''}"
        runner = self._fresh(name)
        memory = shared_memory.segments()
        begun = {0}
        if self._case.encodes:  # a run keeps the threads of its encoder; which one reserved them is not known
            for workers in (1, 2):
                if workers not in self._begun_with:
                    self._begun_with[workers] = self._run_reference(workers).files
            runner = self._fresh(name)
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
            trial.faults += self._outputs.faults(ranks, [self._begun_with[number] for number in begun])
            trial.faults += self._payments.in_the_end(self.reference.paid, shared=self._most_ranks - 1)
        of_daft = _DAFTS if "daft" in self._case.needs else ()
        if left := shared_memory.left(memory, of_daft):
            trial.faults.append(f"left in /dev/shm, by any program of this machine: {sorted(left)}")
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
        self._most_ranks = max(ranks, self._most_ranks)
        cut_off = sum(code == -signal.SIGKILL for code in ended.codes)
        if self._launcher is not None and ended.killed:
            cut_off = ranks  # torchrun ends them
        trial.faults += self._payments.after_run(self._folder / STATE, cut_off)
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
        shutil.copytree(self._inputs, self._folder, ignore=shutil.ignore_patterns(WEIGHTS, STORED))
        (self._folder / WEIGHTS).symlink_to(self._inputs / WEIGHTS)
        self._temporary.mkdir()
        state = self._base / "state"
        state.mkdir(exist_ok=True)
        environment = dict(self._environment)
        run = f"{self._case.name}-{name}"
        self._payments, self._most_ranks = Payments(self._servers.paid, run), 1
        if self._case.name in SERVED:
            environment["OPENAI_BASE_URL"] = f"{self._servers.answers}/{run}/v1"
        told = None
        if self._storage is not None:
            self._storage.empty()
            told = self._storage.stops
        return Runner(self._folder, state, environment, forks=self._forks, told=told)

    def _merge_tables(self, parts: list[str], name: str) -> bytes:
        """What ``datautil`` merges tables to, in a file of that name."""
        target = self._base / "merged" / Path(name).name
        runner = Runner(self._folder, self._base / "state", self._environment, forks=self._forks)
        words = ["tools.datasets.datautil", *parts, "--output", str(target)]
        ended = runner.run(words, chance=random.Random(0))
        return target.read_bytes() if ended.codes == [0] else ended.told.encode()
