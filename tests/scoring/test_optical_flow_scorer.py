"""Flow and motion of rendered pictures whose motion is known, and of pairs with measured true flow."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from tests.scoring.moving_pictures import mean_speed, pan, render, texture, turn, zoom
from tools.media.reading.sampling import SamplingError
from tools.scoring.optical_flow.camera import camera_field
from tools.scoring.optical_flow.dis import dis_flow
from tools.scoring.optical_flow.pairs import FlowChoice, MotionPair
from tools.scoring.optical_flow.pictures import averaged_picture, pixel_size, sampled_picture
from tools.scoring.optical_flow.scorer import (
    MotionField,
    flow_score,
    make_clip,
    motion_scores,
    quantile,
    score_clips,
)

LANDSCAPE, SMALL, PORTRAIT = (360, 640), (180, 320), (640, 360)


@pytest.fixture(scope="module")
def content() -> np.ndarray:
    return texture()


def scores(content, camera, fps, size, *, pairs=4, seconds=1.5, split_camera=False):
    """Of a video that is rendered only where it is looked at."""
    times = np.arange(int(seconds * fps)) / fps
    choice = FlowChoice(pairs)
    images = {number: render(content, camera, times[number], *size) for number in choice.indices(times)}
    return score_clips(dis_flow, [make_clip(images, times, choice)], split_camera=split_camera)[0]


@pytest.mark.parametrize(("fps", "size"), [(12, SMALL), (24, LANDSCAPE), (30, SMALL), (60, LANDSCAPE)])
@pytest.mark.parametrize(
    "camera", [pan(-0.3, 0.2), pan(0.05, 0.02), zoom(0.3), turn(0.5)], ids=["pan", "slow pan", "zoom", "turn"]
)
def test_motion_is_that_of_the_camera_at_any_rate_and_size(content, camera, fps, size):
    found = scores(content, camera, fps, size)
    assert found["motion"] == pytest.approx(mean_speed(camera, *size), rel=0.03)


@pytest.mark.parametrize("fps", [24, 60])
def test_fast_motion_is_measured_over_a_shorter_time(content, fps):
    """2.8 frame heights in a second: 75 pixels of the grid in a twelfth, which DIS does not find."""
    camera = pan(2.8, 0.0)
    assert scores(content, camera, fps, SMALL)["motion"] == pytest.approx(
        mean_speed(camera, *SMALL), rel=0.03
    )


def test_motion_of_a_portrait_video(content):
    camera = pan(0.1, -0.2)
    found = scores(content, camera, 24, PORTRAIT)["motion"]
    assert found == pytest.approx(mean_speed(camera, *PORTRAIT), rel=0.03)


def test_motion_p95_is_the_fast_part(content):
    """When all turns around the centre, 5 % of the frame's area are farther from it than 0.436 diagonals.

    The distance is that of the 95th percentile over the frame of 320 x 180.
    """
    y, x = np.mgrid[0:180, 0:320]
    distance = np.percentile(np.hypot(x - 159.5, y - 89.5), 95) / np.hypot(320, 180)
    found = scores(content, turn(0.5), 30, SMALL)["motion_p95"]
    assert found == pytest.approx(0.5 * distance, rel=0.03)


def test_flow_counts_pixels_of_the_grid_in_ten_frames(content):
    """The grid has 576 pixels for the 640 of the frame's width, and 320 for the 360 of its height."""
    found = scores(content, pan(-0.3, 0.2), 30, LANDSCAPE, pairs=0)
    per_second = 0.3 * 360 * 576 / 640 + 0.2 * 320
    assert found == {"flow": pytest.approx(per_second * 10 / 30 / 2, rel=0.02)}


def test_camera_and_subject_are_told_apart(content):
    """A patch of 20 % of the picture goes its own way before a moving background."""
    height, width = SMALL
    top, left, side = 50, 100, 107  # pixels; the patch starts there
    background, subject = pan(0.2, 0.0), pan(-0.1, 0.3)
    other = texture(1)
    times = np.arange(30) / 30
    choice = FlowChoice(4)
    images = {}
    for number in choice.indices(times):
        image = render(content, background, times[number], height, width)
        moved = subject(times[number])[:2, 2] * height
        x, y = round(left + moved[0]), round(top + moved[1])
        cover = render(other, subject, times[number], height, width)
        window = slice(max(y, 0), min(y + side, height)), slice(x, x + side)
        image[window] = cover[window]
        images[number] = image
    found = score_clips(dis_flow, [make_clip(images, times, choice)], split_camera=True)[0]
    diagonal = np.hypot(width, height) / height
    assert found["motion_camera"] == pytest.approx(0.2 / diagonal, rel=0.05)
    share = side * side / (width * height)
    relative = np.hypot(0.3, 0.3) / diagonal
    assert found["motion_subject"] == pytest.approx(share * relative, rel=0.25)  # its border is not sharp
    still = scores(content, pan(0.2, 0.0), 30, SMALL, split_camera=True)
    assert still["motion_subject"] < 0.02 * still["motion_camera"]


def test_the_camera_model_holds_pan_zoom_and_turn_but_not_what_moves_by_itself():
    """Homographies of small motion, by their own formula; a third of the field is something else."""
    height, width = 320, 576
    pixel = pixel_size(720, 1280)
    x, y = np.meshgrid(
        (np.arange(width) + 0.5 - width / 2) * pixel[0], (np.arange(height) + 0.5 - 160) * pixel[1]
    )
    matrix = np.array([[1.01, -0.02, 0.012], [0.02, 1.01, -0.004], [0.006, -0.008, 1.0]])
    moved = np.tensordot(matrix, np.stack([x, y, np.ones_like(x)]), 1)
    field = np.stack([moved[0] / moved[2] - x, moved[1] / moved[2] - y], axis=2).astype(np.float32)
    disturbed = field.copy()
    disturbed[100:300, 50:360] = (-0.03, 0.01)  # 34 % of the pixels
    found = camera_field(disturbed, pixel)
    assert (
        np.hypot(*(found - field).transpose(2, 0, 1)).max() < 0.02 * np.hypot(*field.transpose(2, 0, 1)).max()
    )
    assert np.array_equal(camera_field(disturbed, pixel), found)  # chance plays no part


def test_motion_scores_by_hand():
    still, right = np.zeros((20, 30, 2), np.float32), np.zeros((20, 30, 2), np.float32)
    right[..., 0] = 0.03
    found = motion_scores([MotionField(still, 0.1), MotionField(right, 0.05)], (0.01, 0.01))
    assert found == {"motion": pytest.approx(0.3), "motion_p95": pytest.approx(0.6)}


@pytest.mark.parametrize("count", [1, 2, 3, 20, 21, 1001])
@pytest.mark.parametrize("share", [0.0, 0.33, 0.95, 1.0])
def test_a_quantile_lies_between_neighbours_of_the_sorted_values(count, share):
    values = np.random.default_rng(count).integers(0, 50, count).astype(np.float32) / 7
    expected = np.interp((count - 1) * share, np.arange(count), np.sort(values))
    assert quantile(values, share) == pytest.approx(expected, rel=1e-6)


def test_a_quantile_of_what_is_not_known_is_not_known():
    assert np.isnan(quantile(np.array([0, 1, np.nan, 2, 3], np.float32), 0.5))


@pytest.mark.parametrize(("number", "error"), [(1, 2.70), (2, 0.64), (3, 3.02)])
def test_dis_on_pictures_with_true_flow(data_dir, number, error):
    """The figures were measured with OpenCV's own function when the pictures were collected."""
    folder = data_dir / "flow"
    pair = [np.asarray(Image.open(folder / f"{number:05}_img{i}.ppm")) for i in (1, 2)]
    raw = (folder / f"{number:05}_flow.flo").read_bytes()
    width, height = np.frombuffer(raw[4:12], np.int32)
    truth = np.frombuffer(raw[12:], np.float32).reshape(height, width, 2)
    found = dis_flow(np.stack(pair)[None])[0]
    assert np.hypot(*(found - truth).transpose(2, 0, 1)).mean() == pytest.approx(error, abs=0.006)


def test_dis_does_not_depend_on_threads_or_company(content):
    some = np.stack([render(content, pan(0.5, 0.1), t, 96, 160) for t in (0, 0.05, 0.1)])
    pairs = np.stack([some[:2], some[1:]])
    threads = cv2.getNumThreads()
    flows = dis_flow(pairs)
    assert np.array_equal(dis_flow(pairs[1:])[0], flows[1])
    try:
        cv2.setNumThreads(4)
        assert np.array_equal(dis_flow(pairs), flows)
        assert cv2.getNumThreads() == 4
    finally:
        cv2.setNumThreads(threads)


@pytest.mark.parametrize("size", [(240, 426), (426, 240), (200, 1000)])
def test_pictures_are_sampled_as_pytorch_does(size):
    """Open-Sora: portrait pictures are transposed, then F.interpolate, bilinear, align_corners."""
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    tensor = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    tensor = tensor.transpose(2, 3) if size[0] > size[1] else tensor
    expected = F.interpolate(tensor, size=(320, 576), mode="bilinear", align_corners=True)
    found = sampled_picture(image)
    assert found.dtype == np.float32
    assert np.abs(found - expected[0].permute(1, 2, 0).numpy()).max() < 1e-3


def test_averaged_pictures_keep_the_mean_and_the_place():
    """Every pixel counts: a fine checkerboard becomes grey, where sampling finds black and white."""
    fine = np.indices((960, 1728)).sum(axis=0) % 2 * np.uint8(255)
    image = np.repeat(fine[..., None], 3, axis=2).astype(np.uint8)
    assert set(np.unique(averaged_picture(image))) <= {113, 127, 128, 142}  # 4 or 5 of 9 pixels are white
    assert np.ptp(sampled_picture(image)) > 200
    ramp = np.repeat(np.arange(100, dtype=np.uint8)[None, :, None], 60, axis=0).repeat(3, axis=2)
    assert (
        np.abs(averaged_picture(ramp)[10:-10, 288].astype(float) - 50).max() < 1
    )  # enlarged: centre is centre


def test_pixels_of_the_grid_in_diagonals():
    assert pixel_size(320, 576) == pytest.approx((1 / np.hypot(320, 576),) * 2)
    assert pixel_size(1080, 1920) == pixel_size(1920, 1080)
    assert pixel_size(1000, 1000) == pytest.approx((1 / 576 / np.sqrt(2), 1 / 320 / np.sqrt(2)))


def test_frames_for_flow():
    assert FlowChoice(0).indices(np.arange(100) / 30) == [0, 10, 20, 30]
    assert FlowChoice(0).indices(np.arange(30) / 30) == [0, 10, 20]
    assert FlowChoice(0).indices(np.arange(11) / 30) == [0, 10]
    with pytest.raises(SamplingError, match="from frame 0 to frame 10, the video has 10 frames"):
        FlowChoice(0).indices(np.arange(10) / 30)
    # Open-Sora, tools/datasets/utils.py: an index past the end becomes the last one
    padded = FlowChoice(0, padded=True)
    assert padded.flow_frames(np.arange(12) / 30) == [0, 10, 11, 11]
    assert padded.flow_frames(np.zeros(1)) == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("fps", "step", "near"), [(12, 1, None), (24, 2, 1), (25, 2, 1), (30, 2, 1), (60, 5, 2), (4, 1, None)]
)
def test_frames_for_motion_are_a_twelfth_of_a_second_apart(fps, step, near):
    times = np.round(np.arange(10 * fps) / fps, 3)  # as containers round them
    pairs = FlowChoice(5).motion(times)
    assert len(pairs) == 5
    for number, pair in enumerate(pairs):
        assert pair.second - pair.first == step
        assert pair.near == (None if near is None else pair.first + near)
        middle_of_a_fifth = (number + 0.5) / 5 * (times[-1] - 1 / 12)
        assert -0.001 <= middle_of_a_fifth - times[pair.first] <= 1 / fps + 0.001


def test_frames_for_motion_in_odd_videos():
    assert FlowChoice(6).motion(np.array([0.0, 0.04])) == [MotionPair(0, 1)]
    # one frame stays for 5 s: pairs reach over it with the time that it takes
    slides = np.array([0.0, 0.04, 0.08, 5.08, 5.12, 5.16, 5.2])
    pairs = FlowChoice(3).motion(slides)
    assert MotionPair(2, 3) in pairs
    with pytest.raises(SamplingError, match="no time passes"):
        FlowChoice(3).motion(np.zeros(5))


def test_seconds_are_those_of_the_frames(content):
    """At a variable frame rate the same pan has the same motion."""
    rng = np.random.default_rng(2)
    times = np.concatenate([[0], np.cumsum(rng.choice([1 / 60, 1 / 30, 1 / 15], size=60))])
    camera, choice = pan(0.2, 0.1), FlowChoice(5)
    images = {number: render(content, camera, times[number], *SMALL) for number in choice.indices(times)}
    found = score_clips(dis_flow, [make_clip(images, times, choice)])[0]
    assert found["motion"] == pytest.approx(mean_speed(camera, *SMALL), rel=0.03)


def test_padding_as_open_sora_does_by_hand(content):
    """12 frames: pairs 0-10, 10-11 and 11-11, whose flow is none."""
    times = np.arange(12) / 24
    images = {n: render(content, pan(0.2, 0.0), times[n], *SMALL) for n in range(12)}
    found = score_clips(dis_flow, [make_clip(images, times, FlowChoice(0, padded=True))])[0]
    small = {n: averaged_picture(images[n]) for n in (0, 10, 11)}
    long, short = dis_flow(np.array([[small[0], small[10]], [small[10], small[11]]]))
    assert found["flow"] == pytest.approx((flow_score(long) + flow_score(short)) / 3, rel=1e-6)
    honest = score_clips(dis_flow, [make_clip(images, times, FlowChoice(0))])[0]
    assert honest["flow"] == pytest.approx(flow_score(long), rel=1e-6)
