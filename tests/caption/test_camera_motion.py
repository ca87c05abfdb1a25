"""Camera motion on rendered moves of known speed, on real clips, and as a command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.caption.moving_camera import Move, film, film_to, fractal
from tests.support import make_video, remux
from tools.caption.camera_motion.background import Votes, cheapest
from tools.caption.camera_motion.labels import LABELS, CameraMotion, classify, smooth, strongest_run
from tools.caption.camera_motion.path import choose_steps, follow_camera
from tools.caption.camera_motion.stage import CameraMotionStage
from tools.errors import MediaError, UserError
from tools.media.reading.requests import read_requests
from tools.stage.runner import RunOptions, map_rows, run_stage

NUMBERS = ("pan", "tilt", "zoom", "roll")
HERE = RunOptions(num_workers=0, progress=False)  # in this process: the pool has its own tests

# Label, size, frame rate and speed are crossed so that each is seen with several of the others.
CASES = [
    (Move(), (854, 480), 24),
    (Move(pan=-0.25), (640, 480), 60),
    (Move(pan=0.04), (1280, 720), 25),
    (Move(tilt=0.3), (640, 480), 12),
    (Move(tilt=-0.06), (854, 480), 30),
    (Move(zoom=0.3), (480, 854), 24),
    (Move(zoom=-0.06), (854, 480), 50),
    (Move(roll=0.35), (854, 480), 12),
    (Move(roll=-0.06), (640, 480), 30),
    (Move(shake=0.01), (854, 480), 24),
    (Move(shake=0.012, shake_rate=4.0), (640, 480), 60),
    (Move(pan=0.2, tilt=0.15), (854, 480), 24),
    (Move(pan=-0.15, zoom=0.2), (640, 480), 12),
    (Move(tilt=-0.2, zoom=-0.15, roll=0.15), (854, 480), 30),
    (Move(pan=0.5, shake=0.015), (640, 480), 30),
    (Move(pan=1.0), (1920, 1080), 12),
]


@pytest.fixture(scope="module")
def still() -> np.ndarray:
    return fractal(seed=1)


@pytest.fixture(scope="module")
def subject() -> np.ndarray:
    return fractal(400, seed=2)


def measure(path: Path, **options: float) -> dict[str, object]:
    (values,) = map_rows(CameraMotionStage(**options), [{"path": str(path)}], HERE)
    if isinstance(values, MediaError):
        raise values
    return values


@pytest.mark.parametrize(("move", "size", "fps"), CASES, ids=lambda value: getattr(value, "labels", None))
def test_rendered_moves(move, size, fps, still, subject, tmp_path):
    """An ellipse of a quarter of the picture moves in front, and must not decide."""
    path = film_to(
        tmp_path / "clip.mp4", still, move, size=size, fps=fps, seconds=1.5, subject=subject, seed=fps
    )
    values = measure(path)
    assert values["cmotion"] == move.labels
    for name in NUMBERS:
        # 10 % of the speed; what shake adds to a mean over a second or two is its own size by their length
        slack = 0.1 * abs(getattr(move, name)) + 0.002 + 2 * move.shake
        assert values[name] == pytest.approx(getattr(move, name), abs=slack), name


@pytest.mark.parametrize(
    ("name", "labels"),
    {
        "sam2_02_cups.mp4": {"static"},
        "sam2_05_default_juggle.mp4": {"static"},
        "ocv_vtest.avi": {"static"},
        "sam2_04_coffee.mp4": {"static"},  # its wall does not move by a pixel of 1280, by phase correlation
        "gradio_b.avi": {"static", "undetermined"},  # the Earth turns before a black sky
        "tc_nasa_13013.mp4": {"zoom_out"},
        "moviepy_chaplin.mp4": {"static"},
    }.items(),
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_real_clips(name, labels, videos_dir):
    """Labels by eye, as in the folder's README."""
    assert measure(videos_dir / name)["cmotion"] in labels


def test_handheld_is_not_static(videos_dir):
    values = measure(videos_dir / "sam2_bedroom.mp4")
    assert values["cmotion"] not in ("static", "undetermined")


def test_turned_footage_turns_the_motion(still, tmp_path):
    """A pan to the right, stored lying on its side: the player turns it by a quarter, and the labels too."""
    frames = list(film(still, Move(pan=0.2), size=(640, 480), fps=24, seconds=1.0))
    upright = make_video(tmp_path / "upright.mp4", pictures=frames, fps=24)
    marked = make_video(tmp_path / "marked.mp4", pictures=frames, fps=24, rotation=90)
    assert measure(upright)["cmotion"] == measure(marked)["cmotion"] == "pan_right"
    # 480 x 640 now: what was 0.2 of the width to the right is 0.2 of the height
    turned = [np.ascontiguousarray(np.rot90(frame)) for frame in frames]
    values = measure(make_video(tmp_path / "turned.mp4", pictures=turned, fps=24))
    assert values["cmotion"] == "tilt_up"
    assert values["tilt"] == pytest.approx(0.2, rel=0.1)


def test_mirrored_footage_mirrors_the_motion(still, tmp_path):
    """A selfie camera's matrix mirrors left and right: a pan goes the other way, a tilt stays."""
    frames = list(film(still, Move(pan=0.2, tilt=0.15), size=(640, 480), fps=24, seconds=1.0))
    stored = make_video(tmp_path / "stored.mp4", pictures=frames, fps=24)
    mirrored = remux(stored, tmp_path / "mirrored.mp4", before=["-display_hflip"])
    plain, values = measure(stored), measure(mirrored)
    assert (plain["pan"], plain["tilt"]) == pytest.approx((0.2, 0.15), rel=0.1)
    assert (values["pan"], values["tilt"]) == pytest.approx((-0.2, 0.15), rel=0.1)


def test_speed_does_not_depend_on_frame_rate_or_times(still, tmp_path):
    """Frames left out at random: the times tell how far the camera has come."""
    frames = list(film(still, Move(pan=0.15), size=(640, 480), fps=60, seconds=2.0))
    random = np.random.default_rng(3)
    kept = [0, *sorted(random.choice(np.arange(1, 119), 50, replace=False)), 119]
    path = make_video(
        tmp_path / "vfr.mp4", pictures=[frames[i] for i in kept], times=[i / 60 for i in kept], fps=60
    )
    values = measure(path)
    assert values["cmotion"] == "pan_right"
    assert values["pan"] == pytest.approx(0.15, rel=0.1)


def test_black_bars_are_not_the_background(still, tmp_path):
    frames = list(film(still, Move(pan=0.2), size=(640, 360), fps=24, seconds=1.5))
    barred = [np.pad(frame, ((60, 60), (0, 0), (0, 0))) for frame in frames]
    values = measure(make_video(tmp_path / "barred.mp4", pictures=barred, fps=24))
    assert values["cmotion"] == "pan_right"
    assert values["pan"] == pytest.approx(0.2, rel=0.1)


def test_the_threshold_is_the_displacement_in_sixteen_seconds(still, tmp_path):
    """0.032 widths of 640 x 480 are 0.0427 shorter sides per second: 0.68 of them in 16 seconds."""
    path = film_to(tmp_path / "clip.mp4", still, Move(pan=0.032), size=(640, 480), fps=24, seconds=2.0)
    assert measure(path, threshold=0.55)["cmotion"] == "pan_right"
    assert measure(path, threshold=0.85)["cmotion"] == "static"
    assert measure(path, threshold=0.85)["pan"] == pytest.approx(0.032, rel=0.1)


def test_no_texture_is_undetermined(tmp_path):
    plain = [np.full((240, 320, 3), 90, np.uint8)] * 24
    values = measure(make_video(tmp_path / "plain.mp4", pictures=plain, fps=24))
    assert values == {"cmotion": "undetermined", **dict.fromkeys((*NUMBERS, "shake"))}


def test_sharp_subject_before_faint_background(still, subject, tmp_path):
    """Most corners that can be followed are the subject's."""
    faint = (128 + (still.astype(np.float32) - 128) * 0.12).astype(np.uint8)
    path = film_to(
        tmp_path / "clip.mp4",
        faint,
        Move(tilt=-0.15),
        size=(854, 480),
        fps=24,
        seconds=1.5,
        subject=subject,
        subject_area=0.3,
    )
    values = measure(path)
    assert values["cmotion"] == "tilt_down"
    assert values["tilt"] == pytest.approx(-0.15, rel=0.1)


def test_shots_that_contradict_are_undetermined(subject, tmp_path):
    shots = [
        *film(fractal(seed=5), Move(pan=0.2), size=(640, 480), fps=24, seconds=1.5),
        *film(fractal(seed=6), Move(pan=-0.2), size=(640, 480), fps=24, seconds=1.5),
    ]
    assert measure(make_video(tmp_path / "cut.mp4", pictures=shots, fps=24))["cmotion"] == "undetermined"


def test_shots_that_agree_are_one_motion(tmp_path):
    shots = [
        *film(fractal(seed=5), Move(zoom=0.2), size=(640, 480), fps=24, seconds=1.5),
        *film(fractal(seed=6), Move(zoom=0.2), size=(640, 480), fps=24, seconds=1.5),
    ]
    values = measure(make_video(tmp_path / "cut.mp4", pictures=shots, fps=24))
    assert values["cmotion"] == "zoom_in"
    assert values["zoom"] == pytest.approx(0.2, rel=0.1)


def test_there_and_back_is_both(still, tmp_path):
    frames = list(film(still, Move(pan=0.25), size=(640, 480), fps=24, seconds=1.5))
    path = make_video(tmp_path / "back.mp4", pictures=[*frames, *frames[::-1]], fps=24)
    values = measure(path)
    assert values["cmotion"] == "pan_left+pan_right"
    assert values["pan"] == pytest.approx(0, abs=0.01)


def test_what_has_no_motion_fails(data_dir, tmp_path):
    files = [
        data_dir / "clip_preprocess" / "123_456.jpg",
        data_dir / "videos" / "decord_video_0.mov",  # 3 frames, 0.1 s
        tmp_path / "nothing.mp4",
    ]
    outcomes = map_rows(CameraMotionStage(), [{"path": str(file)} for file in files], HERE)
    assert [outcome.kind for outcome in outcomes] == ["too_short", "too_short", "missing"]


def test_same_values_in_workers_and_with_many_threads(videos_dir):
    """What a row gets must not depend on where it is computed."""
    import cv2

    rows = [{"path": str(videos_dir / name)} for name in ("tc_av1_video.mkv", "skv_bigbuckbunny.mp4")]
    before = cv2.getNumThreads()
    cv2.setNumThreads(4)
    try:
        here = map_rows(CameraMotionStage(), rows, HERE)
    finally:
        cv2.setNumThreads(before)
    there = map_rows(CameraMotionStage(), rows[::-1], RunOptions(num_workers=2, progress=False))
    assert here == there[::-1]


def test_the_cheapest_motion_is_that_of_the_definition():
    """Cost: the sum of squared distances by the limit, 1 at most. Among equal motions it is the first."""
    random = np.random.default_rng(0)
    start, end = random.uniform(-1, 1, (2, 40, 2)) @ [1, 1j]
    weight = random.uniform(0, 1, 40)
    votes = Votes(start, end, np.array([1 / 300, 1 / 180]), weight, np.zeros(40, int))
    for _ in range(20):
        a, b = random.normal(0, 1, (2, 12, 2)) @ [1, 1j]
        true = random.choice(12, 3, replace=False)
        b[true] = b[true[0]] = (end - a[true[0]] * start)[0]
        a[true] = a[true[0]]
        off = a[:, None] * start + b[:, None] - end
        distance = np.hypot(off.real * 300, off.imag * 180)
        costs = np.minimum(distance / 0.4, 1) ** 2 @ weight
        assert cheapest(votes, a, b, weight) == costs.argmin() == true.min()


def test_steps_are_the_same_seconds_at_any_rate():
    """Every frame at 12 fps, every second one at 24 and 30, every fourth at 60."""
    for fps, every in ((12, 1), (24, 2), (30, 2), (60, 4)):
        assert choose_steps(np.arange(240) / fps)[:4] == [0, every, 2 * every, 3 * every]


def test_trend_of_a_steady_or_accelerated_move_is_the_move():
    """A parabola fitted to a parabola is that parabola, also at the ends and between uneven times."""
    times = np.cumsum(np.random.default_rng(0).uniform(0.05, 0.1, 60))
    path = np.stack([0.3 * times, 0.2 * times**2, 1 - times + 0.1 * times**2, 0 * times], axis=1)
    np.testing.assert_allclose(smooth(times, path), path, atol=1e-9)


def test_strongest_run():
    times = np.arange(101) / 10
    bump = np.interp(times, [0, 4, 5, 7, 10], [0, 0, 0.5, 0.1, 0.1])
    assert strongest_run(times, bump, slowest=0.02, least=0.04) == pytest.approx(0.5)
    assert strongest_run(times, -bump, slowest=0.02, least=0.04) == pytest.approx(0.4)
    assert strongest_run(times, bump, slowest=0.02, least=0.6) == 0.0
    assert strongest_run(times, 0.019 * times, slowest=0.02, least=0.04) == 0.0
    assert strongest_run(times, 0.021 * times, slowest=0.02, least=0.04) == pytest.approx(0.21)


def test_labels_are_joined_in_one_order():
    assert str(CameraMotion(("pan_left", "zoom_in", "shake"))) == "pan_left+zoom_in+shake"
    assert (
        *("static", "pan_left", "pan_right", "tilt_up", "tilt_down", "zoom_in", "zoom_out"),
        *("roll_cw", "roll_ccw", "shake", "undetermined"),
    ) == LABELS


def test_library_takes_arrays(videos_dir):
    """`follow_camera` and `classify` know nothing of files."""
    stage = CameraMotionStage()
    (frames,) = read_requests(videos_dir / "skv_bigbuckbunny.mp4", [stage.request])
    shots = follow_camera(frames.thumbnails, frames.times, 16 / 9)
    assert len(shots) == 1
    assert classify(shots, frames.times[-1], 16 / 9).labels == ("pan_left", "tilt_up")  # by eye


def test_threshold_must_be_positive():
    with pytest.raises(UserError, match="threshold"):
        CameraMotionStage(threshold=0)


def test_table_keeps_its_columns(still, tmp_path):
    film_to(tmp_path / "clip.mp4", still, Move(pan=0.3), size=(320, 240), fps=12, seconds=1.0)
    table = pl.DataFrame({"path": [str(tmp_path / "clip.mp4")], "id": ["007"]})
    table.write_csv(tmp_path / "meta.csv")
    result = run_stage(CameraMotionStage(), tmp_path / "meta.csv", options=HERE)
    assert result.output == tmp_path / "meta_cmotion.csv"
    written = pl.read_csv(result.output, infer_schema=False)
    assert written.columns == ["path", "id", "cmotion", *NUMBERS, "shake"]
    assert written["id"].to_list() == ["007"]
    assert written["cmotion"].to_list() == ["pan_right"]


@pytest.mark.parametrize(
    "command",
    [
        ["tools.caption.camera_motion.detect", "--threshold", "0.25"],
        ["tools.caption.camera_motion_detect", "--disable-parallel"],
    ],
    ids=lambda value: value[0].rsplit(".", 1)[1],
)
def test_both_names_run(command, videos_dir, tmp_path):
    (tmp_path / "meta.csv").write_text(f"path\n{videos_dir / 'nemo_test_video.mp4'}\n")
    module, *flags = command
    done = subprocess.run(
        [sys.executable, "-m", module, str(tmp_path / "meta.csv"), *flags],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(tmp_path / "meta_cmotion.csv")
    assert pl.read_csv(tmp_path / "meta_cmotion.csv")["cmotion"].to_list() == ["static"]
