"""The facts of files. Truth: the manifest of the real videos, the ffmpeg program, and the videos' making."""

import json
import os
import socket
import time
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from tests.support import ffmpeg_frames, make_video, remux, run_ffmpeg
from tools.errors import MediaError
from tools.media.reading.probe import index_packets, probe


def kind_of(path):
    with pytest.raises(MediaError) as caught:
        probe(path)
    return caught.value.kind


def true_frames(path):
    """Frames that the ffmpeg program shows."""
    listing = run_ffmpeg(
        ["-i", str(path), "-map", "0:v:0", "-fps_mode", "passthrough", "-f", "framemd5", "-"]
    )
    return sum(not line.startswith(b"#") for line in listing.splitlines())


def test_real_videos_agree_with_their_manifest(videos_dir):
    for facts in json.loads((videos_dir / "manifest.json").read_text()):
        path = videos_dir / facts["file"]
        if facts["frames"] is None:
            assert kind_of(path) == "unreadable"
            continue
        info = probe(path)
        assert info.num_frames == facts["frames"], facts["file"]
        assert f"{info.coded_width}x{info.coded_height}" == facts["size"], facts["file"]
        assert info.fps == pytest.approx(float(Fraction(facts["average_rate"])), rel=1e-9), facts["file"]
        assert info.vfr == facts["vfr"], facts["file"]
        assert info.pix_fmt == facts["pixel_format"], facts["file"]
        assert info.rotation == -facts["rotation"] % 360, facts[
            "file"
        ]  # the manifest counts counter-clockwise
        assert info.damaged == (facts["file"] == "bikes_bitflip.mp4"), facts["file"]


def test_displayed_size_of_real_videos(videos_dir):
    # 176x144 with pixels 128:117, that is 192.5 wide; turned ones have width and height exchanged
    for name, size in {
        "skv_carphone_pristine.mp4": (193, 144),
        "bikes_rot90.mp4": (272, 640),
        "decord_video_90.mov": (320, 568),
        "decord_video_180.mov": (568, 320),
        "decord_video_270.mov": (320, 568),
    }.items():
        info = probe(videos_dir / name)
        assert (info.width, info.height) == size, name
        assert info.aspect_ratio == pytest.approx(size[1] / size[0])
        assert info.resolution == size[0] * size[1]


def test_costs_a_small_part_of_a_decode(videos_dir):
    path = videos_dir / "sam2_04_coffee.mp4"
    start = time.process_time()
    probe(path)
    probing = time.process_time() - start
    start = time.process_time()
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        assert sum(1 for _ in container.decode(video=0)) == 287
    assert probing < 0.2 * (time.process_time() - start)  # measured: 0.03


@pytest.mark.parametrize(
    ("name", "options", "codec"),
    [
        ("a.mp4", {"codec": "h264"}, "h264"),
        ("a.mov", {"codec": "h264", "open_gop": True}, "h264"),
        ("a.mkv", {"codec": "hevc", "open_gop": True}, "hevc"),
        ("a.webm", {"codec": "vp9"}, "vp9"),
        ("a8.webm", {"codec": "vp8"}, "vp8"),
        ("a1.mkv", {"codec": "av1"}, "av1"),
        ("a.ts", {"codec": "h264"}, "h264"),
        ("a.m2ts", {"codec": "hevc", "open_gop": True}, "hevc"),
        ("a.avi", {"codec": "mpeg4"}, "mpeg4"),
        ("b.avi", {"codec": "h264"}, "h264"),  # no presentation times in the file
        ("a.mpg", {"codec": "mpeg2video"}, "mpeg2video"),
        ("b.mpg", {"codec": "mpeg1video"}, "mpeg1video"),
        ("a.flv", {"codec": "h264"}, "h264"),
        ("a.wmv", {"codec": "wmv2", "container": "asf", "b_frames": 0}, "wmv2"),
        ("a.3gp", {"codec": "h264"}, "h264"),
        ("a.gif", {"codec": "gif", "pix_fmt": "rgb8"}, "gif"),
    ],
)
def test_every_container_and_codec(tmp_path, name, options, codec):
    path = make_video(tmp_path / name, 50, fps=25, **options)
    info = probe(path)
    assert (info.num_frames, info.width, info.height, info.codec) == (50, 192, 128, codec)
    assert info.fps == 25.0 and not info.vfr
    assert info.duration == pytest.approx(2.0, abs=0.011)
    assert not info.has_audio


def test_film_rates_are_exact(tmp_path):
    for name in ("a.mp4", "a.mkv"):
        for rate in (Fraction(24000, 1001), Fraction(30000, 1001)):
            info = probe(make_video(tmp_path / name, 48, fps=rate))
            assert info.fps == pytest.approx(float(rate), rel=1e-4 if name == "a.mkv" else 1e-12)
            assert not info.vfr


def test_variable_rate(tmp_path):
    times = [0, 0.04, 0.08, 0.5, 0.54, 2.0, 2.04, 2.08]
    for name in ("a.mp4", "a.mkv"):
        path = make_video(tmp_path / name, 8, times=times)
        info, index = probe(path), index_packets(path)
        assert info.vfr and info.num_frames == 8
        assert index.times == pytest.approx(times, abs=0.001)
        assert info.fps == pytest.approx(8 / info.duration)


def test_audio_is_noticed(tmp_path):
    assert probe(make_video(tmp_path / "a.mp4", 25, audio="sine")).has_audio


def test_rotation_and_pixel_aspect(tmp_path):
    info = probe(make_video(tmp_path / "r.mp4", 5, rotation=90))
    assert (info.rotation, info.width, info.height, info.coded_width) == (90, 192, 128, 128)
    info = probe(make_video(tmp_path / "s.mp4", 5, sample_aspect_ratio=Fraction(4, 3)))
    assert (info.width, info.height, info.coded_width) == (256, 128, 192)
    assert info.sample_aspect_ratio == Fraction(4, 3)


def test_frames_hidden_by_an_edit_list_are_not_counted(tmp_path):
    for codec in ("h264", "hevc"):
        whole = make_video(tmp_path / f"{codec}.mp4", 120, codec=codec, gop=50, open_gop=codec == "hevc")
        cut = remux(whole, tmp_path / f"{codec}_cut.mp4", before=["-ss", "3.3"])
        with av.open(str(cut)) as container:
            stored = sum(bool(packet.size) for packet in container.demux(video=0))
        shown = true_frames(cut)
        assert shown < stored  # the file does hold frames that are not shown
        assert probe(cut).num_frames == shown


def test_starts_and_ends_that_cannot_be_decoded(tmp_path):
    whole = make_video(tmp_path / "a.mp4", 120, gop=30, codec="hevc", open_gop=True)
    stream = remux(whole, tmp_path / "a.ts").read_bytes()
    middle = tmp_path / "middle.ts"
    middle.write_bytes(stream[188 * (len(stream) // 188 // 3) :])
    assert 0 < probe(middle).num_frames == true_frames(middle) < 100
    # A group of pictures whose predecessor is gone: the pictures before its key frame are stored, not shown.
    matroska = remux(whole, tmp_path / "a.mkv", before=["-ss", "1.5"])
    assert probe(matroska).num_frames == true_frames(matroska)


def test_a_transport_stream_cut_within_its_last_picture(tmp_path):
    stream = remux(make_video(tmp_path / "a.mp4", 60), tmp_path / "a.ts").read_bytes()
    (tmp_path / "cut.ts").write_bytes(stream[: 188 * (len(stream) // 188 * 2 // 3)])
    index = index_packets(tmp_path / "cut.ts")
    assert 0 <= len(index.pts) - index.num_frames <= 3
    pictures = ffmpeg_frames(tmp_path / "cut.ts", 192, 128)
    assert len(index.pts) == len(pictures)


def test_a_transport_stream_that_ends_within_a_gradual_refresh(tmp_path):
    refresh = {"x264-params": "keyint=25:intra-refresh=1:bframes=0:scenecut=0"}
    stream = remux(make_video(tmp_path / "a.mp4", 60, options=refresh), tmp_path / "a.ts")
    assert index_packets(stream).num_frames == true_frames(stream) == 60


def test_truncated_files_count_what_is_there(tmp_path):
    whole = make_video(tmp_path / "a.mp4", 100)
    for name in ("a.mkv", "fast.mp4"):
        copy = remux(whole, tmp_path / name, after=["-movflags", "+faststart"] if name == "fast.mp4" else [])
        data = copy.read_bytes()
        copy.write_bytes(data[: len(data) * 2 // 3])
        # ffmpeg also patches up the last, incomplete picture and what was stored before it but shown after
        assert 0 <= true_frames(copy) - probe(copy).num_frames <= 3
        assert probe(copy).num_frames > 50


def test_zeroed_packets_end_the_count(tmp_path):
    path = make_video(tmp_path / "a.mp4", 100, b_frames=0)
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    for at, size in places[70:]:
        data[at : at + size] = bytes(size)
    path.write_bytes(data)
    info = probe(path)
    assert (info.num_frames, info.damaged) == (70, 30)
    assert info.duration == pytest.approx(70 / 25)


def test_the_first_stream_counts_and_a_cover_does_not(tmp_path):
    small = make_video(tmp_path / "small.mp4", 10, size=(64, 48))
    large = make_video(tmp_path / "large.mp4", 20, size=(320, 240))
    both = tmp_path / "both.mp4"
    run_ffmpeg(["-i", str(small), "-i", str(large), "-map", "0", "-map", "1", "-c", "copy", str(both)])
    assert (probe(both).num_frames, probe(both).width) == (10, 64)

    Image.new("RGB", (100, 100)).save(tmp_path / "cover.png")
    sound = make_video(tmp_path / "sound.mp4", 10, audio="sine")
    covered = tmp_path / "covered.mp4"
    cover = ["-i", str(tmp_path / "cover.png"), "-map", "1", "-map", "0"]
    run_ffmpeg(["-i", str(sound), *cover, "-c", "copy", "-disposition:v:0", "attached_pic", str(covered)])
    assert probe(covered).num_frames == 10
    song = tmp_path / "song.m4a"
    only = ["-map", "0:a", "-map", "1:v", "-c", "copy", "-disposition:v", "attached_pic"]
    run_ffmpeg(["-i", str(sound), "-i", str(tmp_path / "cover.png"), *only, str(song)])
    assert kind_of(song) == "no_video"


def test_what_is_no_video_is_named(tmp_path):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("This is a text, not a video.\n" * 50)
    (tmp_path / "page.mp4").write_text("<html><body>404 not found</body></html>")
    (tmp_path / "list.mp4").write_text("#EXTM3U\n#EXTINF:1,\nhttp://example.invalid/a.ts\n#EXT-X-ENDLIST\n")
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    os.mkfifo(tmp_path / "pipe.mp4")
    whole = make_video(tmp_path / "whole.mp4", 30, audio="sine")
    run_ffmpeg(["-i", str(whole), "-vn", "-c", "copy", str(tmp_path / "sound.mp4")])
    (tmp_path / "headless.mp4").write_bytes(whole.read_bytes()[:5000])
    kinds = {
        "gone.mp4": "missing",
        "whole.mp4/inside.mp4": "missing",
        "": "not_a_file",
        "pipe.mp4": "not_a_file",
        "empty.mp4": "empty",
        "text.mp4": "unreadable",
        "page.mp4": "unreadable",
        "list.mp4": "playlist",
        "noise.mp4": "unreadable",
        "headless.mp4": "unreadable",
        "sound.mp4": "no_video",
    }
    assert {name: kind_of(tmp_path / name) for name in kinds} == kinds


def test_a_socket_is_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # socket names are short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s.mp4")
        assert kind_of("s.mp4") == "not_a_file"


def test_names_that_look_like_protocols_are_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_video(tmp_path / "plain.mp4", 5)
    for name in ("concat:a|b.mp4", "file:x.mp4", "100% sure?.mp4", "-i.mp4", "näh 日本.mp4"):
        os.link("plain.mp4", name)
        assert probe(name).num_frames == 5


def test_images(tmp_path):
    picture = Image.fromarray(np.zeros((40, 60, 3), np.uint8))
    picture.save(tmp_path / "a.PNG")
    info = probe(tmp_path / "a.PNG")
    assert (info.num_frames, info.width, info.height, info.fps, info.duration) == (1, 60, 40, None, 0.0)
    assert info.codec == "png"
    turned = Image.Exif()
    turned[0x0112] = (
        6  # EXIF 2.3: row 0 is the right-hand side, so the picture is turned 90 degrees clockwise
    )
    picture.save(tmp_path / "b.jpg", exif=turned)
    info = probe(tmp_path / "b.jpg")
    assert (info.width, info.height, info.rotation, info.coded_width) == (40, 60, 90, 60)
    (tmp_path / "c.jpg").write_text("no image")
    assert kind_of(tmp_path / "c.jpg") == "unreadable"
    assert kind_of(tmp_path / "d.jpg") == "missing"
