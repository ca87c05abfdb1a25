"""Power loss: what was not synced is gone. Simulated by keeping what `os.fsync` has seen, and no more."""

import os
import shutil
import time
from pathlib import Path

import polars as pl
import pytest

from tests.stage.stages import CrcStage
from tests.support import make_video
from tools.datasets.transforms.frames import FirstFrameStage
from tools.export.items import Item
from tools.export.presets import layout_of
from tools.stage import ledger
from tools.stage.runner import RunOptions, run_stage

ROWS = 6


class Disk:
    """What a disk would hold after a power loss, in the worst cases that POSIX allows.

    A file has the content of its last sync, and none before the first; a folder has the names of its last
    sync, or with `keeps_names` all of them: file systems may write names before contents. A picture of that
    is taken at every rename and link, as these are what a run relies on.
    """

    def __init__(self, root, monkeypatch, *, keeps_names=False):
        self.root, self.keeps_names = root, keeps_names
        self.contents: dict[int, tuple[bytes, int]] = {}
        self.names: dict[int, dict[str, tuple[int, bool]]] = {}  # of a folder, which entries are folders
        self.pictures: list[tuple[dict, dict]] = []
        self.syncs = 0
        self._keep = []  # open, so that no number of a file or folder is given twice
        for folder in (root, *(path for path in root.rglob("*") if path.is_dir())):
            self._see(folder)
        for file in (path for path in root.rglob("*") if path.is_file()):
            self._keep_content(file)
        fsync, replace, link = os.fsync, os.replace, os.link

        def synced(file):
            fsync(file)
            self.syncs += 1
            path = Path(f"/proc/self/fd/{file if isinstance(file, int) else file.fileno()}").readlink()
            if path.is_dir():
                self._see(path)
            elif path.exists():
                self._keep.append(path.open("rb"))
                self._keep_content(path)

        def pictured(function):
            def call(*arguments, **options):
                self.picture()
                function(*arguments, **options)
                self.picture()

            return call

        monkeypatch.setattr(os, "fsync", synced)
        monkeypatch.setattr(os, "replace", pictured(replace))
        monkeypatch.setattr(os, "link", pictured(link))

    def _keep_content(self, path):
        status = path.stat()
        self.contents[status.st_ino] = path.read_bytes(), status.st_mtime_ns

    def _see(self, folder):
        number = folder.stat().st_ino
        if number not in self.names:
            self._keep.append(os.open(folder, os.O_RDONLY))
        self.names[number] = {entry.name: (entry.inode(), entry.is_dir()) for entry in os.scandir(folder)}

    def picture(self):
        if self.keeps_names:
            for folder in (self.root, *(path for path in self.root.rglob("*") if path.is_dir())):
                self._see(folder)
        self.pictures.append((dict(self.contents), dict(self.names)))

    def restore(self, picture):
        """Make the folder what the disk held."""
        contents, names = picture
        for path in self.root.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        self._fill(self.root, self.root.stat().st_ino, contents, names)

    def _fill(self, folder, number, contents, names):
        for name, (inode, is_folder) in names.get(number, {}).items():
            path = folder / name
            if is_folder:
                path.mkdir()
                self._fill(path, inode, contents, names)
            else:
                content, modified = contents.get(inode, (b"", 0))
                path.write_bytes(content)
                os.utime(path, ns=(modified, modified))


def run(folder, stage, **options):
    return run_stage(stage(), folder / "meta.csv", options=RunOptions(num_workers=0, **options))


def crc(folder):
    for number in range(ROWS):
        (folder / f"{number}.bin").write_bytes(bytes([number]))
    return CrcStage, [f"{number}.bin" for number in range(ROWS)]


def first_frames(folder):
    paths = [make_video(folder / f"{number}.mp4", 2, size=(32, 32)).name for number in range(3)]
    (folder / "new").mkdir()
    return lambda: FirstFrameStage(output_dir="new"), paths


def outcome(folder):
    """The files that a user sees: tables, failures and pictures."""
    hidden = lambda path: any(part.startswith(".") for part in path.relative_to(folder).parts)  # noqa: E731
    files = (path for path in folder.rglob("*") if path.is_file() and not hidden(path))
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in files if "provenance" not in path.name
    }


@pytest.mark.parametrize("keeps_names", [False, True])
@pytest.mark.parametrize("scenario", [crc, first_frames])
def test_after_a_power_loss_the_same_command_makes_the_same(tmp_path, monkeypatch, scenario, keeps_names):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ledger, "_SYNC_SECONDS", 0.0)
    stage, paths = scenario(tmp_path)
    pl.DataFrame({"path": paths}).write_csv("meta.csv")
    with monkeypatch.context() as patched:
        disk = Disk(tmp_path, patched, keeps_names=keeps_names)
        result = run(tmp_path, stage)
        disk.picture()
    expected = outcome(tmp_path)
    table = result.output.relative_to(tmp_path)
    assert str(table) in expected
    assert len(disk.pictures) > 5
    for picture in disk.pictures:
        disk.restore(picture)
        there = outcome(tmp_path)
        assert str(table) not in there or there[str(table)] == expected[str(table)]  # whole or absent
        run(tmp_path, stage)
        assert outcome(tmp_path) == expected
    disk.restore(disk.pictures[-1])
    assert run(tmp_path, stage).already_complete  # what has ended well has lost nothing


@pytest.mark.parametrize("keeps_names", [False, True])
def test_after_a_power_loss_files_are_known_as_those_of_their_table(tmp_path, monkeypatch, keeps_names):
    """With other options the table replaces its own files, and would take others for somebody else's."""
    monkeypatch.chdir(tmp_path)
    _, paths = first_frames(tmp_path)
    pl.DataFrame({"path": paths}).write_csv("meta.csv")
    with monkeypatch.context() as patched:
        disk = Disk(tmp_path, patched, keeps_names=keeps_names)
        run(tmp_path, lambda: FirstFrameStage(output_dir="new", image_format="jpg", quality=90))
        disk.picture()
    found = []
    for picture in disk.pictures:
        disk.restore(picture)
        stage = lambda: FirstFrameStage(output_dir="new", image_format="jpg", quality=20, overwrite=True)  # noqa: E731
        assert run(tmp_path, stage, overwrite=True).failures == []
        found.append({path.name: path.read_bytes() for path in (tmp_path / "new").glob("*.jpg")})
    assert len(found[0]) == len(paths)
    assert all(one == found[0] for one in found)


def test_shards_are_whole_after_a_power_loss(tmp_path, monkeypatch):
    """Until the last picture the folder is absent; the next run makes the same from whatever is there."""
    layout = layout_of("webdataset")
    items = [Item(f"c{n}", f"clips/c{n}.mp4", 8, 8, 9, 8.0, False, "", n, "in.mp4", "") for n in range(2)]
    (tmp_path / "clips").mkdir()
    for item in items:
        (tmp_path / item.file).write_bytes(os.urandom(1000))
    with monkeypatch.context() as patched:
        disk = Disk(tmp_path, patched)
        rename = Path.rename
        patched.setattr(Path, "rename", lambda *names: (disk.picture(), rename(*names), disk.picture())[1])
        layout.write(tmp_path, items, 1)
        disk.picture()
    expected = {path.name: path.read_bytes() for path in (tmp_path / "shards").iterdir()}
    disk.restore(disk.pictures[-1])
    assert {path.name: path.read_bytes() for path in (tmp_path / "shards").iterdir()} == expected
    for picture in disk.pictures:
        disk.restore(picture)
        layout.write(tmp_path, items, 1)
        assert {path.name: path.read_bytes() for path in (tmp_path / "shards").iterdir()} == expected


def test_a_power_loss_costs_the_rows_of_the_last_seconds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stage, paths = crc(tmp_path)
    (tmp_path / paths[4]).unlink()  # the run reaches the end of the rows, then the power goes
    pl.DataFrame({"path": paths}).write_csv("meta.csv")
    monkeypatch.setattr(ledger, "_SYNC_SECONDS", 0.0)
    with monkeypatch.context() as patched:
        disk = Disk(tmp_path, patched)
        run(tmp_path, stage)
    before = [number for number, (_, names) in enumerate(disk.pictures) if len(names) > 1]
    disk.restore(disk.pictures[before[0]])
    result = run(tmp_path, stage)
    assert not result.already_complete
    assert result.reused == ROWS  # all had been synced when the table was written


def test_the_ledger_is_synced_by_time_and_not_by_row(tmp_path, monkeypatch):
    """Rows of a millisecond cost no sync each; a disk of a laptop needs 5 to 20 ms for one."""
    monkeypatch.chdir(tmp_path)
    paths = []
    for number in range(300):
        paths.append(f"{number}.bin")
        Path(paths[-1]).write_bytes(bytes(2))
    pl.DataFrame({"path": paths}).write_csv("meta.csv")
    monkeypatch.setattr(ledger, "_SYNC_SECONDS", 1e9)
    with monkeypatch.context() as patched:
        disk = Disk(tmp_path, patched)
        assert run(tmp_path, CrcStage, batch_size=1).fresh == 300
    assert 4 <= disk.syncs < 40


def test_the_time_between_syncs_is_no_time_of_the_clock(monkeypatch, tmp_path):
    """A clock that is set back by years does not put them off."""
    monkeypatch.setattr(time, "time", lambda: 0.0)
    monkeypatch.chdir(tmp_path)
    stage, paths = crc(tmp_path)
    pl.DataFrame({"path": paths}).write_csv("meta.csv")
    monkeypatch.setattr(ledger, "_SYNC_SECONDS", 0.0)
    with monkeypatch.context() as patched:
        disk = Disk(tmp_path, patched)
        run(tmp_path, stage, batch_size=1)
    assert disk.syncs > ROWS
