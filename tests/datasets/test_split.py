"""Buckets worked out by hand from the documented definition (Open-Sora, docs/config.md and aspect.py)."""

import numpy as np
import pytest

from tools.datasets.bucket_config import read_bucket_config
from tools.datasets.buckets import Share, assign_buckets, bucket_names
from tools.datasets.split import main, split_by_bucket
from tools.errors import UserError
from tools.table import read_table

PYTHON_CONFIG = """
import os
os.makedirs("made_by_the_config")
dataset = dict(type="VariableVideoTextDataset", transform_name="resize_crop", frame_interval=1)
bucket_config = {  # 20s/it
    "240p": {51: (0.5, 20), 102: ((0.5, 0.4), 2)},
    "480p": {1: (1.0, 89), 51: (1.0, 5), 102: (0.0, None)},
    "256": {1: (1.0, 297)},
}
num_workers = 8
"""
BUCKETS = {
    "240p": {51: Share(0.5), 102: Share(0.5, 0.4)},
    "480p": {1: Share(1.0), 51: Share(1.0), 102: Share(0.0)},
    "256": {1: Share(1.0)},
}


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "stage.py"
    path.write_text(PYTHON_CONFIG)
    return path


def bucket_of(frames, height, width, buckets=BUCKETS, **options):
    sizes = [np.array([float(value)]) for value in (frames, height, width)]
    index = assign_buckets(*sizes, buckets, **options)[0]
    return bucket_names(buckets)[index] if index >= 0 else None


@pytest.mark.parametrize(
    ("frames", "height", "width", "bucket"),
    [
        (60, 480, 854, "480p_51_0.56"),
        (60, 854, 480, "480p_51_1.78"),
        (51, 1080, 1920, "480p_51_0.56"),  # exactly the frames that the bucket has
        (50, 1080, 1920, None),  # one frame too few for any
        (200, 480, 854, "240p_102_0.56"),  # 480p_102 takes nothing: on to the next resolution, not to 51
        (60, 448, 732, "480p_51_0.62"),  # 327936 pixels are 0.8 x 480 x 854; 448 / 732 = 0.612
        (60, 448, 731, "240p_51_0.62"),  # one column less
        (60, 240, 340, None),  # 81600 pixels are less than 0.8 x 240 x 426 = 81792, and 256 has images only
        (60, 240, 341, "240p_51_0.67"),  # 240 / 341 = 0.704 is nearer to 0.67 than to 0.75
        (1, 480, 854, "480p_1_0.56"),
        (1, 256, 256, "256_1_1.00"),
        (1, 300, 360, "256_1_0.82"),  # 240p, which is larger than 256, has no images
        (1, 230, 227, None),  # 52210 pixels are less than 0.8 x 65536
        (60, 600, 2400, "480p_51_0.38"),  # 0.25 is beyond the first ratio
        (60, 2400, 600, "480p_51_2.08"),
        (float("nan"), 480, 854, None),
        (0, 480, 854, None),
        (60, float("nan"), 854, None),
    ],
)
def test_buckets_by_hand(frames, height, width, bucket):
    assert bucket_of(frames, height, width) == bucket


def test_videos_need_a_frame_interval_times_the_frames():
    buckets = {"480p": {51: Share(1.0), 1: Share(1.0)}}
    assert bucket_of(152, 480, 854, buckets, frame_interval=3) is None
    assert bucket_of(153, 480, 854, buckets, frame_interval=3) == "480p_51_0.56"
    assert bucket_of(1, 480, 854, buckets, frame_interval=3) == "480p_1_0.56"


def test_larger_resolutions_come_first_whatever_the_order_of_the_config():
    buckets = {name: {16: Share(1.0)} for name in ("144p", "1080p", "360p_16d", "2048")}
    assert bucket_of(16, 1080, 1920, buckets) == "1080p_16_0.56"
    assert bucket_of(16, 600, 1000, buckets) == "360p_16d_16_0.62"
    assert bucket_of(16, 1900, 1900, buckets) == "2048_16_1.00"  # 3.61 M of 4.19 M pixels


def test_probabilities_are_honoured_and_the_same_for_the_same_seed():
    rows = 20_000
    frames, height, width = np.full(rows, 150.0), np.full(rows, 480.0), np.full(rows, 854.0)
    buckets = {"480p": {102: Share(0.25, 0.6), 51: Share(0.5)}, "240p": {102: Share(1.0)}}
    found = assign_buckets(frames, height, width, buckets, seed=7)
    names = np.array(bucket_names(buckets))[found]
    # 0.6 are considered for 102 frames, 0.25 of them stay; of the 0.4, 0.5 stay at 51; the rest go down.
    for name, share in (("480p_102_0.56", 0.15), ("480p_51_0.56", 0.2), ("240p_102_0.56", 0.65)):
        spread = np.sqrt(share * (1 - share) / rows)
        assert (names == name).mean() == pytest.approx(share, abs=5 * spread)
    assert (assign_buckets(frames, height, width, buckets, seed=7) == found).all()
    assert (assign_buckets(frames, height, width, buckets, seed=8) != found).any()


def test_a_python_config_is_parsed_and_not_run(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert read_bucket_config(config).buckets == BUCKETS
    assert not (tmp_path / "made_by_the_config").exists()


_LEVELS = '{"1": [1, 52], "51": [[0.5, 0.4], 4]}'
_GUESSED = 'bucket_config = {"480p": {1: (475, 0), 51: ((0.5, 0.4), 4)}}'
_YAML = "dataset: {frame_interval: 2}\nbucket_config:\n  480p: {1: [1.0, 52], 51: [[0.5, 0.4], 4]}\n"


@pytest.mark.parametrize(
    ("name", "text", "interval"),
    [
        ("a.json", f'{{"480p": {_LEVELS}}}', 1),
        ("b.json", f'{{"frame_interval": 3, "bucket_config": {{"480p": {_LEVELS}}}}}', 3),
        ("c.yaml", _YAML, 2),
        ("d.toml", "[bucket_config.480p]\n1 = [1.0, 52]\n51 = [[0.5, 0.4], 4]\n", 1),
        ("e.py", 'frame_interval = 4\nbucket_config = {"480p": {1: (1.0, 52), 51: ((0.5, 0.4), 4)}}\n', 4),
        ("f.py", f'dataset = {{"frame_interval": 5}}\n{_GUESSED}', 5),
    ],
)
def test_the_same_buckets_in_every_format(tmp_path, name, text, interval):
    if name.endswith(".toml"):
        pytest.importorskip("tomllib", reason="tomllib came with Python 3.11")
    path = tmp_path / name
    path.write_text(text)
    training = read_bucket_config(path)
    keep = 475 if name == "f.py" else 1.0  # configs of the search for batch sizes have a guess there
    assert training.buckets == {"480p": {1: Share(keep), 51: Share(0.5, 0.4)}}
    assert training.frame_interval == interval


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("a.py", "buckets = {}", "no bucket_config"),
        ("a.py", "bucket_config = make()", "line 1: bucket_config must be written out"),
        ("a.py", 'bucket_config = {"480p": {1: (__import__("os").getpid(), 2)}}', "written out"),
        ("a.py", "bucket_config = {", "not a Python file"),
        ("a.py", 'bucket_config = {"481p": {1: (1.0, 2)}}', "no resolution '481p'; there are 144p"),
        ("a.py", 'bucket_config = {"480p": {0: (1.0, 2)}}', "0 is no number of frames"),
        ("a.py", 'bucket_config = {"480p": {1: (-0.5, 2)}}', "must be .probability, batch size."),
        ("a.py", 'bucket_config = {"480p": {1: "x"}}', "must be .probability, batch size."),
        (
            "a.py",
            'frame_interval = n\nbucket_config = {"480p": {1: (1, 2)}}',
            "frame_interval must be a whole",
        ),
        ("a.json", "[1]", "no bucket_config"),
        ("a.json", "{", "not JSON"),
        ("a.yaml", "a: [", "not YAML"),
        ("a.txt", "x", "not a bucket config; its name ends in"),
    ],
)
def test_bad_configs_are_one_line(tmp_path, name, text, complaint):
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=complaint) as error:
        read_bucket_config(tmp_path / name)
    assert "\n" not in str(error.value) and name in str(error.value)


@pytest.fixture
def meta(tmp_path):
    path = tmp_path / "meta.csv"
    rows = [f'{i:03}.mp4,"caption, ""{i}""",60,480,854' for i in range(10)]
    rows += ["010.mp4,,60,854,480", "011.mp4,,30,480,854", "012.mp4,,,480,854", "013.mp4,,0,,"]
    path.write_text("path,text,num_frames,height,width\n" + "\n".join(rows) + "\n")
    return path


def test_the_first_rows_of_each_bucket_are_taken(meta, config, tmp_path):
    result = split_by_bucket([meta], config, output=tmp_path / "out.csv", limit=3)
    table = read_table(tmp_path / "out.csv")
    assert table["path"].to_list() == ["000.mp4", "001.mp4", "002.mp4", "010.mp4"]
    assert table["bucket"].to_list() == ["480p_51_0.56"] * 3 + ["480p_51_1.78"]
    assert table["text"][1] == 'caption, "1"'
    assert result.fitting == {"480p_51_0.56": 10, "480p_51_1.78": 1}
    assert result.taken == {"480p_51_0.56": 3, "480p_51_1.78": 1}
    assert (result.without_size, result.without_bucket) == (2, 1)


def test_every_row_is_counted_once_and_names_are_unchanged_by_a_second_split(meta, config, tmp_path):
    first = split_by_bucket([meta], config, limit=1000)
    assert first.outputs == [tmp_path / "meta_split.csv"]
    assert sum(first.fitting.values()) + first.without_size + first.without_bucket == 14
    again = split_by_bucket(first.outputs, config, output=tmp_path / "again.csv", limit=1000)
    assert again.outputs[0].read_bytes() == first.outputs[0].read_bytes()


def test_several_tables_are_one_and_the_limit_holds_over_all(meta, config, tmp_path):
    (tmp_path / "b.csv").write_text("path,num_frames,height,width\nb.mp4,60,480,854\nc.jpg,1,256,256\n")
    result = split_by_bucket([meta, tmp_path / "b.csv"], config, limit=10)
    assert result.outputs == [tmp_path / "meta+b_split.csv"]
    assert result.taken == {"480p_51_0.56": 10, "480p_51_1.78": 1, "256_1_1.00": 1}
    assert read_table(result.outputs[0])["path"].to_list()[-1] == "c.jpg"


def test_a_table_for_each_bucket(meta, config, tmp_path, capsys):
    main([str(meta), "-c", str(config), "-l", "2", "--per-bucket", "-o", str(tmp_path / "x.parquet")])
    out, err = capsys.readouterr()
    assert out.splitlines() == [str(tmp_path / f"x_480p_51_{ratio}.parquet") for ratio in ("0.56", "1.78")]
    assert read_table(tmp_path / "x_480p_51_0.56.parquet")["path"].to_list() == ["000.mp4", "001.mp4"]
    assert "2 of 125 buckets have rows" in err  # (2 + 3) x 17 ratios of the video classes, 40 of 256
    assert "3 of 11 rows that fit a bucket are taken" in err


def test_bad_input_is_one_line(meta, config, tmp_path):
    before = meta.read_bytes()
    with pytest.raises(UserError, match="would overwrite the input"):
        split_by_bucket([meta], config, output=meta)
    assert meta.read_bytes() == before
    (tmp_path / "short.csv").write_text("path,num_frames,height,width\na.mp4,3,480,854\nb.mp4,,,\n")
    with pytest.raises(UserError, match=r"none of 2 rows fits .* 1 are too small or too short, 1 have no"):
        split_by_bucket([tmp_path / "short.csv"], config)
    (tmp_path / "bare.csv").write_text("path\na.mp4\n")
    with pytest.raises(UserError, match="no column 'num_frames'"):
        split_by_bucket([tmp_path / "bare.csv"], config)
    (tmp_path / "guess.py").write_text('bucket_config = {"480p": {51: (475, 0)}}')
    with pytest.raises(UserError, match="480p: 51: 475 is no probability"):
        split_by_bucket([meta], tmp_path / "guess.py", seed=1)
    assert not list(tmp_path.glob("*_split.csv"))
