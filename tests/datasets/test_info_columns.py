"""What `--info` says a file is, beside what the ffmpeg program and ffprobe's own words say of it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import polars as pl
import pytest
from PIL import Image

from tests.hdr_videos import HLG, make_hdr_video, patches
from tests.support import make_video, remux, run_ffmpeg
from tools.columns import COLUMNS, INFO
from tools.datasets import datautil
from tools.media.reading.colour.tonemap import light_to_pq
from tools.media.reading.probe import probe
from tools.table import read_table, write_table


def of_ffmpeg(path: Path) -> tuple[str, str]:
    """Codec and pixel format of the first video stream, as the ffmpeg program prints them."""
    done = subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path)], capture_output=True, text=True, timeout=600
    )
    codec, form = re.search(r"Video: (\w+)[^,]*(?:\([^)]*\))?, (\w+)", done.stderr).groups()
    return codec, form


def packets_of_ffmpeg(path: Path) -> tuple[int, int, int]:
    """Frames, bytes and key frames of the video, by the muxer framecrc of the ffmpeg program."""
    said = run_ffmpeg(["-i", str(path), "-map", "0:v:0", "-c", "copy", "-f", "framecrc", "-"]).decode()
    lines = [line.split(",") for line in said.splitlines() if not line.startswith("#")]
    keys = [not any("F=" in field for field in line[6:]) for line in lines]
    return len(lines), sum(int(line[4]) for line in lines), sum(keys)


def test_h264_with_sound(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", 50, gop=20, audio="sine")
    info = probe(path)
    frames, size, keys = packets_of_ffmpeg(path)
    assert (frames, keys) == (50, 3)
    assert (info.codec, info.pix_fmt) == of_ffmpeg(path) == ("h264", "yuv420p")
    assert (info.bit_depth, info.hdr, info.rotation, info.vfr) == (8, "sdr", 0, False)
    assert info.gop == 20
    assert info.bitrate == pytest.approx(8 * size / 2.0)
    assert info.bpp == pytest.approx(8 * size / (50 * 192 * 128))
    assert (info.has_audio, info.audio_codec, info.audio_tracks) == (True, "aac", 1)


def test_the_longest_group_counts(tmp_path: Path) -> None:
    """Key frames at 0, 3, 13, 14 of 20, put there by force: groups of 3, 10, 1 and 6."""
    source = make_video(tmp_path / "a.mp4", 20)
    target = tmp_path / "b.mkv"
    forced = ["-x264-params", "scenecut=0", "-force_key_frames", "0,0.12,0.52,0.56"]
    run_ffmpeg(["-i", str(source), "-c:v", "libx264", "-g", "99", *forced, str(target)])
    assert probe(target).gop == 10


def test_ten_bits_and_a_turn_and_uneven_times(tmp_path: Path) -> None:
    turned = make_video(tmp_path / "a.mp4", 6, rotation=90)
    uneven = make_video(tmp_path / "b.mkv", 6, times=[0, 0.1, 0.15, 0.4, 0.5, 0.6])
    deep = make_video(tmp_path / "c.mp4", 6, codec="hevc", pix_fmt="yuv420p10le")
    assert probe(turned).rotation == 90
    assert (probe(uneven).vfr, probe(turned).vfr) == (True, False)
    assert (probe(deep).bit_depth, probe(deep).pix_fmt) == (10, of_ffmpeg(deep)[1])


def test_two_sound_tracks_and_none(tmp_path: Path) -> None:
    one = make_video(tmp_path / "a.mp4", 6, audio="sine")
    two = tmp_path / "b.mkv"
    remux(one, two, after=["-map", "0:v", "-map", "0:a", "-map", "0:a"])
    assert (probe(two).audio_tracks, probe(two).audio_codec) == (2, "aac")
    marked = tmp_path / "d.mkv"
    tracks = [
        "-map",
        "0:v",
        "-map",
        "0:a",
        "-map",
        "0:a",
        "-c:v",
        "copy",
        "-c:a:0",
        "flac",
        "-c:a:1",
        "libopus",
    ]
    marks = ["-disposition:a:0", "0", "-disposition:a:1", "default"]
    run_ffmpeg(["-i", str(one), *tracks, *marks, str(marked)])
    assert (probe(marked).audio_tracks, probe(marked).audio_codec) == (2, "opus")
    silent = probe(make_video(tmp_path / "c.mp4", 6))
    assert (silent.has_audio, silent.audio_tracks, silent.audio_codec) == (False, 0, None)


def test_colours_and_hdr(tmp_path: Path) -> None:
    tags = "transfer=bt709:colorprim=bt709:colormatrix=bt709:range=tv"
    tagged = make_video(tmp_path / "a.mp4", 6, options={"x264-params": tags})
    assert (probe(tagged).color, probe(tagged).hdr) == ("tv/bt709/bt709/bt709", "sdr")
    assert probe(make_video(tmp_path / "b.mp4", 6)).color == "unknown"
    pq = make_hdr_video(tmp_path / "pq.mp4", light_to_pq(patches([1, 100])))
    assert (probe(pq).hdr, probe(pq).color) == ("pq", "tv/bt2020nc/bt2020/smpte2084")
    hlg = make_hdr_video(tmp_path / "hlg.mp4", patches([0.2, 0.5]), HLG)
    assert (probe(hlg).hdr, probe(hlg).color) == ("hlg", "tv/bt2020nc/bt2020/arib-std-b67")


def test_an_image_has_what_images_have(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "a.png")
    info = probe(tmp_path / "a.png")
    assert (info.codec, info.hdr, info.vfr) == ("png", "sdr", False)
    assert (info.has_audio, info.audio_tracks) == (False, 0)
    assert (info.bitrate, info.bpp, info.gop, info.pix_fmt, info.color) == (None,) * 5


def test_the_command_adds_them_and_chooses_by_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [
        make_video(tmp_path / "a.mp4", 6, audio="sine"),
        make_hdr_video(tmp_path / "b.mp4", light_to_pq(patches([1, 100]))),
        tmp_path / "gone.mp4",
    ]
    meta = write_table(pl.DataFrame({"path": [str(f) for f in files]}), tmp_path / "meta.csv")
    given = ["--hdr", "sdr", "--bit-depthmax", "8", "--has-audio", "true", "--codec", "h264,hevc"]
    assert datautil.main([str(meta), "--info", *given, "--num-workers", "1"]) == 0
    written = Path(capsys.readouterr().out.split()[-1])
    assert written.name == "meta_info_bit_depthmax8_codec-h264,hevc_hdr-sdr_has-audio-true.csv"
    table = read_table(written)
    assert table.columns == ["path", *(name for name, column in COLUMNS.items() if column.made_by == INFO)]
    assert table["path"].to_list() == [str(files[0])]
    assert table.select("has_audio", "vfr", "audio_tracks").row(0) == ("true", "false", "1")
