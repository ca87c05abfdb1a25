"""Detector fast: made cuts, also where packets, key frames or the codec tell nothing of them."""

from itertools import pairwise

import av
import numpy as np
import pytest

from tests.scene_cut.joined_shots import join_shots
from tests.scene_cut.shots.test_detect_golden import CUTS, FRAMES, shots
from tests.support import make_video
from tools.errors import MediaError, UserError
from tools.media.reading.decoders.pyav import Decoder
from tools.media.reading.probe import index_packets
from tools.scene_cut import scene_detect
from tools.scene_cut.shots.fast import _Search, find_cuts_fast
from tools.scene_cut.shots.packet_sizes import PacketSizes
from tools.scene_cut.shots.scenes import detect_scenes
from tools.scene_cut.shots.stage import SceneDetectStage

NO_SCENE_CUTS = {"sc_threshold": "0"}
VIDEOS = {
    "h264, key frames elsewhere": {"gop": 64, "options": NO_SCENE_CUTS},
    "h264, one key frame": {"gop": 250, "options": NO_SCENE_CUTS},
    "h264, no frame that is left out": {"gop": 250, "b_frames": 0, "options": NO_SCENE_CUTS},
    "h264, cuts at regular key frames": {"gop": 10},
    "h264, open groups": {"gop": 30, "open_gop": True},
    "h264 in avi, frames are counted": {"gop": 60, "container": "avi"},
    "hevc": {"codec": "hevc", "gop": 90, "b_frames": 3},
    "mpeg2video": {"codec": "mpeg2video", "container": "mpegts"},
    "mpeg4": {"codec": "mpeg4", "gop": 100},
    "mjpeg, all are key frames": {"codec": "mjpeg", "pix_fmt": "yuvj420p", "container": "mov"},
    "vp9": {"codec": "vp9", "gop": 100},
    "av1": {"codec": "av1", "gop": 100},
}


def moving(lengths):
    """Shots whose fields move by a pixel a frame, under noise that no frame can be predicted from."""
    chance = np.random.default_rng(3)
    made = []
    for number, picture in enumerate(shots(lengths)):
        noise = chance.integers(-12, 12, picture.shape)
        made.append((np.roll(picture, number, axis=1) + noise).clip(0, 255).astype(np.uint8))
    return made


@pytest.mark.parametrize("name", VIDEOS)
def test_cuts_are_where_they_were_made(tmp_path, name):
    lengths = [b - a for a, b in pairwise([0, *CUTS, FRAMES])]  # one of 8 frames among them
    path = make_video(tmp_path / "video.mp4", pictures=moving(lengths), **VIDEOS[name])
    scenes = detect_scenes(path, "fast")
    assert [scene.start_frame for scene in scenes] == [0, *CUTS]
    assert {scene.begins for scene in scenes[1:]} == {"cut"}


def test_flashes_light_and_black_bars_are_no_cuts(tmp_path):
    pictures = moving([90])
    for number in (20, 21, 50):
        pictures[number] = np.full_like(pictures[number], 250)
    pictures[70:] = [(picture * 0.8).astype(np.uint8) for picture in pictures[70:]]
    for picture in pictures:
        picture[:24] = picture[-24:] = 0
    path = make_video(tmp_path / "video.mp4", pictures=pictures, gop=12)
    assert [scene.start_frame for scene in detect_scenes(path, "fast")] == [0]


def test_shots_with_black_bars(tmp_path):
    pictures = moving([40, 40])
    for picture in pictures:
        picture[:40] = picture[-40:] = 0
    path = make_video(tmp_path / "video.mp4", pictures=pictures, gop=250)
    assert [scene.start_frame for scene in detect_scenes(path, "fast")] == [0, 40]


def test_frames_of_dissolves_and_fades_are_left_out(tmp_path):
    joins = [("dissolve", 12), ("cut", 0), ("black", 18), ("dissolve", 36)]
    chance = np.random.default_rng(5)
    made = join_shots([np.stack(shots([60], seed=int(chance.integers(99)))) for _ in range(5)], joins)
    path = make_video(tmp_path / "video.mp4", pictures=made.pictures, gop=250)
    scenes = detect_scenes(path, "fast")
    left = made.left_in([(scene.start_frame, scene.end_frame) for scene in scenes])
    assert left.sum() <= 0.1 * made.mixed.sum()
    assert [scene.begins for scene in scenes] == ["edge", "gradual", "cut", "gradual", "gradual"]
    assert scenes[2].start_frame == made.cuts[0]


def test_what_is_quiet_is_not_decoded(tmp_path):
    """What may be left out is known by construction: two shots without motion, and a key frame at the cut."""
    path = make_video(tmp_path / "video.mp4", pictures=shots([101, 99]), gop=101)
    index = index_packets(path)
    assert index.key_frames.tolist() == [0, 101]
    with Decoder(path, index, loop_filter=False) as decoder:
        search = _Search(decoder, index, range(200))
        search.look()
    assert search.found() == ([101], [])
    assert len(search.seen) < 12


def test_only_the_searched_frames_are_examined(tmp_path):
    path = make_video(tmp_path / "video.mp4", pictures=moving([40, 40, 40, 40]), gop=60)
    scenes = detect_scenes(path, "fast", start_time="50f", end_time="130f")
    assert [(scene.start_frame, scene.end_frame) for scene in scenes] == [(50, 80), (80, 120), (120, 130)]


def test_anchors_are_stored_before_what_is_shown_later(tmp_path):
    """Types of the pictures are libav's: with three B-frames, of which one is referred to, P-frames are."""
    path = make_video(
        tmp_path / "video.mp4", pictures=moving([60]), gop=60, b_frames=3, options=NO_SCENE_CUTS
    )
    index = index_packets(path)
    with Decoder(path, index) as decoder:
        types = [
            av.video.frame.PictureType(picture.pict_type).name for _, picture in decoder.pictures(range(60))
        ]
    assert {"I", "P", "B"} == set(types)
    assert PacketSizes(index)._anchors.tolist() == [n for n, kind in enumerate(types) if kind != "B"]


def test_the_flag_is_the_detector(tmp_path, capsys):
    path = make_video(tmp_path / "video.mp4", pictures=shots([30, 30]), gop=250)
    meta = tmp_path / "meta.csv"
    meta.write_text(f"path\n{path}\n")
    assert scene_detect.main([str(meta), "--fast", "--num-workers", "0"]) == 0
    assert "detector fast\n" in capsys.readouterr().err
    assert '""00:00:01.200""' in (tmp_path / "meta_timestamp.csv").read_text()
    assert SceneDetectStage(fast=True).config() == SceneDetectStage("fast", fast=True).config()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"detector": "hash"}, "--fast is a detector of its own: not with --detector hash"),
        ({"min_scene_len": 30}, "--min-scene-len: not for detector fast"),
        ({"options": {"threshold": 3}}, "--threshold: not an option of detector fast"),
    ],
)
def test_what_does_not_go_with_it(options, problem):
    with pytest.raises(UserError, match=problem):
        SceneDetectStage(**options, fast=True)


def test_a_video_of_which_nothing_decodes(tmp_path):
    path = make_video(tmp_path / "video.mp4", pictures=shots([30]), gop=250)
    index = index_packets(path)
    data = bytearray(path.read_bytes())
    data[48:-2000] = bytes(len(data) - 2048)
    path.write_bytes(data)
    with pytest.raises(MediaError, match="can be decoded"):
        find_cuts_fast(path, index, range(30))
