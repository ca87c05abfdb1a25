"""Files that nobody expects: each row gets a value or a typed failure, in bounded time and memory."""

import os
import random
import socket
import struct
import subprocess
import sys
import zlib
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
import polars as pl
import pytest
from PIL import Image, ImageOps

from tests.reliability import mutator
from tests.support import ffmpeg_frames, make_video, remux, run_command, run_ffmpeg
from tools.datasets import convert, datautil
from tools.datasets.probe_stage import ProbeStage
from tools.errors import MediaError
from tools.media.reading.images import read_image
from tools.media.reading.limits import MAX_PIXELS, VARIABLE, limited_pixels
from tools.media.reading.probe import index_packets, probe
from tools.media.reading.timeline.bitstream import obus_fit
from tools.media.workers.pool import WorkerPool
from tools.models import clip_preprocess
from tools.scoring.technical.sharpness import sharpness
from tools.stage.runner import RunOptions, map_rows


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    folder = tmp_path_factory.mktemp("video")
    return make_video(folder / "plain.mp4", 12, size=(64, 48), b_frames=0, audio="beeps", flashes=(3,))


def test_every_row_of_a_damaged_file_is_a_value_or_a_failure(tmp_path):
    """The long form is `python -m tests.reliability.mutator`."""
    (tmp_path / "mutants").mkdir()
    files = []
    for label, data in mutator.mutants(mutator.make_originals(tmp_path), 45, seed=1):
        files.append(tmp_path / "mutants" / label)
        files[-1].write_bytes(data)
    every = mutator.stages(tmp_path)
    rows = list(mutator.sweep(tmp_path, files, {name: every[name] for name in ("info", "technical", "cut")}))
    assert len(rows) == 3 * 45
    assert [row for row in rows if row.kind in mutator.BROKEN_PROMISES] == []
    kinds = {row.kind for row in rows}
    assert {"value", "unreadable", "decode"} <= kinds  # the damage is neither nothing nor everything


def test_mutants_depend_on_the_seed_alone(tmp_path):
    originals = {"a.mp4": random.Random(0).randbytes(5000), "b.avi": bytes(300)}
    first, again = (list(mutator.mutants(originals, 40, 3)) for _ in range(2))
    assert first == again != list(mutator.mutants(originals, 40, 4))
    assert sum(data == originals[label.rsplit("_", 1)[1]] for label, data in first) < 8


def png_header(width, height):
    """A PNG of a few bytes that states any size (PNG specification, 11.2.1)."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


def degenerate(folder, video):
    """Files, each with the number of its frames or the kind of its failure, by how it is made."""
    sound = ["-i", str(video), "-vn", "-c:a", "copy"]
    cover = folder / "cover.png"
    Image.new("RGB", (64, 48)).save(cover)
    with av.open(str(folder / "zero.mkv"), "w") as out:
        stream = out.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        out.start_encoding()
    make_video(folder / "one.mp4", 1, size=(64, 48))
    make_video(folder / "two.webm", 2, size=(64, 48), codec="vp9")
    make_video(folder / "dot.mp4", 3, size=(1, 1), pix_fmt="yuv444p")
    make_video(folder / "wide.mp4", 12, size=(16000, 2))
    make_video(folder / "tall.mkv", 12, size=(2, 16000))
    make_video(folder / "hours.mkv", 12, size=(64, 48), b_frames=0, times=[*range(11), 36000])
    data = bytearray(video.read_bytes())
    declared = data.index(b"mvhd") + 20  # ISO/IEC 14496-12, 8.2.2: timescale, then duration
    scale = int.from_bytes(data[declared - 4 : declared], "big")
    data[declared : declared + 4] = (36000 * scale).to_bytes(4, "big")
    (folder / "declared.mp4").write_bytes(data)
    shifted = {"before": ["-itsoffset", "-100"], "after": ["-avoid_negative_ts", "disabled", "-copyts"]}
    remux(video, folder / "negative.mkv", **shifted)
    remux(video, folder / "negative.ts", **shifted)
    run_ffmpeg([*sound, str(folder / "sound.mp4")])
    pair = ["-i", str(folder / "sound.mp4"), "-i", str(cover), "-map", "0", "-map", "1", "-c", "copy"]
    run_ffmpeg([*pair, "-disposition:v:0", "attached_pic", str(folder / "covered.mp4")])
    Image.new("RGB", (1, 1)).save(folder / "dot.png")
    Image.new("RGB", (1, 1)).save(folder / "dot.gif")
    Image.new("RGB", (16000, 1)).save(folder / "wide.png")
    (folder / "bomb.png").write_bytes(png_header(60_000, 60_000))
    (folder / "bomb.gif").write_bytes(b"GIF89a" + struct.pack("<HH", 65535, 65535) + b"\xf0\0\0" + bytes(40))
    os.mkfifo(folder / "pipe.mp4")
    (folder / "folder.mp4").mkdir()
    (folder / "loop.mp4").symlink_to(folder / "loop.mp4")
    (folder / "gone.mp4").symlink_to(folder / "nowhere.mp4")
    (folder / "zeros.mp4").symlink_to("/dev/zero")
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("once upon a time")
    with (folder / "sparse.mp4").open("wb") as file:
        file.truncate(1 << 40)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(folder / "socket.mp4"))
    frames = {"one.mp4": 1, "two.webm": 2, "dot.mp4": 3, "dot.png": 1, "dot.gif": 1, "wide.png": 1}
    frames |= dict.fromkeys(("wide.mp4", "tall.mkv", "hours.mkv", "declared.mp4"), 12)
    frames |= dict.fromkeys(("negative.mkv", "negative.ts"), 12)
    failures = {
        "zero.mkv": "unreadable",
        "sound.mp4": "no_video",
        "covered.mp4": "no_video",
        "loop.mp4": "unreadable",
    }
    failures |= {
        "bomb.png": "too_large",
        "bomb.gif": "too_large",
        "gone.mp4": "missing",
        "empty.mp4": "empty",
    }
    failures |= dict.fromkeys(("pipe.mp4", "folder.mp4", "zeros.mp4", "socket.mp4"), "not_a_file")
    failures |= dict.fromkeys(("text.mp4", "sparse.mp4", "loop.mp4"), "unreadable")
    return frames, failures


def test_degenerate_files(tmp_path, video):
    (tmp_path / "files").mkdir()
    frames, failures = degenerate(tmp_path / "files", video)
    files = [tmp_path / "files" / name for name in (*frames, *failures)]
    every = mutator.stages(tmp_path)
    chosen = {name: every[name] for name in ("info", "technical", "frames")}
    rows = {(row.command, Path(row.path).name): row for row in mutator.sweep(tmp_path, files, chosen)}
    assert [row for row in rows.values() if row.kind in mutator.BROKEN_PROMISES] == []
    info = pl.read_csv(tmp_path / "meta_info.csv").select("path", "num_frames").rows()
    assert {Path(path).name: number for path, number in info if number is not None} == frames
    assert {name: rows["info", name].kind for name in failures} == failures
    assert {rows["technical", name].kind for name in frames} <= {"value", "too_short"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else for a moment")
def test_an_unreadable_file(tmp_path, video):
    path = tmp_path / "secret.mp4"
    path.write_bytes(video.read_bytes())
    path.chmod(0)
    found = []
    child = os.fork()
    if child == 0:  # root reads everything
        os.seteuid(65534)
        try:
            probe(path)
        except MediaError as error:
            found.append(error.kind)
        os._exit(0 if found == ["unreadable"] else 1)
    assert os.waitpid(child, 0)[1] == 0


NAMES = [
    *("x y", "-i", "--help", "-", "'q'", '"q"', 'a"b', "q`q", "$HOME", "$(ls)", ";ls", "a&b", "a|b", "a>b"),
    *("#x", "*", "?", "[ab]", "{a}", "~", "~root", "%03d", "%s", "a:b", "http:x", "file:x", "pipe:0"),
    *("concat:a|a", "a,b", "=1+1", "007", "None", "NA", "null", "nan", "e\u0301", "\u00e9", "日本", "😀"),
    *("\u202egnp", "\u200b", "back\\slash", "CON", "a.b.c", "UPPER", "line\nbreak", "tab\t", "n" * 200),
]


def test_names_of_files(tmp_path, video):
    """Each is found, opened and named as it is, whatever it means to a shell, to libav, or in a table."""
    folder = tmp_path / "files"
    folder.mkdir()
    names = {f"{name}.mp4" for name in NAMES} | {
        "line\nbreak.mp4",
        "tab\t.mp4",
        f"{'n' * 200}.mp4",
        "ends .MP4",
    }
    for name in names:
        os.link(video, folder / name)
    assert len(names) > 40
    meta = tmp_path / "meta.csv"
    assert run_command(convert.main, "video", folder, "--output", meta).returncode == 0
    done = run_command(datautil.main, meta, "--info", "--num-workers", 1)
    assert done.returncode == 0, done.stderr
    table = pl.read_csv(tmp_path / "meta_info.csv", infer_schema=False)
    assert {Path(path).name for path in table["path"]} == names
    assert set(table["num_frames"]) == {"12"}
    every = mutator.stages(tmp_path)
    commands = {name: every[name] for name in ("cut", "first_frame")}
    rows = list(mutator.sweep(tmp_path, table["path"], commands))
    assert {row.kind for row in rows} == {"value"}
    assert len(list((tmp_path / "clips").glob("*.[mM]*"))) == len(names)
    assert len(list((tmp_path / "first").glob("*.*"))) == len(names)


@pytest.mark.parametrize("name", ["h264.mp4", "h264.ts", "vp9.webm", "mpeg4.avi", "colours.gif", "av1.mkv"])
def test_a_limit_by_pixels_holds_before_decoding(tmp_path, name):
    mutator.make_originals(tmp_path, [name])
    with limited_pixels(64 * 48):
        assert probe(tmp_path / name).width == 64
    with limited_pixels(64 * 48 - 1), pytest.raises(MediaError, match="64 x 48 = 3072 pixels") as error:
        probe(tmp_path / name)
    assert error.value.kind == "too_large"


def test_the_limit_holds_for_every_picture_of_a_stream(tmp_path):
    """The header of the first picture says nothing of the second one, four times as large."""
    small, large = (make_video(tmp_path / f"{side}.ts", 12, size=(side, side)) for side in (64, 128))
    joined = tmp_path / "joined.ts"
    joined.write_bytes(small.read_bytes() + large.read_bytes())
    assert {change.width for change in index_packets(joined).size_changes} == {128}
    with limited_pixels(128 * 128 - 1), pytest.raises(MediaError, match="later pictures have 128 x 128"):
        index_packets(joined)


def test_pixels_that_are_not_square_count_as_they_are_shown(tmp_path):
    path = make_video(tmp_path / "a.mkv", 2, size=(64, 48), sample_aspect_ratio=Fraction(10))
    assert probe(path).width == 640
    with limited_pixels(640 * 48 - 1), pytest.raises(MediaError) as error:
        probe(path)
    assert error.value.kind == "too_large"


def test_the_limit_is_an_option_and_a_variable(tmp_path, video, monkeypatch):
    meta = tmp_path / "meta.csv"
    pl.DataFrame({"path": [str(video)]}).write_csv(meta)
    arguments = (meta, "--info", "--num-workers", 1, "--max-pixels", 3071)
    assert run_command(datautil.main, *arguments).returncode == 1
    assert "too_large" in (tmp_path / "meta_info.failures.csv").read_text()
    (found,) = map_rows(ProbeStage(), [{"path": str(video)}], RunOptions(num_workers=0, max_pixels=3071))
    assert found.kind == "too_large"
    monkeypatch.setenv(VARIABLE, "3071")
    with pytest.raises(MediaError, match="more than the 3071 of --max-pixels"):
        probe(video)


def test_a_larger_limit_lifts_that_of_pillow(tmp_path):
    """Pillow refuses twice its warning's threshold, 178956970 pixels."""
    path = tmp_path / "a.ppm"
    path.write_bytes(b"P6 %d 2 255\n" % MAX_PIXELS)
    before = Image.MAX_IMAGE_PIXELS
    with pytest.raises(MediaError, match="more than"):
        probe(path)
    with limited_pixels(2 * MAX_PIXELS):
        assert probe(path).width == MAX_PIXELS
    assert before == Image.MAX_IMAGE_PIXELS


def peak_of(function, path):
    """Bytes of memory that a call takes in a new process, beyond what there was before."""

    def measured():
        text = Path("/proc/self/status").read_text()
        return 1024 * int(text.split("VmHWM:")[1].split()[0])

    function(path.with_name("small.png"))
    Path("/proc/self/clear_refs").write_text("5")
    before = measured()
    result = function(path)
    return measured() - before, result.size


def test_a_picture_is_held_once_decoded_and_once_as_an_array(tmp_path):
    """Pillow has 4 bytes for a pixel, the array 3; a further copy would be 3 or 4 more."""
    for name, side in (("small.png", 8), ("large.png", 4000)):
        Image.new("RGB", (side, side), (9, 8, 7)).save(tmp_path / name)
    path = tmp_path / "large.png"
    with WorkerPool(1) as pool:
        jobs = [(0, str(path), path)]
        ((_, (peak, size)),) = pool.imap_unordered(partial(peak_of, read_image), jobs)
    assert size == 3 * 4000 * 4000
    assert peak < 8.5 * 4000 * 4000


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "I;16", "CMYK", "1"])
def test_images_are_read_as_pillow_reads_them(tmp_path, orientation, mode, monkeypatch):
    monkeypatch.setattr("tools.media.reading.images._PIECE", 37)  # one row at a time
    pixels = np.random.default_rng(orientation).integers(0, 256, (29, 37, 3), np.uint8)
    image = Image.fromarray(pixels)
    image = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257) if mode == "I;16" else image.convert(mode)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    image.save(path, exif=exif)
    with Image.open(path) as opened:
        upright = ImageOps.exif_transpose(opened)
        if mode == "I;16":
            upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
        expected = np.asarray(upright.convert("RGB"))
    assert np.array_equal(read_image(path), expected)


def test_a_very_long_picture_is_cropped_as_the_whole_would_be(monkeypatch):
    for shape in ((4, 4000, 3), (4000, 3, 3), (1, 5000, 3)):
        image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        whole = clip_preprocess.clip_crop(image, 32).astype(int)
        monkeypatch.setattr(clip_preprocess, "_MOST_PIXELS", 0)
        part = clip_preprocess.clip_crop(image, 32)
        monkeypatch.undo()
        assert np.abs(part - whole).max() <= 1


def test_a_very_long_picture_has_a_sharpness():
    """Of an even picture none, whatever its shape; it would take 8 GB at the size of others."""
    assert sharpness(np.full((1, 16000), 77, np.float32)) == pytest.approx(0, abs=1e-6)


def test_damage_in_the_units_of_av1_is_seen_without_decoding(tmp_path):
    """What the decoder refuses; its frames behind are not counted, as in other formats."""
    path = mutator.make_originals(tmp_path, ["av1.mkv"])["av1.mkv"]
    source = tmp_path / "av1.mkv"
    assert index_packets(source).num_frames == 24 == len(ffmpeg_frames(source, 64, 48))
    with av.open(str(source)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    assert all(obus_fit(memoryview(packet)) for packet in packets)
    longest = max(packets, key=len)
    assert not obus_fit(memoryview(longest[:-9]))  # cut short
    assert not obus_fit(memoryview(longest[:1] + b"\xff" * 9))  # a size of more than eight bytes
    assert obus_fit(memoryview(bytes([longest[0] | 1]) + longest[1:]))  # a reserved bit
    assert not obus_fit(memoryview(b"\x12\0"))  # a temporal delimiter, no frame
    at = path.index(longest)
    (tmp_path / "cut.mkv").write_bytes(path[: at + 1] + b"\xff\x7f" + path[at + 3 :])
    damaged = index_packets(tmp_path / "cut.mkv")
    assert damaged.num_frames < 24 == len(damaged.pts)
    assert len(ffmpeg_frames(tmp_path / "cut.mkv", 64, 48)) < 24


def test_the_long_form_runs(tmp_path):
    command = [sys.executable, "-m", "tests.reliability.mutator", "--mutants", "9", "--commands", "info"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("9 mutants, 0 promises broken")
