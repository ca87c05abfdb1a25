"""What is said where scikit-learn is missing, and how the help comes at once."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

WITHOUT = """
import sys
from importlib.abc import MetaPathFinder


class Missing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("sklearn", "scipy", "threadpoolctl", "joblib"):
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)


sys.meta_path.insert(0, Missing())
from tools import cli
from tools.datasets.rate.__main__ import main

cli.run(main)
"""


def run_without(*words):
    command = [sys.executable, "-c", WITHOUT, *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_a_missing_package_is_told_with_its_extra():
    run = run_without("meta.csv", "--ratings", "r.jsonl")
    assert run.returncode == 2
    assert run.stderr.strip().endswith("is not installed: pip install 'vidsieve[rate]'")


def test_the_help_needs_no_package():
    run = run_without("--help")
    assert run.returncode == 0 and "--next-out" in run.stdout
