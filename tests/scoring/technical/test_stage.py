"""The stage and the command on real files: columns, empty cells, choice of measures, bad input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from tests.scoring.technical.scenes import canvas, pan
from tests.support import make_video, remux, run_command
from tools.errors import UserError
from tools.media.reading.requests import read_requests
from tools.media.reading.sampling import SamplingError
from tools.scoring.technical.inference import COMMAND, main
from tools.scoring.technical.measures import DEFAULT_MEASURES, MEASURES, check_measures
from tools.scoring.technical.stage import FramePairs, TechnicalStage
from tools.stage.runner import RunOptions, map_rows
from tools.table import read_table, write_table

OVER_TIME = ("interlaced", "static_ratio", "true_fps", "fade", "logo")


def measured(stage: TechnicalStage, *paths: Path, **options: int) -> list[dict]:
    run = RunOptions(progress=False, **({"num_workers": 0} | options))
    return map_rows(stage, [{"path": str(path)} for path in paths], run)


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    return make_video(tmp_path_factory.mktemp("clips") / "clip.mp4", pictures=pan(40), fps=25)


@pytest.fixture(scope="module")
def image(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("images") / "image.png"
    Image.fromarray(canvas(240, 320)).save(path)
    return path


def test_every_measure_fills_its_columns(clip):
    (values,) = measured(TechnicalStage(), clip)
    assert list(values) == list(TechnicalStage().output_columns)
    assert values["crop"] == "320:180:0:0"
    assert all(isinstance(value, float) for name, value in values.items() if name != "crop")


def test_an_image_has_no_values_of_time(image):
    (values,) = measured(TechnicalStage(), image)
    assert {name for name, value in values.items() if value is None} == set(OVER_TIME)


def test_videos_of_one_and_two_frames(tmp_path):
    one = make_video(tmp_path / "one.mp4", pictures=pan(1))
    two = make_video(tmp_path / "two.mp4", pictures=pan(2))
    alone, pair = measured(TechnicalStage(), one, two)
    assert {name for name, value in alone.items() if value is None} == set(OVER_TIME)
    assert {name for name, value in pair.items() if value is None} == {"logo"}
    assert pair["static_ratio"] == 0


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (40, 5)])
def test_tiny_images_are_measured_as_far_as_that_goes(tmp_path, size):
    path = tmp_path / "tiny.png"
    Image.fromarray(np.full((size[1], size[0], 3), 77, np.uint8)).save(path)
    (values,) = measured(TechnicalStage(), path)
    assert values["luminance"] == pytest.approx(77, abs=0.01)
    assert values["crop"] == f"{size[0]}:{size[1]}:0:0"
    assert values["upscaled"] is None


def test_a_measure_does_not_depend_on_the_others(clip, data_dir):
    parameters = str(data_dir / "iqa" / "niqe_image_params.mat")
    together = measured(TechnicalStage(measures=tuple(MEASURES), niqe_parameters=parameters), clip)[0]
    for name in MEASURES:
        alone = TechnicalStage(measures=(name,), niqe_parameters=parameters if name == "niqe" else None)
        (values,) = measured(alone, clip)
        assert values == {column: together[column] for column in MEASURES[name].columns}


def test_workers_and_batches_change_nothing(clip, image, videos_dir):
    paths = [clip, image, videos_dir / "skv_carphone_distorted.mp4", clip]
    inline = measured(TechnicalStage(), *paths)
    assert measured(TechnicalStage(), *paths, num_workers=2, batch_size=1) == inline
    assert inline[0] == inline[3]


def test_only_what_is_needed_is_asked_of_the_decoder():
    assert TechnicalStage(measures=("luminance", "interlaced")).request.thumbnails is None
    assert TechnicalStage(measures=("static_ratio", "logo")).request.choice is None
    whole = TechnicalStage(measures=("black_bars",)).request
    assert whole.choice is not None
    assert whole.thumbnails is not None


@pytest.mark.parametrize("frames", [1, 2, 3, 5, 11, 30, 61, 75, 1000])
def test_frame_pairs_are_neighbours_inside_the_video(frames):
    indices = FramePairs(6).indices(np.arange(frames) / 25)
    assert indices == sorted(set(indices))
    assert indices[0] >= 0
    assert indices[-1] < frames
    firsts = indices[::2]
    if frames >= 30:
        assert len(indices) == 12
        assert [i + 1 for i in firsts] == indices[1::2]
        assert len({i % 5 for i in firsts}) >= 3  # not always the same frame of a pulldown


def test_frame_pairs_of_nothing():
    with pytest.raises(SamplingError):
        FramePairs().indices(np.zeros(0))


# Real videos


def test_what_is_known_of_real_videos(videos_dir, tmp_path):
    slides = remux(videos_dir / "v2d_test_video.mp4", tmp_path / "slides.mp4", after=["-t", "6", "-an"])
    names = ("moviepy_chaplin.mp4", "iscc_demo.mpg", "skv_bigbuckbunny.mp4", "sam2_05_default_juggle.mp4")
    paths = [slides, *(videos_dir / name for name in names)]
    slides, chaplin, letterboxed, bunny, juggle = measured(TechnicalStage(), *paths)
    assert slides["static_ratio"] > 0.95
    assert slides["black_bars"] > 0.3
    assert chaplin["black_bars"] == pytest.approx(0.225)  # 72 of 640 pixels on either side
    assert chaplin["colorfulness"] < 1  # black and white
    assert chaplin["true_fps"] < 20  # silent film in 25 frames per second
    assert letterboxed["crop"] == "176:100:0:22"
    assert bunny["true_fps"] == pytest.approx(24, abs=0.5)  # a film of 24 in a file of 25
    assert bunny["colorfulness"] > 40
    assert juggle["upscaled"] < 1.1
    for values in (chaplin, bunny, juggle):
        assert values["interlaced"] == values["fade"] == 0
    for values in (letterboxed, juggle):
        assert values["static_ratio"] < 0.01


def test_distorted_is_worse_than_pristine(videos_dir):
    names = ("skv_carphone_distorted.mp4", "skv_carphone_pristine.mp4")
    distorted, pristine = measured(TechnicalStage(), *(videos_dir / name for name in names))
    assert distorted["blockiness"] > 1.4 * pristine["blockiness"]
    assert distorted["sharpness"] < 0.5 * pristine["sharpness"]
    assert distorted["luminance"] == pytest.approx(pristine["luminance"], abs=2)


def test_a_static_camera_is_not_frozen(videos_dir):
    (frames,) = read_requests(videos_dir / "ocv_vtest.avi", [TechnicalStage(measures=("true_fps",)).request])
    values = TechnicalStage(measures=("static_ratio", "true_fps", "logo")).prepare({}, frames)
    assert values["static_ratio"] == 0
    assert values["true_fps"] == pytest.approx(10)
    assert values["logo"] < 0.1


# The command


def test_the_command_writes_a_table(clip, image, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video\n")
    meta = write_table(pl.DataFrame({"path": [str(clip), str(broken), str(image)]}), tmp_path / "meta.csv")
    done = run_command(main, meta, "--num_workers", 2, "--measures", "true_fps,black_bars,luminance")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(tmp_path / "meta_technical.csv")
    table = read_table(tmp_path / "meta_technical.csv")
    assert table.columns == ["path", "luminance", "black_bars", "crop", "true_fps"]
    assert table["crop"].to_list() == ["320:180:0:0", None, "320:240:0:0"]
    assert float(table["true_fps"][0]) == pytest.approx(25, rel=0.01)
    assert table["true_fps"][2] is None
    assert "unreadable" in (tmp_path / "meta_technical.failures.csv").read_text()


def test_niqe_without_its_parameters_says_where_to_get_them(clip, tmp_path, monkeypatch):
    monkeypatch.delenv("VIDSIEVE_NIQE", raising=False)
    monkeypatch.setenv("VIDSIEVE_WEIGHTS", str(tmp_path))
    monkeypatch.setattr("tools.models.weights._PROJECT", tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"weights are missing: NIQE.*weights download niqe"):
        TechnicalStage(measures=("niqe",))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--measures", "sharpnes"], "Invalid measures \\(sharpnes\\)"),
        (["--measures", ","], "Invalid measures"),
        (["--niqe-parameters", "x.mat"], "niqe is not among the measures"),
        (["--measures", "niqe", "--niqe-parameters", "x.mat"], "x.mat: there is no such file"),
    ],
)
def test_wrong_options_are_user_errors(arguments, message):
    parser = COMMAND.parser()
    parser.raises = True
    with pytest.raises(UserError, match=message):
        COMMAND.make_stage(parser.parse_args(["meta.csv", *arguments]))


def test_measures_have_one_order():
    assert check_measures(["logo", "sharpness"]) == ("sharpness", "logo")
    assert "niqe" not in DEFAULT_MEASURES
    columns = [column for measure in MEASURES.values() for column in measure.columns]
    assert len(columns) == len(set(columns))
    assert (
        TechnicalStage(measures=("logo", "sharpness")).config()
        == TechnicalStage(measures=("sharpness", "logo")).config()
    )
