"""Where weights are looked for, whose bytes are trusted, and what the command says."""

from __future__ import annotations

import dataclasses
import hashlib
import http.server
import os
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from tools.errors import UserError
from tools.models import weights
from tools.models.digests import file_sha256
from tools.models.weights import WEIGHTS, find_weights, main, weight_file

SAC_LOGOS_AVA = "sac+logos+ava1-l14-linearMSE.pth"


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    """No weights anywhere: an empty home, project and current folder."""
    for name in list(os.environ):
        if name.startswith("VIDSIEVE_"):
            monkeypatch.delenv(name)
    for name in ("home", "here", "project", "cache"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(weights, "_PROJECT", tmp_path / "project")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


@pytest.fixture
def head(data_dir: Path) -> Path:
    return data_dir / "aesthetic" / SAC_LOGOS_AVA


def test_openai_urls_carry_their_digest():
    for file in WEIGHTS.values():
        assert len(file.sha256) == 64
        if file.key.startswith("clip-vit"):
            assert file.url.split("/")[-2] == file.sha256


def test_the_registered_head_is_the_real_one(head):
    file = WEIGHTS["aesthetic"]
    assert (file_sha256(head), head.stat().st_size) == (file.sha256, file.size)
    assert file.url.endswith(head.name)


def test_missing_weights_say_where_and_how(nowhere):
    with pytest.raises(UserError) as caught:
        find_weights("clip-vit-l-14")
    text = str(caught.value)
    for part in (
        str(nowhere / "here" / "pretrained_models"),
        str(nowhere / "project" / "pretrained_models"),
        str(nowhere / "home" / ".cache" / "clip"),
        "python -m tools.models.weights download clip-vit-l-14",
        "VIDSIEVE_CLIP_VIT_L_14",
    ):
        assert part in text
    assert "\n" not in text


def test_order_of_the_places(nowhere, head, monkeypatch):
    def put(folder: Path, name: str = "aesthetic.pth") -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(head)
        return folder / name

    project = put(nowhere / "project" / "pretrained_models", SAC_LOGOS_AVA)
    assert find_weights("aesthetic").path == project
    here = put(nowhere / "here" / "pretrained_models")
    assert find_weights("aesthetic").path == here
    own = put(nowhere / "own")
    monkeypatch.setenv("VIDSIEVE_WEIGHTS", str(own.parent))
    found = find_weights("aesthetic")
    assert (found.path, found.published) == (own, True)
    other = nowhere / "other.pth"
    other.write_bytes(b"mine")
    monkeypatch.setenv("VIDSIEVE_AESTHETIC", str(other))
    found = find_weights("aesthetic")
    assert (found.path, found.published) == (other, False)  # the user's own choice, used as it is
    assert find_weights("aesthetic", head).path == head  # the flag before the environment


def test_openai_s_own_cache_is_looked_at(nowhere):
    folder = nowhere / "home" / ".cache" / "clip"
    folder.mkdir(parents=True)
    (folder / "ViT-B-32.pt").write_bytes(b"cut off")
    with pytest.raises(UserError, match=r"\.cache/clip/ViT-B-32\.pt: these are not the published weights"):
        find_weights("clip-vit-b-32")


def test_other_bytes_under_the_right_name_are_refused(nowhere):
    folder = nowhere / "here" / "pretrained_models"
    folder.mkdir()
    path = folder / "aesthetic.pth"
    path.write_bytes(b"something else")
    with pytest.raises(UserError) as caught:
        find_weights("aesthetic")
    text = str(caught.value)
    actual, expected = hashlib.sha256(b"something else").hexdigest(), WEIGHTS["aesthetic"].sha256
    for part in (str(path), actual, expected, "download aesthetic", f"VIDSIEVE_AESTHETIC={path}"):
        assert part in text


def test_a_chosen_file_that_is_not_there_is_told(nowhere, monkeypatch):
    with pytest.raises(UserError, match=r"nope\.pth: there is no such file"):
        find_weights("aesthetic", "nope.pth")
    monkeypatch.setenv("VIDSIEVE_AESTHETIC", "gone.pth")
    with pytest.raises(UserError, match=r"gone\.pth \(from \$VIDSIEVE_AESTHETIC\)"):
        find_weights("aesthetic")


@pytest.mark.parametrize(
    "name", ["clip-vit-l-14-336px", "ViT-L/14@336px", "ViT-L-14-336px", "ViT-L-14-336px.pt"]
)
def test_files_have_several_names(name):
    assert weight_file(name).key == "clip-vit-l-14-336px"


def test_unknown_names_list_the_known_ones():
    with pytest.raises(UserError, match=r"there are clip-vit-l-14, .*aesthetic"):
        weight_file("resnet")


def test_the_digest_is_remembered_until_the_file_changes(nowhere):
    path = nowhere / "w.bin"
    path.write_bytes(b"abc")
    # SHA-256 of "abc" and of the empty message: FIPS 180-2, appendix B
    assert file_sha256(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    stat = path.stat()
    path.write_bytes(b"abd")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # unchanged as far as size and time can tell
    assert file_sha256(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    path.write_bytes(b"")
    assert file_sha256(path) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_broken_or_unwritable_memory_does_no_harm(nowhere, monkeypatch):
    path = nowhere / "w.bin"
    path.write_bytes(b"abc")
    digest = file_sha256(path)
    (stamp,) = (nowhere / "cache").rglob("*.json")
    stamp.write_text("{")
    assert file_sha256(path) == digest
    (nowhere / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(nowhere / "file"))
    assert file_sha256(path) == digest


def test_check_tells_by_its_exit_code(nowhere, head, capsys):
    assert main(["check", "aesthetic"]) == 1
    assert "missing" in capsys.readouterr().out
    folder = nowhere / "here" / "pretrained_models"
    folder.mkdir()
    (folder / "aesthetic.pth").symlink_to(head)
    assert main(["check", "aesthetic"]) == 0
    assert str(folder / "aesthetic.pth") in capsys.readouterr().out
    assert main(["check"]) == 1  # CLIP is still missing


def test_the_list_names_every_file_and_its_address(capsys):
    assert main([]) == 0
    shown = capsys.readouterr().out
    for file in WEIGHTS.values():
        assert file.key in shown and file.url in shown


@pytest.fixture
def mirror(head, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(head.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        monkeypatch.setenv("VIDSIEVE_MIRROR", f"http://127.0.0.1:{server.server_port}/")
        yield
        server.shutdown()
        thread.join()


def test_download_fetches_the_real_head_from_a_mirror(nowhere, head, mirror, capsys):
    assert main(["download", "aesthetic", "--quiet"]) == 0
    target = nowhere / "here" / "pretrained_models" / "aesthetic.pth"
    assert capsys.readouterr().out.splitlines()[-1] == str(target)
    assert target.read_bytes() == head.read_bytes()
    assert find_weights("aesthetic").published
    before = target.stat().st_mtime_ns
    time.sleep(0.01)
    assert main(["download", "--quiet", "aesthetic"]) == 0  # there already: left alone
    assert target.stat().st_mtime_ns == before


def test_download_does_not_replace_another_file(nowhere, mirror):
    (nowhere / "aesthetic.pth").write_bytes(b"mine")
    with pytest.raises(UserError, match="another file is in the way"):
        main(["download", "aesthetic", "--dir", str(nowhere)])
    assert (nowhere / "aesthetic.pth").read_bytes() == b"mine"


def test_a_mirror_without_the_file_is_told(nowhere, mirror):
    with pytest.raises(UserError, match=r"ViT-B-32\.pt: the server answers 404"):
        main(["download", "clip-vit-b-32", "--quiet"])


def test_download_without_a_name_is_bad_input(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["download"])
    assert caught.value.code == 2
    assert "--all" in capsys.readouterr().err


def test_a_file_that_a_package_carries_is_found_without_importing_it(tmp_path, monkeypatch):
    package = tmp_path / "site" / "open_clip"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (package / "bpe_simple_vocab_16e6.txt.gz").write_bytes(b"words")
    monkeypatch.syspath_prepend(package.parent)
    with pytest.raises(UserError, match="not the published weights"):
        find_weights("clip-bpe")
    published = dataclasses.replace(WEIGHTS["clip-bpe"], sha256=hashlib.sha256(b"words").hexdigest())
    monkeypatch.setitem(WEIGHTS, "clip-bpe", published)
    assert find_weights("clip-bpe").path == package / "bpe_simple_vocab_16e6.txt.gz"
