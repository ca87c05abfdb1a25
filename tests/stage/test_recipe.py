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
from tools.stage.recipe import Recipe
from tools.stage.stage import Stage


@dataclasses.dataclass
class LocalStage(Stage):
    """Settles its device when it is made, as scorers do."""

    name = "local"
    suffix = "_local"
    adds = {"local": pl.Int64}

    device: str = "auto"
    tell: Callable | None = None

    def __post_init__(self):
        self.device = "cpu" if self.device == "auto" else self.device


@dataclasses.dataclass
class OtherStage(LocalStage):
    name = "other"
    adds = {"other": pl.Int64}


def test_the_recipe_has_what_was_said_and_not_what_came_of_it():
    stage = LocalStage()
    assert stage.device == "cpu"
    recipe = pickle.loads(pickle.dumps(Recipe.of(stage)))
    assert recipe == Recipe(LocalStage)
    assert Recipe.of(LocalStage("cuda")).make() == LocalStage(device="cuda")
    assert Recipe.of(dataclasses.replace(stage, device="mps")).make().device == "mps"


def test_stages_within_a_stage():
    fused = FusedStage(stages=(LocalStage(device="cuda"), OtherStage()))
    recipe = pickle.loads(pickle.dumps(Recipe.of(fused)))
    assert recipe.options["stages"] == (Recipe(LocalStage, (), {"device": "cuda"}), Recipe(OtherStage))
    made = recipe.make()
    assert [stage.device for stage in made.stages] == ["cuda", "cpu"]
    assert made.adds == fused.adds


def test_a_copy_has_no_recipe_and_says_so():
    for copied in (copy.copy(LocalStage()), pickle.loads(pickle.dumps(LocalStage("cuda")))):
        with pytest.raises(TypeError, match="a copy"):
            Recipe.of(copied)


def test_names_of_options_are_checked_without_making_the_stage():
    with pytest.raises(UserError, match=r"Invalid option \(devise\). LocalStage has .*device"):
        Recipe(LocalStage, (), {"devise": "cpu"}).check_options()
    Recipe(LocalStage, (), {"tell": print}).check_options()
