"""Dolby Vision: a base layer is shown; profile 5, which has none, is refused where pictures are looked at."""

from __future__ import annotations

import subprocess
from pathlib import Path

import av
import imageio_ffmpeg
import polars as pl
import pytest

from tests.hdr_videos import make_hdr_video, patches
from tests.support import make_video, remux
from tools.datasets import datautil
from tools.errors import MediaError
from tools.media.reading.colour.tonemap import light_to_pq
from tools.media.reading.frames import iter_frames, read_frames
from tools.media.reading.probe import probe
from tools.scene_cut.clips.cutting import CutOptions, cut_clips
from tools.table import read_table, write_table


class Bits:
    """Writes fixed-length and Exp-Golomb codes."""

    def __init__(self) -> None:
        self.text = ""

    def u(self, length: int, value: int) -> None:
        self.text += f"{value:0{length}b}"

    def ue(self, *values: int) -> None:
        for value in values:
            code = f"{value + 1:b}"
            self.text += "0" * (len(code) - 1) + code


def metadata_unit(profile: int) -> bytes:
    """A NAL unit of type 62 with a reference processing unit (ETSI GS CCM 001) that changes nothing.

    Args:
        profile: 5, whose base layer is in full range with prediction profile 0, or 8.
    """
    bits = Bits()
    for length, value in ((6, 2), (11, 18), (4, 0 if profile == 5 else 1), (4, 0), (1, 1), (1, 0), (2, 0)):
        bits.u(length, value)
    bits.ue(23)  # coef_log2_denom
    bits.u(2, 1)
    bits.u(1, profile == 5)  # bl_video_full_range_flag
    bits.ue(2, 2, 4)  # bits above 8 of base layer, enhancement layer, result
    for length, value in ((1, 0), (3, 0), (1, 0), (1, 1), (1, 0), (1, 0)):
        bits.u(length, value)
    bits.ue(0, 0, 0)
    for _ in range(3):
        bits.ue(0)
        bits.u(10, 0)
        bits.u(10, 1023)
    bits.ue(0, 0)
    for _ in range(3):  # y = 0 + 1 x
        bits.ue(0, 0)
        bits.u(1, 0)
        bits.ue(0)
        bits.u(23, 0)
        bits.ue(1)
        bits.u(23, 0)
    bits.text += "0" * (-len(bits.text) % 8)
    data = int(bits.text, 2).to_bytes(len(bits.text) // 8, "big") + b"\x12\x34\x56\x78\x80"
    protected = bytearray(b"\x7c\x01\x19")
    for byte in data:  # ITU-T H.265, 7.4.2: emulation_prevention_three_byte
        if byte <= 3 and protected[-2:] == b"\0\0":
            protected.append(3)
        protected.append(byte)
    return bytes(protected)


def with_metadata(source: Path, target: Path, profile: int) -> Path:
    """Copy a HEVC video with a reference processing unit in each picture."""
    unit = metadata_unit(profile)
    with av.open(str(source)) as container, av.open(str(target), "w") as out:
        stream = out.add_stream_from_template(container.streams.video[0], opaque=True)
        for packet in container.demux(video=0):
            if packet.size:
                copy = av.Packet(bytes(packet) + len(unit).to_bytes(4, "big") + unit)
                copy.pts, copy.dts, copy.duration = packet.pts, packet.dts, packet.duration
                copy.time_base, copy.is_keyframe, copy.stream = packet.time_base, packet.is_keyframe, stream
                out.mux(copy)
    return target


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """HEVC with 10 bits that says nothing of its colours."""
    path = tmp_path_factory.mktemp("dovi") / "plain.mp4"
    return make_video(path, 6, codec="hevc", pix_fmt="yuv420p10le")


@pytest.fixture(scope="module")
def profile5(plain: Path) -> Path:
    """Profile 5."""
    return with_metadata(plain, plain.with_name("five.mp4"), 5)


def test_the_metadata_is_what_the_ffmpeg_program_takes_for_it(profile5: Path) -> None:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(profile5), "-vf", "showinfo", "-f", "null", "-"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True).stderr
    assert said.count("vdr_rpu_profile=0") == 6
    assert said.count("bl_video_full_range_flag=1") == 6


@pytest.mark.parametrize("extension", [".mp4", ".mkv", ".ts"])
def test_profile_5_is_refused(profile5: Path, tmp_path: Path, extension: str) -> None:
    path = remux(profile5, tmp_path / f"five{extension}")
    assert probe(path).hdr == "dolby-vision"
    for read in (
        lambda: read_frames(path, [0]),
        lambda: list(iter_frames(path, format="gray")),
        lambda: cut_clips(path, None, tmp_path / "clips"),
        lambda: cut_clips(path, None, tmp_path / "clips", options=CutOptions(codec="hevc", hdr="keep")),
    ):
        with pytest.raises(MediaError, match="Dolby Vision profile 5") as caught:
            read()
        assert caught.value.kind == "hdr"


def test_packets_of_profile_5_can_be_copied(profile5: Path, tmp_path: Path) -> None:
    (clip,) = cut_clips(profile5, None, tmp_path, options=CutOptions(mode="copy")).clips
    assert probe(clip.path).hdr == "dolby-vision"


def test_the_name_of_the_codec_tells_where_nothing_else_does(plain: Path, tmp_path: Path) -> None:
    path = tmp_path / "named.mp4"
    data = plain.read_bytes()
    assert data.count(b"hvc1") + data.count(b"hev1") == 1
    path.write_bytes(data.replace(b"hvc1", b"dvh1").replace(b"hev1", b"dvhe"))
    assert probe(path).hdr == "dolby-vision"
    assert probe(plain).hdr == "sdr"


def test_profile_8_has_a_base_layer_that_is_shown(tmp_path: Path) -> None:
    source = make_hdr_video(tmp_path / "pq.mp4", light_to_pq(patches([10, 100, 500])))
    path = with_metadata(source, tmp_path / "eight.mp4", 8)
    assert probe(path).hdr == "pq"
    assert (read_frames(path, [3])[0].image == read_frames(source, [3])[0].image).all()


def test_a_table_says_it(profile5: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    meta = write_table(pl.DataFrame({"path": [str(profile5)]}), tmp_path / "meta.csv")
    assert datautil.main([str(meta), "--info", "--num-workers", "1"]) == 0
    assert read_table(capsys.readouterr().out.split()[-1])["hdr"].to_list() == ["dolby-vision"]
