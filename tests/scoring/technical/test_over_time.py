"""Repeated pictures, fades and overlays, in rendered videos where they are known, encoded and read back."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from tests.scoring.technical.scenes import canvas, filmed, noisy, pan, read, rendered
from tools.media.reading.requests import Frames
from tools.scoring.technical.cadence import find_cadence
from tools.scoring.technical.fades import find_fades
from tools.scoring.technical.overlay import overlay_confidence
from tools.scoring.technical.repeats import frame_changes, runs
from tools.scoring.technical.scorer import measure

PAN = pan(60)


def over_time(frames: Frames) -> dict[str, float]:
    return measure(frames, frames.times, frames.thumbnails, ["static_ratio", "true_fps", "fade", "logo"])


# Repeated pictures

CADENCES = {
    "every frame is new": ([PAN[i] for i in range(60)], 30, 0.0, 30),
    "15 in 30": ([PAN[i // 2] for i in range(90)], 30, 0.5, 15),
    "24 in 30": ([PAN[i * 4 // 5] for i in range(75)], 30, 0.2, 24),
    "25 in 30": ([PAN[i * 5 // 6] for i in range(72)], 30, 1 / 6, 25),
    "24 in 60": ([PAN[i * 2 // 5] for i in range(120)], 60, 0.6, 24),
    "10 in 60": ([PAN[i // 6] for i in range(120)], 60, 5 / 6, 10),
}


@pytest.mark.parametrize("cadence", CADENCES)
def test_duplicated_frames_are_counted_after_encoding(tmp_path, cadence):
    pictures, fps, ratio, rate = CADENCES[cadence]
    found = over_time(filmed(tmp_path / "a.mp4", pictures, fps=fps))
    assert found["static_ratio"] == pytest.approx(ratio, abs=0.02)
    assert found["true_fps"] == pytest.approx(rate, rel=0.05)


def test_a_frozen_half_counts_for_the_ratio_and_not_for_the_rate(tmp_path):
    found = over_time(filmed(tmp_path / "a.mp4", [PAN[min(i, 45)] for i in range(90)]))
    assert found["static_ratio"] == pytest.approx(44 / 89, abs=0.02)
    assert found["true_fps"] == pytest.approx(30, rel=0.03)


def test_a_still_picture_is_static_and_has_no_rate(tmp_path):
    found = over_time(filmed(tmp_path / "a.mp4", [PAN[0]] * 40))
    assert found["static_ratio"] == 1
    assert found["true_fps"] == 0


def test_slides_have_the_rate_at_which_they_change(tmp_path):
    slides = [canvas(180, 320, seed) for seed in range(3)]
    found = over_time(filmed(tmp_path / "a.mp4", [slides[i // 40] for i in range(120)], gop=40))
    assert found["static_ratio"] == pytest.approx(117 / 119, abs=0.01)
    assert found["true_fps"] == pytest.approx(2 / (119 / 30), rel=0.05)


def test_a_picture_that_stands_counts_by_its_time(tmp_path):
    # 60 frames, of which two stand: 10 s, as `ffmpeg -fps_mode cfr -r 30` would write them in 300 frames.
    lasts = [4 if i in (1, 30) else 1 / 30 for i in range(60)]
    times = np.concatenate([[0], np.cumsum(lasts)[:-1]])
    found = over_time(filmed(tmp_path / "a.mp4", PAN, times=times))
    assert found["static_ratio"] == pytest.approx(2 * 119 / (57 + 2 * 120), abs=0.001)
    assert found["true_fps"] == pytest.approx(30, rel=0.01)


def test_slides_of_a_few_frames_stand_still(tmp_path):
    found = over_time(filmed(tmp_path / "a.mp4", [PAN[0], PAN[30], PAN[50]], times=[0, 5, 9]))
    assert found["static_ratio"] > 0.95
    assert found["true_fps"] == pytest.approx(2 / 9, rel=0.01)


def test_the_noise_of_a_live_static_camera_is_no_repetition(tmp_path):
    found = over_time(filmed(tmp_path / "a.mp4", noisy(PAN[0], 40, sigma=5), crf=18))
    assert found["static_ratio"] == 0
    assert found["true_fps"] == pytest.approx(30)


def test_a_small_thing_that_moves_in_a_still_picture_is_motion(tmp_path):
    pictures = []
    for i in range(45):
        picture = PAN[0].copy()
        picture[100:108, 40 + 4 * i : 48 + 4 * i] = 255
        pictures.append(picture)
    assert over_time(filmed(tmp_path / "a.mp4", pictures))["static_ratio"] == 0


def test_the_rate_of_a_variable_frame_rate_is_that_of_its_times(tmp_path):
    times = np.cumsum([0.0] + [0.04, 0.08] * 20)[:40]
    found = over_time(filmed(tmp_path / "a.mp4", PAN[:40], times=times))
    assert found["static_ratio"] == 0
    assert found["true_fps"] == pytest.approx(39 / times[-1], rel=0.02)


FILM = {
    "bunny": ("skv_bigbuckbunny.mp4", "decimate=cycle=25"),
    "bedroom": ("sam2_bedroom.mp4", "null"),
    "bikes": ("skv_bikes.mp4", "null"),
}
RATES = [(24, 30, 30), (25, 30, 26), (24, 60, 30), (30, 60, 26), (15, 30, 23)]


@pytest.mark.parametrize("film", FILM)
@pytest.mark.parametrize(("rate", "fps", "crf"), RATES)
def test_real_film_keeps_its_rate_in_files_of_another(videos_dir, tmp_path, film, rate, fps, crf):
    name, prepare = FILM[film]
    counted = f"{prepare},settb=1/600,setpts=N*{600 // rate},trim=end_frame=60,scale=320:-2,fps={fps}"
    found = over_time(rendered(videos_dir / name, tmp_path / "a.mp4", counted, crf=crf))
    assert found["true_fps"] == pytest.approx(rate, rel=0.05)
    assert found["static_ratio"] == pytest.approx(1 - rate / fps, abs=0.05)


@pytest.mark.parametrize(
    ("name", "rate"), [("sam2_05_default_juggle.mp4", 24), ("sam2_04_coffee.mp4", 29.97)]
)
def test_real_film_of_one_rate_has_that_rate(videos_dir, tmp_path, name, rate):
    """Every fourth frame of the juggler is a quality pop, which are no rhythm of repeats."""
    found = over_time(
        rendered(videos_dir / name, tmp_path / "a.mp4", "scale=320:-2", "-frames:v", "80", crf=30)
    )
    assert found["true_fps"] == pytest.approx(rate, rel=0.02)


def test_changes_are_those_of_the_pixels_that_change_most():
    """1 % of 400 pixels are 4; many pixels change as much as the last of them."""
    pictures = np.random.default_rng(2).integers(0, 9, (5, 20, 20)).astype(np.uint8) * 31
    differences = np.abs(np.diff(pictures.astype(int), axis=0)).reshape(4, -1)
    most = np.sort(differences, axis=1)[:, -4:].mean(axis=1)
    assert np.array_equal(frame_changes(pictures), np.stack([most, differences.mean(axis=1)], axis=1))


def test_repeats_without_a_rhythm_are_left_to_their_size():
    rng = np.random.default_rng(0)
    thumbnails = rng.integers(0, 255, (90, 90, 160)).astype(np.uint8)
    for i in rng.choice(np.arange(1, 90), 20, replace=False):
        thumbnails[i] = thumbnails[i - 1]
    assert not find_cadence(thumbnails, frame_changes(thumbnails)).any()


@pytest.mark.parametrize(("new", "places"), [(1, 2), (2, 3), (4, 5), (2, 5), (5, 6)])
def test_a_rhythm_is_found_where_it_is(new, places):
    """Scenes drawn at random, of which a third goes on in the repeats."""
    rng = np.random.default_rng(1)
    scenes = rng.normal(128, 30, (90, 90, 160))
    at = np.arange(90) * new // places
    thumbnails = scenes[at] + rng.normal(0, 4, scenes.shape)
    repeated = find_cadence(
        thumbnails.clip(0, 255).astype(np.uint8), frame_changes(thumbnails.clip(0, 255).astype(np.uint8))
    )
    assert (repeated == (np.diff(at) == 0)).all()


# Fades


def faded(pictures: list[np.ndarray], gains: np.ndarray, colour: int = 0) -> list[np.ndarray]:
    return [
        (colour + (picture - float(colour)) * gain).round().astype(np.uint8)
        for picture, gain in zip(pictures, gains, strict=True)
    ]


def ramp(number: int, start: int, length: int, *, out: bool = False) -> np.ndarray:
    gains = np.clip((np.arange(number) - start) / length, 0, 1)
    return 1 - gains if out else gains


def fade_flags(path: Path, pictures: list[np.ndarray]) -> np.ndarray:
    frames = filmed(path, pictures)
    return find_fades(frames.thumbnails, frames.times)


@pytest.mark.parametrize("length", [12, 25, 45])
@pytest.mark.parametrize("colour", [0, 255])
@pytest.mark.parametrize("out", [False, True])
def test_fades_are_found_where_they_are(tmp_path, length, colour, out):
    flags = fade_flags(tmp_path / "a.mp4", faded(PAN, ramp(60, 8, length, out=out), colour))
    inside = np.zeros(60, bool)
    inside[8 : 8 + length + 1] = True
    if colour == 0:
        inside[slice(8 + length, None) if out else slice(0, 8)] = True  # black
    plain = ~inside if colour == 255 else np.zeros(60, bool)
    assert (flags != inside)[~plain].sum() <= 6
    assert flags[inside].mean() > 0.9


def test_a_clip_that_begins_within_a_fade(tmp_path):
    flags = fade_flags(tmp_path / "a.mp4", faded(PAN, np.clip(0.2 + np.arange(60) / 25, 0, 1)))
    assert runs(flags)[0][0] == 0
    assert runs(flags)[0][1] == pytest.approx(20, abs=3)
    assert not flags[25:].any()


@pytest.mark.parametrize(("length", "speed"), [(12, 0), (24, 0), (40, 0), (12, 1)])
def test_dissolves_are_found_where_they_are(tmp_path, length, speed):
    share = ramp(60, 10, length)[:, None, None, None]
    first, second = pan(60, speed=speed), pan(60, speed=speed, seed=9)
    mixed = np.stack(first) * (1 - share) + np.stack(second) * share
    flags = fade_flags(tmp_path / "a.mp4", list(mixed.round().astype(np.uint8)))
    assert flags[10 : 10 + length].mean() > 0.75
    assert not flags[:8].any()
    assert not flags[13 + length :].any()


def test_cuts_pans_and_flashes_are_no_fades(tmp_path):
    cut = PAN[:20] + pan(20, seed=9) + pan(20, seed=10, speed=8)
    cut[30] = np.full_like(cut[30], 255)
    assert not fade_flags(tmp_path / "a.mp4", cut).any()


def test_a_slow_change_of_light_is_no_fade(tmp_path):
    assert not fade_flags(tmp_path / "a.mp4", faded(PAN, np.linspace(0.7, 1, 60))).any()


def test_real_dissolves_and_what_is_none(videos_dir):
    frames = read(videos_dir / "tc_nasa_13013.mp4")
    labelled = range(127, 148)  # manifest.json: a dissolve, by eye
    found = runs(find_fades(frames.thumbnails, frames.times))
    assert len(found) == 1
    assert abs(found[0][0] - labelled[0]) <= 6
    assert abs(found[0][1] - labelled[-1]) <= 8
    for name in ("skv_bikes.mp4", "skv_carphone_pristine.mp4", "moviepy_chaplin.mp4", "gradio_b.avi"):
        frames = read(videos_dir / name)
        assert not find_fades(frames.thumbnails, frames.times).any(), name


def test_black_frames_are_those_of_blackdetect(tmp_path):
    path = tmp_path / "a.mp4"
    flags = fade_flags(path, PAN[:10] + [np.full_like(PAN[0], 4)] * 20 + PAN[10:20])
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-i", str(path)]
    command += ["-vf", "blackdetect=d=0.1", "-an", "-f", "null", "-"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    start, end = map(float, re.search(r"black_start:([\d.]+) black_end:([\d.]+)", done.stderr).groups())
    assert runs(flags) == [(round(start * 30), round(end * 30))]


# Overlays


def with_logo(pictures: list[np.ndarray], opacity: float) -> list[np.ndarray]:
    """White and red shapes, 12 % of the width, in the upper right corner."""
    logo, mask = np.zeros((24, 40, 3)), np.zeros((24, 40, 1))
    logo[2:22, 2:12] = (255, 255, 255)
    logo[8:16, 5:9] = (200, 20, 20)
    for left in (16, 24, 32):
        logo[4:20, left : left + 4] = (255, 255, 255)
    mask[logo.max(axis=2) > 0] = opacity
    made = []
    for picture in pictures:
        drawn = picture.astype(float)
        drawn[8:32, 268:308] = drawn[8:32, 268:308] * (1 - mask) + logo * mask
        made.append(drawn.astype(np.uint8))
    return made


def confidence(path: Path, pictures: list[np.ndarray]) -> float:
    return overlay_confidence(filmed(path, pictures).thumbnails)


@pytest.mark.parametrize("opacity", [1.0, 0.5])
def test_a_logo_over_a_moving_picture_is_found(tmp_path, opacity):
    assert confidence(tmp_path / "a.mp4", with_logo(PAN, opacity)) > 0.7


def test_a_logo_over_shots_that_change_is_found(tmp_path):
    shots = [shot for seed in range(4) for shot in [canvas(180, 320, seed)] * 12]
    assert confidence(tmp_path / "a.mp4", with_logo(shots, 1.0)) > 0.7


def test_a_moving_picture_without_a_logo(tmp_path):
    assert confidence(tmp_path / "a.mp4", PAN) < 0.1
    assert confidence(tmp_path / "b.mp4", [canvas(180, 320, seed) for seed in range(8)]) < 0.1


def test_nothing_is_claimed_of_a_static_scene(tmp_path):
    assert confidence(tmp_path / "a.mp4", noisy(PAN[0], 30, sigma=4)) == 0


def test_real_overlays_and_what_is_none(videos_dir):
    # psd_testvideo has a copyright notice over it
    assert overlay_confidence(read(videos_dir / "psd_testvideo.mp4").thumbnails) > 0.8
    for name in ("skv_bikes.mp4", "tc_nasa_13013.mp4", "skv_carphone_pristine.mp4", "moviepy_chaplin.mp4"):
        assert overlay_confidence(read(videos_dir / name).thumbnails) < 0.3, name


PANS = {
    "right": ("n*8", "ih*0.2"),
    "left": ("iw-ow-n*3", "ih*0.3"),
    "down": ("iw*0.25", "n*6"),
    "up": ("iw*0.3", "ih-oh-n*2"),
    "aslant": ("n*4", "n*2"),
}


def over_a_still(videos_dir: Path, tmp_path: Path, name: str, frame: int, way: str, logo: bool) -> float:
    """Confidence for a camera that moves over a real picture, in steps of a quarter of a pixel."""
    x, y = PANS[way]
    camera = (
        f"select=eq(n\\,{frame}),scale=2048:1152:force_original_aspect_ratio=increase,loop=-1:1,"
        f"crop=1280:720:'{x}':'{y}':exact=1,scale=320:180:flags=area"
    )
    if logo:  # a frame around two blocks
        for box in ("264:140:44:28:white:t=2", "272:147:8:14:white:t=fill", "286:147:8:14:yellow:t=fill"):
            left, top, width, height, colour, thick = box.split(":")
            camera += f",drawbox=x={left}:y={top}:w={width}:h={height}:color={colour}@0.7:{thick}"
    return overlay_confidence(
        rendered(videos_dir / name, tmp_path / "a.mp4", camera, "-frames:v", "60", crf=26).thumbnails
    )


@pytest.mark.parametrize(
    ("name", "frame", "way"),
    [*(("sam2_02_cups.mp4", 60, way) for way in PANS), ("skv_bigbuckbunny.mp4", 70, "up")],
)
def test_lines_along_a_pan_are_no_logo(videos_dir, tmp_path, name, frame, way):
    """The edge of the table stands still while the camera moves along it."""
    assert over_a_still(videos_dir, tmp_path, name, frame, way, logo=False) < 0.5


@pytest.mark.parametrize("way", ["right", "down", "aslant"])
def test_a_logo_over_a_pan_is_found(videos_dir, tmp_path, way):
    assert over_a_still(videos_dir, tmp_path, "sam2_05_default_juggle.mp4", 60, way, logo=True) > 0.7


def test_the_logo_of_a_real_film_is_found_within_a_shot(videos_dir, tmp_path):
    """A mark in the lower right corner, over a camera that hardly moves; by eye."""
    frames = rendered(
        videos_dir / "iscc_demo.mp4",
        tmp_path / "a.mp4",
        "select='between(n,396,483)',crop=176:100,scale=480:-2",
        crf=20,
    )
    assert overlay_confidence(frames.thumbnails) > 0.5


def test_what_shakes_least_under_a_camera_held_by_hand_is_no_logo(videos_dir, tmp_path):
    """A cushion keeps its edges in two seconds of this; a logo keeps them better."""
    shot = "scale=480:-2,scale=320:-2,settb=1/24,setpts=N"
    frames = rendered(
        videos_dir / "sam2_bedroom.mp4", tmp_path / "a.mp4", shot, "-r", "24", "-frames:v", "50", crf=32
    )
    assert overlay_confidence(frames.thumbnails) < 0.3
