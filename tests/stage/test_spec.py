"""What a stage is made with is known, travels, and makes the same stage again."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable

import polars as pl
import pytest

from tools.errors import UserError
from tools.scoring.fused import FusedStage
from tools.stage.spec import StageSpec
from tools.stage.stage import Stage


@dataclasses.dataclass
class LocalStage(Stage):
    """Settles its device when it is made, as scorers do."""

    name = "local"
    suffix = "_local"
    output_columns = {"local": pl.Int64}

    device: str = "auto"
    tell: Callable | None = None

    def __post_init__(self):
        self.device = "cpu" if self.device == "auto" else self.device


@dataclasses.dataclass
class OtherStage(LocalStage):
    name = "other"
    output_columns = {"other": pl.Int64}


def test_the_recipe_has_what_was_said_and_not_what_came_of_it():
    stage = LocalStage()
    assert stage.device == "cpu"
    recipe = pickle.loads(pickle.dumps(StageSpec.of(stage)))
    assert recipe == StageSpec(LocalStage)
    assert StageSpec.of(LocalStage("cuda")).make() == LocalStage(device="cuda")
    assert StageSpec.of(dataclasses.replace(stage, device="mps")).make().device == "mps"


def test_stages_within_a_stage():
    fused = FusedStage(stages=(LocalStage(device="cuda"), OtherStage()))
    recipe = pickle.loads(pickle.dumps(StageSpec.of(fused)))
    assert recipe.options["stages"] == (StageSpec(LocalStage, (), {"device": "cuda"}), StageSpec(OtherStage))
    made = recipe.make()
    assert [stage.device for stage in made.stages] == ["cuda", "cpu"]
    assert made.output_columns == fused.output_columns


def test_a_copy_has_no_recipe_and_says_so():
    for copied in (copy.copy(LocalStage()), pickle.loads(pickle.dumps(LocalStage("cuda")))):
        with pytest.raises(TypeError, match="a copy"):
            StageSpec.of(copied)


def test_names_of_options_are_checked_without_making_the_stage():
    with pytest.raises(UserError, match=r"Invalid option \(devise\). LocalStage has .*device"):
        StageSpec(LocalStage, (), {"devise": "cpu"}).check_options()
    StageSpec(LocalStage, (), {"tell": print}).check_options()
