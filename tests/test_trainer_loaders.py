"""The script that runs trainers' own loaders: what it says without a clone, and how it finds frames."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import trainer_loaders

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "scripts" / "trainer_loaders.py"


def test_without_a_clone_it_says_what_is_wanted(tmp_path):
    done = subprocess.run(
        [sys.executable, SCRIPT, tmp_path, "meta.csv"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith(
        f"error: no clone of a trainer in {tmp_path}; wanted are diffusion-pipe, musubi"
    )


def test_each_loader_is_of_a_trainer_and_has_a_module():
    for name, loader in trainer_loaders.LOADERS.items():
        assert trainer_loaders.preset(loader.preset).trainer.name == name
        assert (ROOT / "scripts" / "loaders" / f"{name.replace('-', '_')}.py").is_file()


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [(range(5), (0, 1)), (range(3, 9), (3, 1)), (range(0, 10, 2), (0, 2)), ([0, 1, 3], None), ([4, 3], None)],
)
def test_frames_are_found_in_their_order_alone(numbers, expected):
    """By construction: frames of different noise."""
    file = np.random.default_rng(0).uniform(0, 255, (12, 24, 24, 3)).astype(np.float32)
    assert trainer_loaders.place(file[list(numbers)] + 1, file) == expected
