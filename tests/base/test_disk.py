"""Full, read-only and limited disks end the run: one line, exit code 1, no row marked as done or failed."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import polars as pl
import pytest
from PIL import Image

from tests.support import make_video
from tools import cli
from tools.base.disk import ALWAYS, check_disk, copy_file, disk_error, refuse_special, system_message
from tools.base.temporary_files import write_whole
from tools.caption import caption_checks
from tools.datasets import analyze, datautil, save_first_frame, transform
from tools.errors import DiskError, MediaError, UserError
from tools.media.workers import worker
from tools.media.writing.encode import encoding
from tools.scene_cut import cut, scene_detect
from tools.table import read_table, write_table
from tools.table.sidecar import is_sidecar

ROWS = 3


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of videos with sound and two scenes each, and one of images; 300 kB of noise in all."""
    folder = tmp_path_factory.mktemp("source")
    for i in range(ROWS):
        make_video(folder / f"v{i}.mp4", 24, audio="sine")
        noise = np.random.default_rng(i).integers(0, 255, (180, 180, 3), np.uint8)
        Image.fromarray(noise).save(folder / f"i{i}.png")
    times = '[["00:00:00.000", "00:00:00.500"], ["00:00:00.500", "00:00:00.900"]]'
    videos = {"path": [str(folder / f"v{i}.mp4") for i in range(ROWS)], "timestamp": [times] * ROWS}
    write_table(pl.DataFrame({**videos, "text": ["A cat sits on a mat."] * ROWS}), folder / "meta.csv")
    images = {"path": [str(folder / f"i{i}.png") for i in range(ROWS)]}
    write_table(pl.DataFrame(images), folder / "images.csv")
    return folder


@pytest.fixture()
def mounted(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a small file system; what is asked for again is mounted with other options."""
    folder = tmp_path / "disk"
    folder.mkdir()
    state = {"remount": ""}

    def mount(options: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", f"{state['remount']}{options}", "tmpfs", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode and not state["remount"]:
            pytest.skip(f"no file system can be mounted here (root can): {done.stderr.strip()}")
        assert done.returncode == 0, done.stderr
        state["remount"] = "remount,"
        return folder

    yield mount
    if state["remount"]:
        # libav leaves a file open when a full disk stops it from moving an index to the front.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """The kernel refuses to let a file grow beyond a size, here and in programs that are started."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def run(main: Callable[[list[str]], int | None], *arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.run(lambda: main([str(a) for a in arguments]))
    return ended.value.code


def digests(folder: Path) -> dict[str, str]:
    """Everything below a folder but the notes of the runs, and where columns come from, which says when."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
        and not is_sidecar(path)
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }


COMMON = ("--quiet", "--num-workers", "0")
COMMANDS: dict[str, tuple[Callable, str, tuple[str, ...]]] = {
    "cut": (cut.main, "meta.csv", ("--save_dir", "@/clips")),
    "cut with ffmpeg": (cut.main, "meta.csv", ("--save_dir", "@/clips", "--engine", "ffmpeg")),
    "copy": (cut.main, "meta.csv", ("--save_dir", "@/clips", "--mode", "copy")),
    "smart": (cut.main, "meta.csv", ("--save_dir", "@/clips", "--mode", "smart")),
    "resize": (lambda a: transform.main(["vid_resize", *a]), "meta.csv", ("--output-dir", "@/new")),
    "remux": (lambda a: transform.main(["vid_remux", *a]), "meta.csv", ("--output-dir", "@/new")),
    "copy files": (lambda a: transform.main(["mp4_to_mp4", *a]), "meta.csv", ("--output-dir", "@/new")),
    "frames": (
        lambda a: transform.main(["vid_frame_extract", *a]),
        "meta.csv",
        ("--output-dir", "@/new", "--image-format", "png"),
    ),
    "first frames": (save_first_frame.main, "meta.csv", ("--img-dir", "@/new")),
    "images": (
        lambda a: transform.main(["img_resize", *a]),
        "images.csv",
        ("--output-dir", "@/new", "--length", "170"),
    ),
    "equal images": (lambda a: transform.main(["img_resize", *a]), "images.csv", ("--output-dir", "@/new")),
    "statistics": (
        scene_detect.main,
        "meta.csv",
        ("--stats-dir", "@/new", "--detector", "content"),
    ),
}


def arguments_of(name: str, source: Path, folder: Path) -> tuple[Callable, list[str]]:
    main, table, options = COMMANDS[name]
    given = [option.replace("@", str(folder)) for option in options]
    return main, [str(source / table), "--output", str(folder / "out.csv"), *given, *COMMON]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_file_that_cannot_grow_ends_the_run(source, tmp_path, capsys, name):
    """Truth: the same command where there was no limit."""
    main, arguments = arguments_of(name, source, tmp_path / "room")
    assert run(main, *arguments) == 0
    wanted = digests(tmp_path / "room")
    smallest = min(path.stat().st_size for path in (tmp_path / "room").rglob("*.*") if path.suffix != ".csv")
    folder = tmp_path / "disk"
    main, arguments = arguments_of(name, source, folder)
    capsys.readouterr()
    with largest_file(smallest - 500 if name != "statistics" else 700):
        assert run(main, *arguments) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith(f"error: {folder}/")
    assert os.strerror(errno.EFBIG) in said[0]
    assert [path for path in digests(folder) if not path.startswith(("clips/", "new/"))] == []
    assert [path for path in digests(folder) if path.endswith(".part")] == []
    (ledger,) = folder.glob(".vidsieve/out.csv/rank0.jsonl")
    assert b"failure" not in ledger.read_bytes()
    assert run(main, *arguments) == 0
    read, expected = (read_table(f / "out.csv") for f in (folder, tmp_path / "room"))
    assert read.height == expected.height
    assert not (folder / "out.failures.csv").exists()
    assert {n: d for n, d in digests(folder).items() if n != "out.csv"} == {
        n: d for n, d in wanted.items() if n != "out.csv"
    }


@pytest.mark.parametrize("name", ["cut", "cut with ffmpeg", "remux", "first frames", "equal images"])
def test_a_full_disk_ends_the_run(source, tmp_path, mounted, capsys, name):
    """Pillow takes a JPEG that was cut short for a whole one, so the bytes count; truth as above."""
    main, arguments = arguments_of(name, source, tmp_path / "room")
    assert run(main, *arguments) == 0
    wanted = digests(tmp_path / "room")
    used = sum(path.stat().st_size for path in (tmp_path / "room").rglob("*") if path.is_file())
    folder = mounted(f"size={used // 2}")
    main, arguments = arguments_of(name, source, folder)
    capsys.readouterr()
    assert run(main, *arguments) == 1
    (said,) = capsys.readouterr().err.splitlines()
    assert "No space left on device; free some space" in said
    assert not (folder / "out.csv").exists()
    assert list(folder.rglob("*.part")) == []
    mounted("size=50m")
    assert run(main, *arguments) == 0
    assert {n: d for n, d in digests(folder).items() if n != "out.csv"} == {
        n: d for n, d in wanted.items() if n != "out.csv"
    }


@pytest.mark.parametrize("name", ["cut", "cut with ffmpeg", "images"])
def test_a_read_only_disk_ends_the_run(source, tmp_path, mounted, capsys, name):
    folder = mounted("size=1m")
    for made in ("clips", "new"):
        (folder / made).mkdir()
    mounted("ro")
    main, arguments = arguments_of(name, source, folder)
    arguments[2] = str(tmp_path / "out.csv")
    assert run(main, *arguments) == 1
    (said,) = capsys.readouterr().err.splitlines()
    assert f"{folder}/" in said
    assert "Read-only file system; make it writable, or write elsewhere" in said
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("name", ["out.csv", "out.parquet", "out.jsonl", "out.json", "out.csv.gz"])
def test_a_table_that_finds_no_room_is_not_blamed_on_the_input(tmp_path, mounted, capsys, name):
    text = np.random.default_rng(0).integers(0, 1 << 62, 20_000).astype(str)
    write_table(pl.DataFrame({"path": text}), tmp_path / "meta.csv")
    folder = mounted("size=64k")
    assert run(datautil.main, tmp_path / "meta.csv", "--output", folder / name) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(f"error: {folder}/{name}: ")
    assert "No space left on device" in said
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("size", [0, 4096, 8192, 12288, 16384, 20480])
def test_ledger_table_and_receipt_find_no_room(source, mounted, capsys, size):
    """A page of tmpfs holds 4096 bytes: ledger, status, table, receipt and sidecar take one each."""
    folder = mounted("size=65536")
    (folder / "filler").write_bytes(bytes(65536 - size))
    arguments = [source / "meta.csv", "--output", folder / "out.csv", *COMMON]
    code = run(caption_checks.main, *arguments)
    said = capsys.readouterr().err.splitlines()
    assert (code, (folder / "out.csv").exists()) == (int(size < 20480), size >= 16384)
    assert sum("No space left on device" in line for line in said) == (code == 1)
    (folder / "filler").unlink()
    assert run(caption_checks.main, *arguments) == 0
    assert read_table(folder / "out.csv").height == ROWS


def test_report_and_summary_find_no_room(source, mounted, capsys):
    folder = mounted("size=4k")
    (folder / "filler").write_bytes(bytes(4096))
    for asked in (["--json", folder / "out.json"], ["--save-img", folder / "report"]):
        assert run(analyze.main, source / "meta.csv", *asked) == 1
        (said,) = capsys.readouterr().err.splitlines()
        assert f"error: {asked[1]}" in said
        assert "No space left on device" in said
    assert [path for path in folder.rglob("*") if path.is_file()] == [folder / "filler"]


def test_standard_output_that_is_full_is_told_in_one_line(source):
    command = [sys.executable, "-m", "tools.datasets.analyze", str(source / "meta.csv")]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120)
    (said,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert re.match("error: (standard|the) output: No space left on device; free some space", said)


@pytest.mark.parametrize("name", ["cut", "images", "first frames"])
def test_an_output_that_is_a_folder_is_told_before_any_work(source, tmp_path, capsys, name):
    (tmp_path / "out.csv").mkdir()
    main, arguments = arguments_of(name, source, tmp_path)
    assert run(main, *arguments) == 2
    expected = f"error: {tmp_path / 'out.csv'}: is a folder, not a table; choose another --output\n"
    assert capsys.readouterr().err == expected
    assert list(tmp_path.iterdir()) == [tmp_path / "out.csv"]


def test_a_file_in_the_place_of_a_folder_is_told_in_one_line(source, tmp_path, capsys):
    (tmp_path / "file").touch()
    main, arguments = arguments_of("cut", source, tmp_path)
    arguments[arguments.index("--save_dir") + 1] = str(tmp_path / "file" / "clips")
    assert run(main, *arguments) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert f"{tmp_path}/file/clips: cannot create the folder" in said


def test_what_only_reading_did_is_a_failure_of_the_file(tmp_path):
    """libav's errors, made as PyAV makes them: EIO or ENOENT while a clip is written may be the source's."""
    for number, error in ((errno.EIO, MediaError), (errno.ENOENT, MediaError), (errno.ENOSPC, DiskError)):
        with pytest.raises(error), encoding(tmp_path / "clip.mp4"):
            av.error.err_check(-number)
    with pytest.raises(MediaError, match="unreadable"):
        copy_file(tmp_path / "missing", tmp_path / "copy")
    assert disk_error("x", PermissionError(errno.EACCES, "no"), ALWAYS) is None
    assert isinstance(disk_error("x", PermissionError(errno.EACCES, "no")), DiskError)
    assert isinstance(disk_error("x", OSError(errno.EMFILE, "too many"), ALWAYS), DiskError)
    assert disk_error("x", OSError(errno.ENAMETOOLONG, "too long")) is None


def test_a_library_that_finds_no_room_in_a_worker_ends_the_run(tmp_path):
    """The kernel's own error of a device that is always full."""

    def fill() -> None:
        with Path("/dev/full").open("wb") as full:
            full.write(b"x")

    assert isinstance(worker.call_guarded(fill, "a.mp4"), DiskError)


def test_a_small_file_is_written_whole_or_not_at_all(tmp_path):
    write_whole(tmp_path / "note", b"before")
    with largest_file(1000), pytest.raises(DiskError, match="cannot write the note: File too large"):
        write_whole(tmp_path / "note", bytes(2000), "the note")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("note", b"before")]


def test_a_probe_finds_out_whether_the_disk_refuses(tmp_path):
    check_disk(tmp_path, "clip.mp4")
    with largest_file(1000), pytest.raises(DiskError, match=r"clip\.mp4: File too large"):
        check_disk(tmp_path, "clip.mp4")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("limit", [11, 12, 13])  # as it reads the table, and the ledger, and as it writes
def test_too_few_open_files_end_the_run(source, tmp_path, limit):
    command = [sys.executable, "-m", "tools.scene_cut.cut", str(source / "meta.csv"), "--quiet"]
    command += ["--num-workers", "1", "--save_dir", str(tmp_path / "clips")]
    done = subprocess.run(
        [*command, "--output", str(tmp_path / "out.csv")],
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)),
    )
    assert done.returncode == 1, done.stderr
    assert "(ulimit -n), and run the same command again" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "out.csv").exists()


def test_the_message_of_the_system_is_without_number_and_path(tmp_path):
    """`os.strerror` has the same text; a zero byte in a name is an error that Python finds itself."""
    with pytest.raises(OSError) as missing:
        (tmp_path / "gone").open()
    assert system_message(missing.value) == os.strerror(errno.ENOENT) == "No such file or directory"
    with pytest.raises(ValueError) as zero:
        Path("a\0b").stat()
    assert system_message(zero.value) == str(zero.value) == "embedded null byte"


@pytest.mark.parametrize("write", ["table", "small file", "stage"])
@pytest.mark.parametrize("kind", ["pipe", "link to a device"])
def test_a_pipe_or_a_device_is_neither_replaced_nor_waited_for(source, tmp_path, write, kind):
    path = tmp_path / "out.csv"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(os.devnull)
    before = path.lstat()
    with pytest.raises(UserError, match=r"out\.csv: a pipe or a device, which is not replaced; choose"):
        if write == "table":
            write_table(pl.DataFrame({"path": ["a"]}), path)
        elif write == "small file":
            write_whole(path, b"content")
        else:
            caption_checks.main([str(source / "meta.csv"), "--output", str(path), "--overwrite", *COMMON])
    assert os.path.samestat(path.lstat(), before)
    assert list(tmp_path.iterdir()) == [path]


def test_no_file_of_its_own_gets_a_name_in_dev():
    """As root, ``analyze --json /dev/stdout > a.json`` gave the name of the link to a file."""
    with pytest.raises(UserError, match="/dev/stdout: a pipe or a device"):
        refuse_special(Path("/dev/stdout"))
    refuse_special(Path("/dev/shm/meta.csv"))
