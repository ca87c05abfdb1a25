import pytest

from tools.datasets import convert
from tools.datasets.convert import read_source
from tools.datasets.sources import SourceOptions
from tools.datasets.sources.records import file_id
from tools.errors import UserError
from tools.table import read_table


def read(path, **options):
    return read_source("urls", [str(path)], SourceOptions(**options))


def test_addresses_and_paths_with_comments(tmp_path):
    source = tmp_path / "list.txt"
    source.write_bytes(
        "\ufeff# videos\r\n\r\nhttps://host/a.mp4?x=1#t=5\r\n  # more\r\n"
        "s3://bucket/b/007.mp4\nsub/é c.mp4\n/abs/d.mp4\nhttps://host/a.mp4?x=1#t=5\nsub/é c.mp4".encode()
    )
    found = read(source)
    assert found.table.rows() == [
        ("https://host/a.mp4?x=1#t=5", "a", None),
        ("s3://bucket/b/007.mp4", "007", None),
        (str(tmp_path / "sub/é c.mp4"), "é c", "sub/é c.mp4"),
        ("/abs/d.mp4", "d", None),
    ]
    assert "2 lines repeat another one and are left out" in found.notes
    assert read(source, base=".").table["path"][2] == "sub/é c.mp4"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("https://host/a b.mp4", "line 2: 'https://host/a b.mp4' is an address with a space"),
        ("https://", "line 2: .* without a host"),
        ("https:/host/a.mp4", "line 2: .* https:// is meant"),
        ("a.mp4\tcaption", "line 2: .* has a tab"),
        ("file://server/a.mp4", "line 2: .* another machine"),
    ],
)
def test_bad_lines_are_named(tmp_path, line, message):
    source = tmp_path / "list.txt"
    source.write_text(f"good.mp4\n{line}\n")
    with pytest.raises(UserError, match=rf"list\.txt: {message}"):
        read(source)


def test_what_is_no_list(tmp_path):
    source = tmp_path / "list.txt"
    source.write_text("# nothing\n\n")
    with pytest.raises(UserError, match="lists no address and no path"):
        read(source)
    source.write_bytes(b"a.mp4\n\xff\xfe.mp4\n")
    with pytest.raises(UserError, match="line 2: not UTF-8 text"):
        read(source)
    with pytest.raises(UserError, match="cannot read the list"):
        read(tmp_path / "nowhere.txt")
    with pytest.raises(UserError, match="cannot read the list"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("https://host/v/a.b.mp4", "a.b"),
        ("https://host/a%2Fb.mp4", "b"),
        ("https://host/watch?v=x.y", "watch"),
        ("https://host/", "host"),
        ("dir/.mp4", ".mp4"),
        ("none", "none"),
    ],
)
def test_ids_are_names_without_their_last_extension(place, name):
    assert file_id(place) == name


def test_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.txt").write_text("https://h/a.mp4\nhttps://h/b.mp4\n")
    convert.main(["urls", "list.txt", "--output", "meta.csv"])
    captured = capsys.readouterr()
    assert captured.out == "meta.csv\n" and captured.err == "2 rows\n2 of them are addresses\n"
    assert read_table("meta.csv")["path"].to_list() == ["https://h/a.mp4", "https://h/b.mp4"]
    (tmp_path / "scored.csv").write_text("path,aes\na,5\n")
    with pytest.raises(UserError, match=r"would lack \(aes\)"):
        convert.main(["urls", "list.txt", "--output", "scored.csv"])
