"""check_integrity against the verdict of the ffmpeg program, and against damage whose place is known."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import polars as pl
import pytest
from PIL import Image

from tests.support import make_video, remux, run_ffmpeg
from tools.datasets import check_integrity
from tools.datasets.integrity import check_file_integrity
from tools.errors import UserError
from tools.table import read_table, write_table

FPS = 25
# Real files on which the two disagree, and why. There are none.
DIFFERENCES: dict[str, str] = {}


def ffmpeg_complains(path: Path) -> bool:
    """The verdict that users know: the ffmpeg program says anything at log level error, or fails."""
    import imageio_ffmpeg

    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-i", str(path), "-f", "null", "-"]
    done = subprocess.run(command, capture_output=True, timeout=600, check=False)
    return bool(done.stderr) or done.returncode != 0


def video_packets(path: Path) -> list[tuple[int, int, float]]:
    """Position in the file, size and time of each video packet."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return [(p.pos, p.size, float(p.pts * p.time_base)) for p in container.demux(stream) if p.size]


def test_the_verdict_on_real_files_is_that_of_ffmpeg(videos_dir: Path) -> None:
    names = [entry["file"] for entry in json.loads((videos_dir / "manifest.json").read_text())]
    # The longest ones are left out for time; they are whole by both.
    names = [n for n in names if (videos_dir / n).stat().st_size < 1_500_000]
    assert {"bikes_bitflip.mp4", "bikes_truncated.mp4"} < set(names)
    for name in names:
        mine = check_file_integrity(videos_dir / name)
        assert mine.intact != ffmpeg_complains(videos_dir / name) or name in DIFFERENCES, (name, mine)


def test_an_intact_real_file_gives_the_frames_of_the_manifest(videos_dir: Path) -> None:
    frames = {e["file"]: e["frames"] for e in json.loads((videos_dir / "manifest.json").read_text())}
    for name in (
        "bikes_av1.mkv",
        "bikes_vfr.mp4",
        "tc_h265_video.mp4",
        "gradio_b.avi",
        "decord_unordered.mov",
    ):
        found = check_file_integrity(videos_dir / name)
        assert (found.intact, found.broken_at, found.broken_frames) == (True, None, 0), (name, found)
        assert found.decoded_frames == frames[name]


@pytest.mark.parametrize(
    ("codec", "name"),
    [("h264", "a.mp4"), ("hevc", "a.mp4"), ("av1", "a.mkv"), ("vp9", "a.webm"), ("mpeg4", "a.avi")],
)
def test_a_packet_without_its_bytes_is_found_where_it_is(tmp_path: Path, codec: str, name: str) -> None:
    path = make_video(tmp_path / name, 50, codec=codec, gop=10, audio="sine")
    assert check_file_integrity(path).intact
    pos, size, at = max((p for p in video_packets(path) if p[2] > 0.7), key=lambda p: p[1])
    data = bytearray(path.read_bytes())
    data[pos + 24 : pos + size] = bytes(np.random.default_rng(1).integers(1, 255, size - 24, np.uint8))
    path.write_bytes(data)
    found = check_file_integrity(path)
    assert not found.intact
    # AVI stores no presentation times: that of a packet without legible header is off by its reordering.
    assert found.broken_at == pytest.approx(at, abs=(4 if codec == "mpeg4" else 1) / FPS + 0.002)
    assert 1 <= found.broken_frames <= 20  # at most its group of pictures and what refers across
    assert found.reason


@pytest.mark.parametrize("default", [0, 1])
def test_pictures_of_another_track_are_not_counted(tmp_path: Path, default: int) -> None:
    one = make_video(tmp_path / "one.mkv", 20, b_frames=2)
    other = make_video(tmp_path / "other.mkv", 31, size=(96, 64), b_frames=2)
    both = tmp_path / "both.mkv"
    tracks = [
        "-map",
        "0",
        "-map",
        "1",
        "-c",
        "copy",
        "-disposition",
        "0",
        f"-disposition:v:{default}",
        "default",
    ]
    run_ffmpeg(["-i", str(one), "-i", str(other), *tracks, str(both)])
    found = check_file_integrity(both)
    assert (found.intact, found.broken_frames, found.decoded_frames) == (True, 0, (20, 31)[default])


@pytest.mark.parametrize("longer", ["subtitles", "another sound track"])
def test_tracks_that_outlast_the_pictures_are_no_damage(tmp_path: Path, longer: str) -> None:
    video = make_video(tmp_path / "video.mkv", 25, audio="sine")
    (tmp_path / "s.srt").write_text("1\n00:00:00,500 --> 00:00:04,000\nword\n")
    tone = ["-f", "lavfi", "-i", "sine=duration=4"]
    other = ["-i", str(tmp_path / "s.srt")] if longer == "subtitles" else tone
    path = tmp_path / "both.mkv"
    run_ffmpeg(["-i", str(video), *other, "-map", "0", "-map", "1", "-c:v", "copy", str(path)])
    assert check_file_integrity(path, audio_track="0").intact


def test_damage_that_ffmpeg_conceals_without_a_word(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", 50, gop=10)
    packets = video_packets(path)
    found = None
    data = path.read_bytes()
    for pos, size, at in packets[5:]:  # somewhere a change is concealed and not complained about
        changed = bytearray(data)
        for i in range(pos + size // 2, pos + size, 3):
            changed[i] ^= 0x5A
        path.write_bytes(changed)
        if not ffmpeg_complains(path) and not (found := check_file_integrity(path)).intact:
            assert found.broken_at == pytest.approx(at, abs=0.001)
            assert found.broken_frames >= 1
            assert "patched up" in found.reason
            return
    pytest.skip("ffmpeg complains about every one of these changes")


@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
def test_a_file_that_ends_before_its_index_does(tmp_path: Path, name: str) -> None:
    made = make_video(tmp_path / "made.mp4", 100, audio="sine")
    path = remux(made, tmp_path / name, after=["-movflags", "+faststart"])
    cut = path.stat().st_size // 2
    ends = [(pos + size, at) for pos, size, at in video_packets(path)]
    missing = [at for end, at in ends if end > cut]
    path.write_bytes(path.read_bytes()[:cut])
    found = check_file_integrity(path)
    assert not found.intact
    assert found.broken_at == pytest.approx(min(missing), abs=0.15)  # sound is lost a little earlier
    assert found.decoded_frames - (100 - len(missing)) in (0, 1)  # the last one may be shown in part
    assert found.broken_frames == len(missing)
    assert f"before the last {len(missing)} frames" in found.reason or "more" in found.reason


@pytest.mark.parametrize(
    ("codec", "name"), [("h264", "a.mkv"), ("vp9", "a.webm"), ("h264", "a.flv"), ("mpeg4", "a.avi")]
)
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_file_that_was_cut_off(tmp_path: Path, codec: str, name: str, share: float) -> None:
    path = make_video(tmp_path / name, 100, codec=codec, audio=None if name == "a.flv" else "sine")
    assert check_file_integrity(path).intact
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    found = check_file_integrity(path)
    assert not found.intact
    assert found.broken_at == pytest.approx(found.decoded_frames / FPS, abs=0.2)


def test_a_hole_in_a_transport_stream(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.ts", 100, container="mpegts", audio="sine")
    assert check_file_integrity(path).intact
    data = path.read_bytes()
    packets = len(data) // 188
    path.write_bytes(data[: packets // 2 * 188] + data[(packets // 2 + 40) * 188 :])
    found = check_file_integrity(path)
    assert not found.intact
    assert 1.0 < found.broken_at < 3.0


def test_a_sound_track_without_sound(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    source = make_video(tmp_path / "made.mkv", 25, audio="sine")
    with av.open(str(source)) as container, av.open(str(path), "w") as out:
        streams = {s.index: out.add_stream_from_template(s) for s in container.streams}
        for packet in container.demux():
            if packet.size and packet.stream.type == "video":
                packet.stream = streams[packet.stream.index]
                out.mux(packet)
    found = check_file_integrity(path)
    assert not found.intact
    assert "no sound" in found.reason
    assert found.broken_frames == 0


def test_what_is_no_video_is_not_intact(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty.mp4").write_bytes(b"")
    kinds = {"text.mp4": "unreadable", "empty.mp4": "empty", "none.mp4": "missing"}
    for name, kind in kinds.items():
        found = check_file_integrity(tmp_path / name)
        assert not found.intact
        assert found.reason.startswith(f"{kind}: ")
        assert found.decoded_frames == 0
    assert check_file_integrity(tmp_path / "none.mp4").broken_at is None


def test_why_a_file_without_its_index_cannot_be_opened(videos_dir: Path) -> None:
    found = check_file_integrity(videos_dir / "bikes_truncated.mp4")
    assert "moov atom not found" in found.reason  # as the ffmpeg program says


def picture() -> Image.Image:
    rows, columns = np.mgrid[0:200, 0:300]
    noise = np.random.default_rng(0).integers(0, 60, (200, 300))
    return Image.fromarray(np.stack([rows, columns % 256, noise], 2).astype(np.uint8))


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"restart_marker_rows": 1}, {"subsampling": 0}, {"quality": 5}]
)
def test_all_kinds_of_whole_jpegs_are_intact(tmp_path: Path, options: dict) -> None:
    for mode in ("RGB", "L", "CMYK"):
        picture().convert(mode).save(tmp_path / "a.jpg", **options)
        assert check_file_integrity(tmp_path / "a.jpg").intact, (mode, options)


@pytest.mark.parametrize("form", ["jpg", "png", "webp", "tiff", "bmp"])
def test_a_cut_off_image_is_broken(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"a.{form}"
    picture().save(path)
    assert check_file_integrity(path).intact
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    found = check_file_integrity(path)
    assert (found.intact, found.broken_at, found.broken_frames) == (False, 0.0, 1)


def test_a_jpeg_that_pillow_decodes_without_a_word(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    picture().save(buffer, "JPEG", quality=90, restart_marker_rows=1)
    data = buffer.getvalue()
    at = data.index(b"\xff\xd3")  # a restart marker that the decoder will miss
    path = tmp_path / "a.jpg"
    path.write_bytes(data[:at] + data[at + 40 :])
    Image.open(path).load()
    assert ffmpeg_complains(path)
    assert not check_file_integrity(path).intact


def test_the_command_writes_three_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_video(tmp_path / "a.mp4", 10)
    (tmp_path / "b.mp4").write_text("no video")
    picture().save(tmp_path / "c.png")
    paths = [str(tmp_path / name) for name in ("a.mp4", "b.mp4", "c.png", "none.mp4")]
    meta = write_table(
        pl.DataFrame({"path": paths, "text": ["None", "007", "a, b", ""]}), tmp_path / "meta.csv"
    )
    assert check_integrity.main([str(meta), "--quiet", "--num_workers", "1"]) == 0
    out = capsys.readouterr()
    assert out.out.splitlines()[-1] == str(tmp_path / "meta_integrity.csv")
    everything = read_table(tmp_path / "meta_integrity.csv")
    assert everything["intact"].to_list() == ["true", "false", "true", "false"]
    assert everything["text"].to_list() == read_table(meta)["text"].to_list()
    intact, broken = read_table(tmp_path / "meta_intact.csv"), read_table(tmp_path / "meta_broken.csv")
    assert intact["path"].to_list() == [paths[0], paths[2]]
    assert broken["path"].to_list() == [paths[1], paths[3]]
    assert "2 intact" in out.err
    assert check_integrity.main([str(meta), "--quiet", "--strict"]) == 1


def test_nothing_but_missing_files_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As of other commands that could do nothing; a single file that is there makes a verdict."""
    (tmp_path / "folder.mp4").mkdir()
    paths = [str(tmp_path / "folder.mp4"), str(tmp_path / "none.mp4")]
    meta = write_table(pl.DataFrame({"path": paths}), tmp_path / "meta.csv")
    arguments = [str(meta), "--quiet", "--num-workers", "0"]
    assert check_integrity.main(arguments) == 1
    assert f"error: {meta}: no file is there, the first: {paths[0]}: not_a_file" in capsys.readouterr().err
    assert read_table(tmp_path / "meta_broken.csv").height == 2
    (tmp_path / "none.mp4").write_text("no video")
    assert check_integrity.main([*arguments, "--overwrite"]) == 0


def repeat_packets(source: Path, target: Path, times: int) -> Path:
    """A video of many pictures, each of them whole, that was quick to make and takes long to decode."""
    with av.open(str(source)) as container, av.open(str(target), "w") as out:
        stream = out.add_stream_from_template(container.streams.video[0])
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
        for number, data in enumerate(packets * times):
            packet = av.Packet(data)
            packet.stream, packet.time_base = stream, Fraction(1, FPS)
            packet.pts = packet.dts = number
            packet.is_keyframe = True
            out.mux(packet)
    return target


def test_a_file_that_takes_too_long_is_not_among_the_intact(tmp_path: Path) -> None:
    repeat_packets(make_video(tmp_path / "one.mp4", 10, size=(2048, 1152), gop=1), tmp_path / "a.mp4", 200)
    meta = write_table(pl.DataFrame({"path": [str(tmp_path / "a.mp4")]}), tmp_path / "meta.csv")
    command = [sys.executable, "-m", "tools.datasets.check_integrity", str(meta), "--timeout", "0.5"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 1  # every row failed
    assert read_table(tmp_path / "meta_intact.csv").height == 0
    assert read_table(tmp_path / "meta_broken.csv")["intact"].to_list() == [None]


def test_a_table_without_paths(tmp_path: Path) -> None:
    meta = write_table(pl.DataFrame({"text": ["a"]}), tmp_path / "meta.csv")
    with pytest.raises(UserError, match="path"):
        check_integrity.main([str(meta)])
