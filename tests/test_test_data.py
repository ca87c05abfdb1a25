"""What brings the test data: from a server of this machine, whose files and checksums are known."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CONTENT = bytes(range(256)) * 40


class Handler(SimpleHTTPRequestHandler):
    asked: list[str] = []

    def do_GET(self) -> None:
        self.asked.append(f"{self.path} {self.headers.get('Range')}")
        super().do_GET()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(tmp_path: Path):
    (tmp_path / "www" / "owner" / "name" / "c0ffee").mkdir(parents=True)
    (tmp_path / "www" / "owner" / "name" / "c0ffee" / "a.bin").write_bytes(CONTENT)
    server = HTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(tmp_path / "www")))
    Handler.asked.clear()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def bring(
    tmp_path: Path, server: str, entries: list[dict], *arguments: str
) -> subprocess.CompletedProcess[str]:
    (tmp_path / "list.json").write_text(json.dumps(entries))
    options = ["--list", str(tmp_path / "list.json"), "--github", server, *arguments]
    command = [sys.executable, str(ROOT / "scripts" / "test_data.py"), str(tmp_path / "data"), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def entry(name: str, content: bytes = CONTENT, **where: object) -> dict:
    return {"file": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(), **where}


A = entry("videos/a.bin", github="owner/name/c0ffee/a.bin")


def test_files_come_once_and_get_a_manifest(tmp_path, server):
    run = bring(tmp_path, server, [{**A, "facts": {"frames": 3}}])
    assert (run.returncode, run.stderr) == (0, "")
    assert (tmp_path / "data" / "videos" / "a.bin").read_bytes() == CONTENT
    (known,) = json.loads((tmp_path / "data" / "videos" / "manifest.json").read_text())
    assert known == {"file": "a.bin", "bytes": len(CONTENT), "sha256": A["sha256"], "frames": 3}
    assert len(Handler.asked) == 1
    assert bring(tmp_path, server, [A]).returncode == 0
    assert len(Handler.asked) == 1


def test_a_download_goes_on_where_it_broke_off(tmp_path, server):
    (tmp_path / "data" / "videos").mkdir(parents=True)
    (tmp_path / "data" / "videos" / "a.bin.part").write_bytes(CONTENT[:5000])
    assert bring(tmp_path, server, [A]).returncode == 0
    assert (tmp_path / "data" / "videos" / "a.bin").read_bytes() == CONTENT
    assert Handler.asked == ["/owner/name/c0ffee/a.bin bytes=5000-"]
    assert [path.name for path in (tmp_path / "data" / "videos").iterdir()] == ["a.bin"]


def test_what_is_there_is_never_written_again(tmp_path, server):
    path = tmp_path / "data" / "videos" / "a.bin"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"somebody's own")
    run = bring(tmp_path, server, [A])
    assert run.returncode == 1 and "videos/a.bin: is not the file it should be" in run.stderr
    assert path.read_bytes() == b"somebody's own" and not Handler.asked


def test_a_wrong_file_is_not_taken_and_the_others_are(tmp_path, server):
    wrong = entry("videos/b.bin", CONTENT[::-1], github="owner/name/c0ffee/a.bin")
    gone = entry("videos/c.bin", github="owner/name/c0ffee/nothing.bin")
    run = bring(tmp_path, server, [wrong, gone, A])
    assert run.returncode == 1 and run.stdout.endswith("1 of 3 files are there\n")
    assert [line.split(": ")[1] for line in run.stderr.splitlines()] == ["videos/b.bin", "videos/c.bin"]
    assert not (tmp_path / "data" / "videos" / "b.bin").exists()
    assert not (tmp_path / "data" / "videos" / "b.bin.part").exists()  # nothing to go on with


def test_check_brings_nothing(tmp_path, server):
    run = bring(tmp_path, server, [A], "--check")
    assert run.returncode == 1 and run.stderr == "error: videos/a.bin: is missing\n"
    assert not (tmp_path / "data").exists() and not Handler.asked


def test_every_file_of_the_list_is_held_to_a_checksum_or_made():
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        import made_data
    finally:
        sys.path.pop(0)
    for one in json.loads((ROOT / "scripts" / "test_data.json").read_text()):
        assert len({"github", "package", "made"} & one.keys()) == 1, one["file"]
        assert len(one.get("sha256", "")) == 64 or "made" in one, one["file"]
        if "made" in one:
            assert callable(getattr(made_data, one["made"]))


NEEDS_DATA = """
def test_real(data_dir):
    assert (data_dir / "a").exists()
"""


@pytest.mark.parametrize(("strict", "outcome"), [("", "1 skipped"), ("1", "1 error")])
def test_without_data_tests_are_skipped_and_counted_or_fail(tmp_path, strict, outcome):
    (tmp_path / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    (tmp_path / "test_it.py").write_text(NEEDS_DATA)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -q -rs\n")
    place = {"VIDSIEVE_TEST_DATA": str(tmp_path / "nowhere"), "FAIL_WITHOUT_DATA": strict}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, **place},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert outcome in run.stdout, run.stdout
    assert f"no folder of test data at {tmp_path / 'nowhere'}" in run.stdout
    assert run.returncode == bool(strict)
