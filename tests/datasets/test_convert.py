import os

import polars as pl
import pytest

from tools.datasets import convert
from tools.datasets.convert import (
    convert_image,
    convert_imagenet,
    convert_ucf101,
    convert_video,
    convert_vidprom,
)
from tools.errors import UserError
from tools.table import read_table


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_videos_are_listed_in_order_with_id_and_relpath(tmp_path):
    touch(
        tmp_path,
        "b/2.mp4",
        "a.WEBM",
        "b/1.x.mkv",
        "b/c/007.m2ts",
        "note.txt",
        "pic.jpg",
        ".hidden.mp4",
        ".git/x.mp4",
        "z.gif",
    )
    table = convert_video(tmp_path)
    assert table.columns == ["path", "id", "relpath"]
    assert table["relpath"].to_list() == ["a.WEBM", "b/1.x.mkv", "b/2.mp4", "b/c/007.m2ts", "z.gif"]
    assert table["id"].to_list() == ["a", "1.x", "2", "007", "z"]
    assert table["path"].to_list() == [str(tmp_path / r) for r in table["relpath"]]
    assert convert_image(tmp_path)["relpath"].to_list() == ["pic.jpg"]
    assert convert_video(tmp_path, exts=[".txt"])["id"].to_list() == ["note"]


def test_videos_of_camcorders_discs_and_old_sites_are_listed(tmp_path):
    names = ["00001.MTS", "VTS_01_1.VOB", "card.mxf", "film.ogv", "phone.3g2", "stream.f4v", "talk.asf"]
    touch(tmp_path, *names)
    assert convert_video(tmp_path)["relpath"].to_list() == names


def test_cycles_of_links_end_and_nothing_is_listed_twice(tmp_path):
    touch(tmp_path, "a/x.mp4", "b/y.mp4", "other/z.mp4")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "b" / "to_a").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "to_b").symlink_to(tmp_path / "b")
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    (tmp_path / "broken.mp4").symlink_to(tmp_path / "nowhere.mp4")
    (tmp_path / "loop.mp4").symlink_to(tmp_path / "loop.mp4")
    expected = ["a/x.mp4", "b/y.mp4", "broken.mp4", "loop.mp4", "other/z.mp4"]
    assert convert_video(tmp_path)["relpath"].to_list() == expected
    assert convert_video(tmp_path / "b")["relpath"].to_list()[-1] == "y.mp4"


def test_names_that_are_not_utf8_are_left_out_with_a_warning(tmp_path, caplog):
    touch(tmp_path, "é 'quoted\".mp4")
    os.mknod(os.fsencode(tmp_path) + b"/\xff.mp4")
    assert convert_video(tmp_path)["id"].to_list() == ["é 'quoted\""]
    assert "not UTF-8" in caplog.text


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda d: None, "no such folder"),
        (lambda d: d.mkdir(), "has no file that ends in .mp4"),
        (lambda d: d.write_text(""), "is not a folder"),
    ],
)
def test_nothing_found_is_an_error_and_nothing_is_written(tmp_path, make, message):
    make(tmp_path / "root")
    with pytest.raises(UserError, match=message):
        convert.main(["video", str(tmp_path / "root"), "--output", str(tmp_path / "meta.csv")])
    assert not (tmp_path / "meta.csv").exists()


def test_the_command_honours_output(tmp_path, monkeypatch, capsys):
    touch(tmp_path, "videos/a.mp4", "videos/b.MKV")
    monkeypatch.chdir(tmp_path)
    convert.main(["video", "videos", "--output", "meta.csv", "--exts", "mkv,.avi"])
    assert capsys.readouterr().out == "meta.csv\n"
    assert read_table("meta.csv").rows() == [("videos/b.MKV", "b", "b.MKV")]
    convert.main(["video", "videos", "--output", "new/folder/meta.parquet"])
    assert read_table("new/folder/meta.parquet").height == 2
    with pytest.raises(UserError, match="--output"):
        convert.main(["video", "videos"])
    with pytest.raises(UserError, match="convert video: --extract is only for webdataset, lance"):
        convert.main(["video", "videos", "--output", "meta.csv", "--extract", "clips"])
    with pytest.raises(UserError, match="convert video: name a folder, not 2 of them"):
        convert.main(["video", "videos", "new", "--output", "meta.csv"])


def test_imagenet_names_classes_by_their_first_synonym(tmp_path):
    touch(tmp_path, "train/n01440764/1.JPEG", "train/n01443537/2.JPEG", "val/n01440764/3.JPEG")
    with pytest.raises(UserError, match=r"n01440764; put LOC_synset_mapping\.txt"):
        convert_imagenet(tmp_path)
    mapping = "n01440764 tench, Tinca tinca\nn01443537 goldfish, Carassius auratus\n"
    (tmp_path / "LOC_synset_mapping.txt").write_text(mapping)
    assert convert_imagenet(tmp_path)["text"].to_list() == ["tench", "goldfish"]
    assert convert_imagenet(tmp_path, "val")["path"].to_list() == [str(tmp_path / "val/n01440764/3.JPEG")]


def test_ucf101_classes_are_split_into_words(tmp_path):
    touch(tmp_path, "train/ApplyEyeMakeup/v_1.avi", "train/YoYo/v_2.avi")
    assert convert_ucf101(tmp_path)["text"].to_list() == ["Apply Eye Makeup", "Yo Yo"]
    assert convert_ucf101(tmp_path / "train")["text"].to_list() == ["Apply Eye Makeup", "Yo Yo"]


def test_vidprom_joins_videos_and_prompts(tmp_path):
    touch(tmp_path, "v/pika-b.mp4", "v/pika-a.mp4", "v/pika-other.mp4")
    info = tmp_path / "info.csv"
    pl.DataFrame({"uuid": ["b", "lost", "a"], "prompt": ["a dog, running", "x", "None"]}).write_csv(info)
    table = convert_vidprom(tmp_path / "v", info)
    assert table.rows() == [
        (str(tmp_path / "v/pika-b.mp4"), "a dog, running"),
        (str(tmp_path / "v/pika-a.mp4"), "None"),
    ]


def test_a_table_that_knows_more_is_replaced_only_with_overwrite(tmp_path, capsys):
    touch(tmp_path, "videos/a.mp4")
    meta = tmp_path / "meta.csv"
    command = ["video", str(tmp_path / "videos"), "--output", str(meta)]
    convert.main(command)
    convert.main(command)  # its own table is simply written again
    bare = meta.read_bytes()
    scored = b"path,id,relpath,aes,my note\nx.mp4,x,x.mp4,5.5,hours of work\n"
    meta.write_bytes(scored)
    with pytest.raises(UserError, match=r"meta\.csv: .*would lack \(aes, my note\); --overwrite replaces it"):
        convert.main(command)
    assert meta.read_bytes() == scored
    convert.main([*command, "--overwrite"])
    assert meta.read_bytes() == bare
    meta.write_bytes(b'path,id,relpath,aes\n"a,5\n')  # its rows cannot be read, its header can
    with pytest.raises(UserError, match=r"would lack \(aes\)"):
        convert.main(command)
    meta.write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(UserError, match=r"meta\.csv: is in the way, --overwrite replaces it"):
        convert.main(command)
    meta.write_bytes(b"")
    convert.main(command)
    assert meta.read_bytes() == bare
