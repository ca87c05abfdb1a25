#!/usr/bin/env python3
"""Kill commands at random and at chosen moments, let them finish, and compare every file they have written.

    python scripts/crash_test.py --kills 500
    python scripts/crash_test.py --kills 50 --seed 7 --only cut dedup
    python scripts/crash_test.py --kills 4 --only ray

Each trial starts a command on a copy of small inputs, kills it up to three times (SIGKILL, SIGTERM or Ctrl-C,
to the process that was started, a worker of it, the one that is just writing, or all), starts it again with
other numbers of ranks and workers each time, and lets it finish. In the end its files have to be byte for
byte those of an uninterrupted run; no process, no temporary file and no segment of shared memory may be left.
Of a trial that went wrong the seed is printed, and the folder kept.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tests.reliability.cases import SERVED, STORED, Case, all_cases  # noqa: E402
from tests.reliability.object_storage import ObjectStorage  # noqa: E402
from tests.reliability.ray_trials import RayTrials  # noqa: E402
from tests.reliability.trials import Servers, Trials  # noqa: E402
from tools.base.packages import is_installed  # noqa: E402

TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc-per-node", "RANKS", "-m")


def main() -> int:
    """Run trials until there were enough kills; 1 if one went wrong."""
    args = _parser().parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what runs behind it
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the command that is running ends, too
    cases = _chosen(args)
    work = Path(tempfile.mkdtemp(prefix="crash_test-", dir=args.folder))
    inputs = work / "inputs"
    words = [sys.executable, "-m", "tests.reliability.inputs", str(inputs)]
    words += ["--weights"] if any(case.heavy for case in cases) else []
    subprocess.run(words, cwd=ROOT, check=True, stderr=subprocess.DEVNULL)
    with _servers(cases, work) as servers:
        bad = _run(cases, args, work, servers)
    if not bad:
        shutil.rmtree(work)
    return 1 if bad else 0


@contextmanager
def _servers(cases: list[Case], work: Path) -> Iterator[Servers]:
    """Start what the cases need, and end it."""
    with ExitStack() as stack:
        answers, paid, storage = "", work / "paid.txt", None
        if any(case.name in SERVED for case in cases):
            words = [sys.executable, "-m", "tests.reliability.answers_server", str(paid)]
            pipe = subprocess.PIPE
            server = stack.enter_context(
                subprocess.Popen(words, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)
            )
            assert server.stdout is not None  # leaving closes its standard input, at which it ends
            answers = server.stdout.readline().strip()
        if any(case.stored for case in cases):
            storage = ObjectStorage(work / "inputs" / STORED, work)
            stack.callback(storage.close)
        yield Servers(answers, paid, storage)


def _run(cases: list[Case], args: argparse.Namespace, work: Path, servers: Servers) -> int:
    begun = time.monotonic()
    kills: Counter[str] = Counter()
    known = [_begun(case, args, work, servers) for case in cases]
    bad = known.count(None)
    able = [(case, one) for case, one in zip(cases, known, strict=True) if one is not None]
    trials = 0
    while able and sum(kills.values()) < args.kills:
        case, one = able[trials % len(able)]
        trial = one.run(args.seed + trials // len(able), kills=args.each)
        trials += 1
        kills[case.name] += trial.kills
        if trial.faults or args.verbose:
            print(f"{trial.case}, seed {trial.seed}: {'; '.join(trial.steps)}", flush=True)
        if trial.faults:
            bad += 1
            kept = work / f"bad{bad}"
            shutil.copytree(work / case.name.replace(" ", "_") / "run", kept, symlinks=True)
            print(f"  {kept}", *trial.faults, sep="\n  ", flush=True)
    width = max(map(len, kills), default=0)
    for name, count in sorted(kills.items()):
        print(f"{name:{width}} {count:4} kills")
    seconds = time.monotonic() - begun
    print(f"{trials} trials, {sum(kills.values())} kills, {bad} trials went wrong, {seconds:.0f} s")
    return bad


def _begun(case: Case, args: argparse.Namespace, work: Path, servers: Servers) -> Trials | RayTrials | None:
    """The trials of a case, whose uninterrupted run has been made; None if that has failed."""
    inputs, base = work / "inputs", work / case.name.replace(" ", "_")
    launcher = TORCHRUN if args.torchrun else None
    try:
        if case.on_ray:
            return RayTrials(case, inputs, base)
        return Trials(case, inputs, base, forks=args.fork, servers=servers, launcher=launcher)
    except RuntimeError as error:
        print(f"without a kill: {error}", flush=True)
        return None


def _chosen(args: argparse.Namespace) -> list[Case]:
    cases = all_cases()
    names = [case.name for case in cases]
    for name in args.only or ():
        if not any(known.partition(" ")[0] == name or known == name for known in names):
            raise SystemExit(f"error: no command {name}; there are {', '.join(names)}")
    if args.only:
        cases = [case for case in cases if {case.name, case.name.partition(" ")[0]} & set(args.only)]
    else:
        cases = [case for case in cases if not case.on_ray]
    if args.light:
        cases = [case for case in cases if not case.heavy]
    if args.torchrun:
        cases = [case for case in cases if case.ranks]
    for case in cases.copy():
        if missing := [package for package in case.needs if not is_installed(package)]:
            print(f"{case.name}: left out, {', '.join(missing)} not installed")
            cases.remove(case)
    if not cases:
        raise SystemExit("error: there is nothing to run")
    return cases


def _parser() -> argparse.ArgumentParser:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--kills", type=int, default=500, metavar="N", help="kills in all (500)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the first round (0)")
    parser.add_argument("--only", nargs="+", metavar="COMMAND", help="these commands (all)")
    parser.add_argument("--each", type=int, metavar="N", help="kills of each trial (one to three)")
    parser.add_argument("--light", action="store_true", help="no command that imports PyTorch or as much")
    parser.add_argument("--torchrun", action="store_true", help="torchrun starts the ranks")
    parser.add_argument(
        "--fork", action="store_true", help="fork commands: much faster, and never killed at a time"
    )
    parser.add_argument("--verbose", action="store_true", help="print every trial")
    parser.add_argument("--folder", metavar="DIR", help="where to work (the folder of temporary files)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
