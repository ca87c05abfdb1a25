"""CLIP-IQA against a softmax of independently computed logits, in float64 (random weights)."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import polars as pl
import pytest
import torch

from tests.models.openai_clip import save_state
from tests.scoring.clip_files import pictures
from tests.scoring.commands import run_as_ranks
from tests.support import make_video, read_barcode
from tools.errors import MediaError, UserError
from tools.media.reading.requests import read_sampled
from tools.media.reading.sampling import Sampling
from tools.scoring.quality.inference import COMMAND, main
from tools.scoring.quality.prompts import PROMPTS, parse_prompts
from tools.scoring.quality.scorer import QualityScorer, clip_iqa
from tools.scoring.quality.stage import QualityStage
from tools.stage.runner import RunOptions, map_rows
from tools.table import merge_tables, write_table

OPTIONS = RunOptions(num_workers=0, progress=False)
SCALE = float(np.exp(4.6052))  # of the random weights


def make(clip, **options) -> QualityStage:
    options = {"sampling": Sampling("middle"), **options}
    return QualityStage(clip_model=str(clip.weights), device="cpu", precision="fp32", **options)


def expected(clip, images: list, pair: tuple[str, str], scale: float = SCALE) -> np.ndarray:
    """The softmax over the two logits of each picture, as the paper has it."""
    logits = torch.from_numpy(scale * clip.images(images) @ clip.texts(list(pair)).T)
    return torch.softmax(logits, dim=1)[:, 0].numpy()


def test_all_built_in_pairs_in_one_pass(clip_environment, media):
    """The 16 of torchmetrics.functional.multimodal.clip_image_quality_assessment, by its names."""
    names = (
        "quality brightness noisiness colorfullness sharpness contrast complexity natural happy scary new "
    )
    names = (names + "warm real beautiful lonely relaxing").split()
    assert list(PROMPTS) == names
    stage = make(clip_environment, prompts=tuple(names))
    (outcome,) = map_rows(stage, [{"path": str(media["long"])}], OPTIONS)
    assert list(outcome) == ["quality", *(f"quality_{name}" for name in names[1:])]
    image = [pictures(media["long"])[25]]
    for value, pair in zip(outcome.values(), PROMPTS.values(), strict=True):
        assert value == pytest.approx(expected(clip_environment, image, pair)[0], abs=2e-5)
    assert np.ptp(list(outcome.values())) > 0.05


def test_own_pairs(clip_environment, media):
    prompts = ("quality", "a good photo|a bad photo", "crisp=sharp | blurry", "the cat|the dog")
    (outcome,) = map_rows(make(clip_environment, prompts=prompts), [{"path": str(media["wide"])}], OPTIONS)
    pairs = {
        "quality": ("Good photo.", "Bad photo."),
        "quality_user0": ("a good photo", "a bad photo"),
        "quality_crisp": ("sharp", "blurry"),
        "quality_user1": ("the cat", "the dog"),
    }
    assert list(outcome) == list(pairs)
    images = pictures(media["wide"])
    for column, pair in pairs.items():
        assert outcome[column] == pytest.approx(expected(clip_environment, images, pair)[0], abs=2e-5)
    swapped = make(clip_environment, prompts=("a bad photo|a good photo",))
    (other,) = map_rows(swapped, [{"path": str(media["wide"])}], OPTIONS)
    assert other["quality_user0"] == pytest.approx(1 - outcome["quality_user0"], abs=2e-6)


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        (["qualty"], "quality, brightness"),
        (["good|bad|ugly"], "one | between"),
        (["|bad"], "one | between"),
        (["quality", "quality"], "two of them make the column quality"),
        (["x=a|b", "x=c|d"], "NAME=c|d"),
        ([], "at least one"),
    ],
)
def test_wrong_prompts(prompts, message):
    with pytest.raises(UserError) as caught:
        parse_prompts(prompts)
    assert message in str(caught.value)


def test_prompts_that_are_too_long_are_told_before_any_file_is_read(clip_environment):
    stage = make(clip_environment, prompts=(f"{'the ' * 20}|bad",))
    with pytest.raises(UserError, match="has 20 tokens, this CLIP takes 14"):
        stage.setup()


def test_the_scale_is_the_models_own(clip_environment, media, tmp_path):
    weights = {**clip_environment.state, "logit_scale": torch.tensor(2.0)}
    path = save_state(weights, tmp_path / "other.pt")
    images = pictures(media["wide"])
    scorer = QualityScorer(path, ["sharpness"], device="cpu", precision="fp32")
    found = scorer.score(images)["quality_sharpness"]
    own = expected(clip_environment, images, PROMPTS["sharpness"], scale=float(np.exp(2.0)))
    assert found == pytest.approx(own, abs=2e-5)
    assert abs(found - expected(clip_environment, images, PROMPTS["sharpness"])).max() > 0.01


def test_the_formula_at_its_ends():
    axis = np.eye(2)
    assert clip_iqa(axis[:1], axis, 1e6).tolist() == [1.0]
    assert clip_iqa(axis[1:], axis, 1e6).tolist() == [0.0]
    diagonal = np.full((1, 2), 0.5**0.5)
    assert clip_iqa(diagonal, axis, 100.0).tolist() == [0.5]
    assert clip_iqa(axis[:1], axis, 2.0)[0] == pytest.approx(1 / (1 + np.exp(-2)), rel=1e-12)


def test_reductions(clip_environment, media):
    options = {"sampling": Sampling("count_uniform", 6), "prompts": ("noisiness",)}
    frames = [pictures(media["long"])[i] for i in (0, 9, 19, 29, 39, 49)]  # every 0.392 s
    scores = expected(clip_environment, frames, PROMPTS["noisiness"])
    assert np.ptp(scores) > 0.1
    ordered = np.sort(scores)
    wanted = {
        "quality_noisiness": scores.mean(),
        "quality_noisiness_max": ordered[-1],
        "quality_noisiness_min": ordered[0],
        "quality_noisiness_median": (ordered[2] + ordered[3]) / 2,
        "quality_noisiness_p10": (ordered[0] + ordered[1]) / 2,  # position 0.1 x 5 among the sorted
    }
    row = {"path": str(media["long"])}
    (outcome,) = map_rows(
        make(clip_environment, reduce=("avg", "max", "min", "median", "p10"), **options), [row], OPTIONS
    )
    assert outcome == pytest.approx(wanted, abs=1e-4)
    (alone,) = map_rows(make(clip_environment, reduce=("p10",), **options), [row], OPTIONS)
    assert alone == {"quality_noisiness": outcome["quality_noisiness_p10"]}
    with pytest.raises(UserError, match="avg, max, min, median, p10"):
        make(clip_environment, reduce=("mean",))
    with pytest.raises(UserError, match="column quality_p10"):
        make(clip_environment, prompts=("quality", "p10=a|b"), reduce=("avg", "p10"))


SAMPLINGS = [  # flags; frames of a video with 50 frames at 25 per second: frame n starts at n / 25 s
    ((), [0, 7, 14, 21, 28, 35, 42, 49]),
    (("--num-frames", "2"), [0, 49]),
    (("--sampling", "by_count_uniform", "--num-frames", "1"), [0]),  # LAS: one frame is that at the start
    (("--sampling", "count_uniform:4", "--start", "0.4", "--end", "1.6"), [10, 20, 30, 40]),
    (("--sampling", "interval_time:0.5"), [0, 12, 25, 37]),
    (("--sampling", "interval_time:0.5", "--start", "1"), [25, 37]),
    (("--sampling", "interval_frames:20", "--start", "0.2"), [5, 25, 45]),
    (("--sampling", "fps:4", "--max-frames", "3"), [0, 6, 12]),
    (("--sampling", "fps:100"), list(range(50))),
    (("--sampling", "timestamps:0.1,1.2,0.5"), [2, 12, 30]),
]


@pytest.mark.parametrize(("flags", "numbers"), SAMPLINGS)
def test_each_policy_gives_the_frames_that_it_promises(clip_environment, tmp_path, flags, numbers):
    stage = COMMAND.make_stage(COMMAND.parser().parse_args(["meta.csv", "--device", "cpu", *flags]))
    video = make_video(tmp_path / "v.mp4", 50, fps=Fraction(25))
    frames = read_sampled(video, stage.sampling)
    assert [read_barcode(frame.image) for frame in frames] == numbers
    assert stage.prepare({"path": str(video)}, frames).crops.shape == (len(numbers), 32, 32, 3)


def test_a_video_without_frames_from_start_on_fails(clip_environment, media):
    stage = make(clip_environment, sampling=Sampling("fps", fps=2.0, start=1.5))
    outcomes = map_rows(stage, [{"path": str(media[name])} for name in ("short", "long", "wide")], OPTIONS)
    assert isinstance(outcomes[0], MediaError) and outcomes[0].kind == "too_short"
    assert all(0 < outcome["quality"] < 1 for outcome in outcomes[1:])  # an image is its own frame


def test_a_row_scores_the_same_in_any_batch(clip_environment, media):
    stage = make(clip_environment, sampling=Sampling("count_uniform", 3), prompts=("quality", "a|b"))
    rows = [stage.prepare({}, read_sampled(path, stage.sampling)) for path in media.values()]
    stage.setup()
    together = stage.score(rows)
    assert [stage.score([row])[0] for row in rows] == together
    assert stage.score(rows[::-1])[::-1] == together


def test_what_was_asked_changes_with_what_changes_values(clip_environment):
    same = make(clip_environment).config()
    assert make(clip_environment, save_embeddings="x.npy").config() == same
    for options in ({"prompts": ("sharpness",)}, {"reduce": ("max",)}, {"prompts": ("quality=a|b",)}):
        assert make(clip_environment, **options).config() != same


def test_a_resnet_is_refused_clearly(clip_environment, tmp_path):
    state = {**clip_environment.state, "visual.layer1.0.conv1.weight": torch.zeros(1)}
    path = save_state(state, tmp_path / "RN50.pt")
    with pytest.raises(UserError, match="a ResNet CLIP"):
        QualityStage(clip_model=str(path), device="cpu")


def test_the_command_alone_and_as_ranks(clip_environment, media, tmp_path, capsys):
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video\n")
    paths = [media["long"], media["wide"], broken, media["short"], media["high"]]
    meta = write_table(pl.DataFrame({"path": [str(path) for path in paths]}), tmp_path / "meta.csv")

    alone = tmp_path / "alone.csv"
    options = ("--precision", "fp32", "--device", "cpu", "--quiet")
    options += ("--prompts", "noisiness", "a good photo|a bad photo", "--reduce", "avg", "min")
    assert main([str(meta), "--output", str(alone), "--num-workers", "1", *options]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(alone)
    table = pl.read_csv(alone)
    noisiness = "quality_noisiness"
    assert table.columns == ["path", noisiness, f"{noisiness}_min", "quality_user0", "quality_user0_min"]
    assert table[noisiness].is_null().to_list() == [False, False, True, False, False]
    image = pictures(media["high"])
    own = expected(clip_environment, image, ("a good photo", "a bad photo"))[0]
    assert table["quality_user0"][4] == pytest.approx(own, abs=2e-5)
    frames = [pictures(media["short"])[i] for i in (0, 3, 6, 9, 12, 15, 18, 22)]  # every 22 / 7 frames
    scores = expected(clip_environment, frames, PROMPTS["noisiness"])
    assert table[noisiness][3] == pytest.approx(scores.mean(), abs=1e-4)

    run_as_ranks(main, meta, *options, "--num-workers", 0, "--bs", 2)
    parts = [tmp_path / f"meta_quality_part{rank}.csv" for rank in range(2)]
    merged = write_table(merge_tables(parts), tmp_path / "merged.csv")
    assert merged.read_bytes() == alone.read_bytes()
