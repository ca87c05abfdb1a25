"""Results in another order are caught; a good run never is. The wrong orders are made by the stages here."""

from __future__ import annotations

import dataclasses
import logging
import random
import zlib
from collections import Counter

import numpy as np
import polars as pl
import pytest

from tools.errors import OrderError
from tools.scoring.aesthetic.stage import AestheticStage
from tools.scoring.matching.stage import MatchingStage
from tools.stage.order_check import ROWS_PER_CHECK, OrderCheck, _alike
from tools.stage.runner import RunOptions, map_rows, run_stage
from tools.stage.stage import VECTOR, Stage
from tools.table import read_table, write_table


def options(batch_size=32, **more):
    return RunOptions(num_workers=0, progress=False, batch_size=batch_size, **more)


def value_of(path):
    return zlib.crc32(str(path).encode()) / 2**32


def backwards(values, rng):
    return values[::-1]


def moved_by_one(values, rng):
    return values[1:] + values[:1]


def shuffled(values, rng):
    return rng.sample(values, len(values))


def half_swapped(values, rng):
    middle = len(values) // 2
    return values[middle:] + values[:middle]


@dataclasses.dataclass
class ModelStage(Stage):
    """The checksum of a path, in the order that `order` gives after the first `good` rows."""

    name = "model"
    suffix = "_model"
    output_columns = {"score": pl.Float64}
    checks_order = True

    good: int = 0
    noise: float = 0.0

    order = None

    def setup(self):
        self._rng = random.Random(7)
        self._rows = 0
        self._batches = []

    def prepare(self, row, frames):
        return np.frombuffer(str(row["path"]).encode(), np.uint8)

    def score(self, batch):
        self._batches.append(len(batch))
        values = [value_of(bytes(array).decode()) for array in batch]
        values = [value * (1 + self._rng.uniform(-self.noise, self.noise)) for value in values]
        self._rows += len(batch)
        if self.order is not None and self._rows > self.good:
            values = type(self).order(values, self._rng)
        return [{"score": value} for value in values]


def made(order):
    """A stage whose results come in another order."""
    return dataclasses.dataclass(type("Permuting", (ModelStage,), {"order": staticmethod(order)}))


def rows(count):
    return [{"path": f"{i}.mp4"} for i in range(count)]


WRONG = [backwards, moved_by_one, shuffled, half_swapped]


@pytest.mark.parametrize("order", WRONG)
@pytest.mark.parametrize("count", [8, 40])
def test_another_order_is_caught_in_the_first_batch(order, count):
    with pytest.raises(
        OrderError, match="stage model: values come back in another order than the rows: a row"
    ):
        map_rows(made(order)(), rows(count), options())


@pytest.mark.parametrize("order", WRONG)
def test_an_order_that_goes_wrong_later_is_caught_and_its_rows_are_done_again(order, tmp_path):
    meta = write_table(pl.DataFrame(rows(1500)), tmp_path / "meta.csv")
    with pytest.raises(OrderError):
        run_stage(made(order)(good=700), meta, options=options())
    assert not (tmp_path / "meta_model.csv").exists()
    fine = ModelStage(good=700)
    result = run_stage(fine, meta, options=options())
    assert result.reused >= 400 and result.fresh >= 700  # those since the last check are not kept
    table = read_table(result.output)
    assert [float(score) for score in table["score"]] == [value_of(path) for path in table["path"]]


@pytest.mark.parametrize("batch_size", [1, 2, 7, 64, 1024])
@pytest.mark.parametrize("count", [1, 2, 9, 1300])
def test_a_good_run_is_never_stopped_and_costs_little(batch_size, count):
    stage = ModelStage()
    outcomes = map_rows(stage, rows(count), options(batch_size))
    assert outcomes == [{"score": value_of(row["path"])} for row in rows(count)]
    extra = sum(stage._batches) - count
    assert extra <= 1 + count // ROWS_PER_CHECK
    assert extra >= min(count - 1, 1) - (batch_size == 1) + (count - 1 > ROWS_PER_CHECK)
    assert max(stage._batches) <= batch_size


def test_it_costs_less_than_half_a_percent():
    stage = ModelStage()
    map_rows(stage, rows(10_000), options(256))
    assert 0 < sum(stage._batches) - 10_000 <= 0.005 * 10_000 / 2


@pytest.mark.parametrize("noise", [1e-6, 1e-3])
def test_what_a_precision_changes_is_no_other_order(noise, caplog):
    with caplog.at_level(logging.WARNING):
        assert len(map_rows(ModelStage(noise=noise), rows(3000), options(64))) == 3000
    assert not caplog.records


def test_a_stage_that_never_says_the_same_is_not_checked(caplog):
    with caplog.at_level(logging.WARNING):
        assert len(map_rows(ModelStage(noise=0.5), rows(1200), options(64))) == 1200
    assert [record.message for record in caplog.records] == [
        "stage model: the same row has other values each time, so that their order cannot be checked"
    ]


def test_one_odd_result_is_no_other_order():
    """As of a GPU that rounds otherwise once: the row has its values again at the next look."""
    stage, check = ModelStage(), OrderCheck(ModelStage(), 100)
    stage.setup()
    batch = [np.frombuffer(b"%d.mp4" % i, np.uint8) for i in range(20)]
    check.score(stage.score, batch)
    calls = Counter()

    def once_odd(prepared):
        calls["all"] += 1
        found = stage.score(prepared)
        return [{"score": -1.0}] * len(found) if calls["all"] == 1 else found

    assert len(check.score(once_odd, batch)) == 20
    assert calls["all"] == 3 and check.has_row


def test_the_places_are_random_and_the_same_in_each_run():
    """Every place of a batch is taken, at frequencies of a fair draw: chi-squared, 20 degrees of freedom."""
    places = []
    for _ in range(2):
        stage, check = ModelStage(), OrderCheck(ModelStage(), 100)
        stage.setup()
        batch = [np.frombuffer(b"%d.mp4" % i, np.uint8) for i in range(20)]
        check.score(stage.score, batch)
        known = check._known["score"]
        unlike = [row for row in batch if value_of(bytes(row).decode()) != known]
        seen = []

        def watched(prepared, seen=seen, known=known, stage=stage):
            found = stage.score(prepared)
            seen.append([one["score"] for one in found].index(known))
            return found

        for _ in range(2000):
            check.score(watched, unlike)
        places.append(seen)
    assert places[0] == places[1]
    counts = np.bincount(places[0], minlength=20)
    expected = 2000 / 20
    assert ((counts - expected) ** 2 / expected).sum() < 45  # the 99.9th percentile is 43.8


def test_large_rows_are_not_kept():
    check = OrderCheck(ModelStage(), 100)
    sizes = [5 << 20, 1, 7 << 20, 2, 40 << 20]
    assert {check._choose([np.empty(size, np.uint8) for size in sizes]) for _ in range(50)} == {0, 1, 3}
    assert check._choose([np.empty(40 << 20, np.uint8)]) is None


def test_texts_and_vectors_are_compared_as_such():
    caption = "A brown dog runs over a green meadow and barks at a bird"
    assert _alike(caption, caption.replace("barks", "looks"))
    assert not _alike(caption, "Two women talk in a kitchen while water boils on the stove")

    @dataclasses.dataclass
    class VectorStage(ModelStage):
        output_columns = {VECTOR: pl.Object}

        def score(self, batch):
            vectors = [np.random.default_rng(len(a) + int(a.sum())).normal(size=8) for a in batch]
            return [{VECTOR: vector.astype(np.float32)} for vector in vectors][::-1]

    stage = VectorStage()
    batch = [np.full(i + 1, i, np.uint8) for i in range(9)]
    with pytest.raises(OrderError, match="a row whose embedding is"):
        OrderCheck(stage, 100).score(stage.score, batch)


def test_the_stages_with_models_are_checked():
    from tools.caption.llava.stage import LlavaStage
    from tools.scene_cut.shots.stage import SceneDetectStage
    from tools.scoring.audio_similarity.stage import ClapStage
    from tools.scoring.dedup.features import FeatureStage
    from tools.scoring.emscore.stage import EMScoreStage
    from tools.scoring.ocr.stage import OcrStage
    from tools.scoring.optical_flow.stage import OpticalFlowStage
    from tools.scoring.quality.stage import QualityStage

    networks = (AestheticStage, MatchingStage, QualityStage, EMScoreStage, FeatureStage, ClapStage)
    assert all(
        one.checks_order for one in (*networks, OpticalFlowStage, OcrStage, LlavaStage, SceneDetectStage)
    )
    assert not Stage.checks_order
