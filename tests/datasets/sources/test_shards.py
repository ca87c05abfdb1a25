import subprocess

import pytest

from tools.datasets.sources.shards import expand_braces, find_shards
from tools.errors import UserError


@pytest.mark.parametrize(
    "pattern",
    [
        "a.tar",
        "s/{000..012}.tar",
        "{8..11}",
        "{08..11}",
        "{3..1}",
        "{-2..2}",
        "{0..10..5}",
        "{a,b}/{1..2}.tar",
        "x{,y}",
        "{a}",
        "{}",
        "a{1..2}b{x,y}c{03..04}",
        "{1..2",
        "1..2}",
        "{099..101}",
    ],
)
def test_braces_are_those_of_bash(pattern):
    bash = subprocess.run(["bash", "-c", f"printf '%s\\n' {pattern}"], capture_output=True, text=True)
    assert expand_braces(pattern) == bash.stdout.splitlines()


def test_shards_are_found_in_order_and_named_apart(tmp_path):
    for name in ("b/1.tar", "b/0.tar", "a/0.tar.gz", "a/0.txt", "a/{x}.tar"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    names = [shard.name for shard in find_shards([str(tmp_path)])]
    assert names == ["a/0", "a/{x}", "b/0", "b/1"]
    assert [s.name for s in find_shards([str(tmp_path / "b")])] == ["0", "1"]
    assert [s.name for s in find_shards([str(tmp_path / "b" / "*.tar")])] == ["0", "1"]
    assert [s.name for s in find_shards([str(tmp_path / "{b,a}" / "0.tar*")])] == ["b/0", "a/0"]
    assert [s.name for s in find_shards([str(tmp_path / "a/{x}.tar")])] == ["{x}"]
    (tmp_path / "a" / "0.tar").touch()
    with pytest.raises(UserError, match="another shard has this name"):
        find_shards([str(tmp_path)])


def test_a_pattern_without_files_is_an_error(tmp_path):
    (tmp_path / "x.txt").touch()
    with pytest.raises(UserError, match=r"has no file that ends in \.tar"):
        find_shards([str(tmp_path)])
    with pytest.raises(UserError, match="no file matches"):
        find_shards([str(tmp_path / "*.tar")])
    with pytest.raises(UserError, match="stands for more than 1,000,000 shards"):
        find_shards(["{0..1000000}{0..9}.tar"])
