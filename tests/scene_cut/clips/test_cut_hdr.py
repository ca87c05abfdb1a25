"""Clips of HDR sources: SDR beside zscale of the ffmpeg program, or HDR with all that makes it so."""

from __future__ import annotations

import re
import subprocess
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import polars as pl
import pytest

from tests.hdr_videos import HLG, PATCH, make_hdr_video, middles, patches, zscale
from tests.support import ffmpeg_frames, make_video
from tools.datasets import transform
from tools.errors import MediaError, UserError
from tools.media.reading.colour.tonemap import light_to_pq
from tools.media.reading.frames import read_frames
from tools.media.reading.probe import index_packets
from tools.scene_cut import cut
from tools.scene_cut.clips.cutting import CutOptions, cut_clips
from tools.scoring.technical.stage import TechnicalStage
from tools.stage.run_options import RunOptions
from tools.stage.session import map_rows

NITS = [0, 1, 10, 50, 203, 400, 700, 1000]
SCENE = [(Fraction(6, 25), Fraction(12, 25))]


@pytest.fixture(scope="module")
def pq(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Patches of 0 to 1000 cd/m² in PQ."""
    path = tmp_path_factory.mktemp("hdr") / "pq.mp4"
    return make_hdr_video(path, light_to_pq(patches(NITS)))


def cut_one(source: Path, folder: Path, **options: object) -> Path:
    (clip,) = cut_clips(source, SCENE, folder, options=CutOptions(**options)).clips
    return clip.path


def ffprobe(path: Path) -> str:
    """What the ffmpeg program shows of the first frame."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path), "-vf", "showinfo", "-frames:v", "1"]
    done = subprocess.run(
        [*command, "-f", "null", "-"], capture_output=True, text=True, timeout=600, check=True
    )
    return done.stderr


@pytest.mark.parametrize(("codec", "engine"), [("h264", "pyav"), ("hevc", "pyav"), ("h264", "ffmpeg")])
def test_clips_are_sdr(pq: Path, tmp_path: Path, codec: str, engine: str) -> None:
    """Colours by the ffmpeg program, from a file that says BT.709: those of zscale and tonemap=mobius."""
    clip = cut_one(pq, tmp_path, codec=codec, engine=engine, crf=4)
    assert index_packets(clip).colour == "tv/bt709/bt709/bt709"
    assert "mastering" not in ffprobe(clip).lower()
    width, height = len(NITS) * PATCH, 6 * PATCH
    shown = middles(ffmpeg_frames(clip, width, height)[3])
    assert np.abs(shown[:, :4] - middles(zscale(pq))[:, :4]).max() <= 5
    assert np.abs(shown - middles(zscale(pq, "mobius"))).mean() < 6
    ours = middles(read_frames(pq, [9])[0].image)
    assert np.abs(shown - ours).max() <= 5
    assert np.abs(shown - ours).mean() < 1.3


def test_scores_of_a_source_are_those_of_its_clips(pq: Path, tmp_path: Path) -> None:
    clip = cut_clips(pq, None, tmp_path, options=CutOptions(crf=4)).clips[0].path
    names = ("luminance", "contrast", "colorfulness")
    rows = [{"path": str(path)} for path in (pq, clip)]
    options = RunOptions(num_workers=0, progress=False)
    source, made = map_rows(TechnicalStage(measures=names), rows, options, label="technical")
    for name in names:  # edges of patches share chroma
        assert made[name] == pytest.approx(source[name], rel=0.06), name


def test_scaled_clips_are_sdr_too(pq: Path, tmp_path: Path) -> None:
    clip = cut_one(pq, tmp_path, shorter_size=96, crf=4)
    shown = read_frames(clip, [0])[0].image
    inside = slice(PATCH // 4, None, PATCH // 2)
    assert shown.shape == (96, 128, 3)
    whole = middles(read_frames(pq, [6])[0].image)
    assert np.abs(shown[inside, inside].astype(int) - whole).max() <= 5


@pytest.mark.parametrize("codec", ["hevc", "av1"])
def test_kept_hdr_says_all_that_its_source_says(pq: Path, tmp_path: Path, codec: str) -> None:
    """Read by the ffmpeg program: ten bits, colours, mastering display, MaxCLL and MaxFALL."""
    clip = cut_one(pq, tmp_path, codec=codec, hdr="keep")
    said = ffprobe(clip)
    assert "yuv420p10le(tv, bt2020nc/bt2020/smpte2084" in said
    assert "MaxCLL=1000" in said
    assert "MaxFALL=400" in said
    numbers = [float(n) for n in re.findall(r"r\(([\d.]+),([\d.]+)\).*max_luminance=([\d.]+)", said)[0]]
    assert numbers == pytest.approx([0.68, 0.32, 1000], abs=1e-3)
    difference = read_frames(clip, [0])[0].image.astype(int) - read_frames(pq, [6])[0].image
    assert np.abs(middles(difference)).max() <= 8


def test_a_copy_stays_hdr(pq: Path, tmp_path: Path) -> None:
    result = cut_clips(pq, SCENE, tmp_path, options=CutOptions(mode="copy"))
    assert result.clips[0].hdr == "keep"
    assert "MaxCLL=1000" in ffprobe(result.clips[0].path)


def test_smart_makes_sdr_of_h264_that_is_hdr(tmp_path: Path) -> None:
    """Its pictures cannot be copied: they would stay HDR."""
    source = make_video(
        tmp_path / "pq.mp4", 24, options={"x264-params": "transfer=smpte2084:colorprim=bt2020:keyint=12"}
    )
    assert index_packets(source).hdr.kind == "pq"
    (clip,) = cut_clips(source, None, tmp_path / "clips", options=CutOptions(mode="smart")).clips
    assert (clip.mode, clip.hdr) == ("exact", "tonemap")
    assert "HDR" in clip.note
    assert index_packets(clip.path).hdr is None


def test_hdr_that_is_not_wanted_fails(pq: Path, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="HDR") as caught:
        cut_clips(pq, None, tmp_path, options=CutOptions(hdr="fail"))
    assert caught.value.kind == "hdr"
    sdr = make_video(tmp_path / "sdr.mp4", 6)
    assert cut_clips(sdr, None, tmp_path, options=CutOptions(hdr="fail")).clips


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hdr": "keep"}, "--codec hevc"),
        ({"hdr": "keep", "mode": "smart"}, "--codec hevc"),
        ({"hdr": "tonemap", "mode": "copy"}, "mode copy"),
        ({"hdr": "no"}, "tonemap, keep, fail"),
    ],
)
def test_options_that_cannot_be_had(options: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        CutOptions(**options)


def test_a_clip_is_cut_again_for_another_hdr_only_where_the_source_is(pq: Path, tmp_path: Path) -> None:
    sdr = make_video(tmp_path / "sdr.mp4", 6)
    for source, reused in ((pq, False), (sdr, True)):
        cut_clips(source, None, tmp_path / "clips", options=CutOptions(codec="hevc"))
        again = cut_clips(source, None, tmp_path / "clips", options=CutOptions(codec="hevc", hdr="keep"))
        assert again.clips[0].reused is reused


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "1 clip of HDR sources converted to SDR; --hdr keep leaves them HDR"),
        (["--hdr", "keep", "--codec", "hevc"], "1 clip of HDR sources left HDR"),
        (["--hdr", "fail"], "hdr: its pictures are HDR (pq)"),
    ],
)
def test_the_command_says_what_became_of_hdr(
    pq: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], flags: list[str], said: str
) -> None:
    table = tmp_path / "meta.csv"
    pl.DataFrame({"path": [str(pq)]}).write_csv(table)
    given = [str(table), "--save_dir", str(tmp_path / "clips"), "--num-workers", "1", *flags]
    assert (cut.main(given) or 0) == (1 if "fail" in flags else 0)  # the only file failed
    assert said in capfd.readouterr().err


def test_hlg_is_made_sdr_by_transform(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    levels = [0, 0.2, 0.4, 0.6, 0.75, 1]
    source = make_hdr_video(tmp_path / "hlg.mp4", patches(levels), HLG, light=None)
    table = tmp_path / "meta.csv"
    pl.DataFrame({"path": [str(source)]}).write_csv(table)
    out = tmp_path / "small"
    given = ["vid_resize", str(table), "--output-dir", str(out), "--length", "96", "--num-workers", "1"]
    assert transform.main([*given, "--crf", "4"]) in (0, None)
    shown = read_frames(out / "hlg.mp4", [0])[0].image
    assert index_packets(out / "hlg.mp4").hdr is None
    whole = middles(read_frames(source, [0])[0].image)
    inside = slice(PATCH // 4, None, PATCH // 2)
    assert np.abs(shown[inside, inside].astype(int) - whole).max() <= 5
    with pytest.raises(UserError, match="--codec hevc"):
        transform.main([*given, "--hdr", "keep", "--overwrite"])
