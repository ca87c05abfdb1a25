"""The file for Embedding Atlas, read as that reads it: with pandas, lists of neighbours stacked."""

import io
import shlex

import numpy as np
import pandas as pd
import polars as pl
import pytest
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from tests.support import make_video
from tools.errors import UserError
from tools.report.__main__ import main
from tools.report.atlas import typed, write_atlas
from tools.report.projection import MOST_ROWS


def scored(rows, seed=0):
    draw = np.random.default_rng(seed)
    columns = {"path": [f"clips/{i}.mp4" for i in range(rows)], "id": [f"{i:03}" for i in range(rows)]}
    numbers = draw.normal(size=(rows, 4)) @ draw.normal(size=(4, 4))
    return pl.DataFrame(columns | dict(zip(["aes", "flow", "my score", "match"], numbers.T, strict=True)))


def jpegs(paths):
    """A picture of each path, but for those that end in 3.mp4."""
    data = io.BytesIO()
    Image.new("RGB", (48, 9), (200, 30, 30)).save(data, "JPEG")
    return [None if path.endswith("3.mp4") else data.getvalue() for path in paths]


def opened(path):
    """As embedding-atlas does: a frame of pandas; for ``--image`` it stacks the neighbours of all rows."""
    frame = pd.read_parquet(path)
    for name in ("ids", "distances"):
        stacked = np.stack([np.array(row[name]) for row in frame["neighbors"]])
        frame.attrs[name] = stacked
    return frame


def test_a_table_of_scores_gets_a_map_neighbours_and_pictures(tmp_path):
    table = scored(40)
    table.write_csv(tmp_path / "meta.csv")
    atlas = write_atlas(tmp_path / "meta.csv", tmp_path / "out.parquet", pictures=jpegs, clips=40)
    found = opened(tmp_path / "out.parquet")
    assert found["id"].tolist() == [f"{i:03}" for i in range(40)]
    scores = table.select("aes", "flow", "my score", "match").to_numpy()
    assert found[["aes", "flow", "my score", "match"]].to_numpy() == pytest.approx(scores)
    expected = PCA(2).fit_transform(StandardScaler().fit_transform(scores))
    for axis, name in enumerate(("projection_x", "projection_y")):
        assert abs(np.corrcoef(found[name], expected[:, axis])[0, 1]) == pytest.approx(1)
        assert np.abs(found[name]).sum() == pytest.approx(np.abs(expected[:, axis]).sum(), rel=1e-5)
    assert found.attrs["ids"].shape == found.attrs["distances"].shape == (40, 15)
    assert found.attrs["ids"][:, 0].tolist() == list(range(40))
    assert (np.diff(found.attrs["distances"], axis=1) >= 0).all()
    assert [type(cell) is bytes for cell in found["image"]] == [i % 10 != 3 for i in range(40)]
    assert Image.open(io.BytesIO(found["image"][0])).size == (48, 9)
    assert "36 of 40 rows; 4 could not be read: empty cells" in str(atlas)
    words = shlex.split(atlas.command)
    assert words[:2] == ["embedding-atlas", str(tmp_path / "out.parquet")]
    flags = dict(zip(words[2::2], words[3::2], strict=True))
    assert set(flags) == {"--x", "--y", "--neighbors", "--image"}
    assert set(flags.values()) <= set(found.columns)


def test_an_empty_score_counts_as_the_mean_and_a_row_without_any_has_no_place(tmp_path):
    table = scored(30).with_columns(pl.lit(1.5).alias("constant"), pl.int_range(30).alias("number"))
    odd = [None, float("nan"), float("inf")]
    table = table.with_columns(pl.Series("aes", odd + table["aes"].to_list()[3:]))
    empty = [29]
    for name in ("aes", "flow", "my score", "match"):
        cells = table[name].to_list()
        table = table.with_columns(
            pl.Series(name, [None if i in empty else cell for i, cell in enumerate(cells)], pl.Float64)
        )
    table = table.with_columns(pl.lit(None, pl.Float64).alias("constant"))
    table.write_parquet(tmp_path / "meta.parquet")
    atlas = write_atlas(tmp_path / "meta.parquet", tmp_path / "out.parquet")
    found = opened(tmp_path / "out.parquet")
    numbers = (
        table.select("aes", "flow", "my score", "match").to_pandas().replace([np.inf, -np.inf], np.nan)[:29]
    )
    standard = ((numbers - numbers.mean()) / numbers.std(ddof=0)).fillna(0)
    expected = PCA(2).fit_transform(standard)
    assert np.abs(found["projection_x"][:29].to_numpy()) == pytest.approx(
        np.abs(expected[:, 0]), rel=1e-4, abs=1e-5
    )
    assert np.isnan(found["projection_x"][29]) and np.isnan(found["projection_y"][29])
    assert set(found.attrs["ids"][29]) == {29}
    assert "PCA of 4 standardised scores" in str(atlas) and "1 row without: empty cells" in str(atlas)


def test_embeddings_in_a_parquet_beside_the_table_are_matched_by_path(tmp_path):
    table, draw = scored(50), np.random.default_rng(3)
    vectors = draw.normal(size=(50, 8)).astype(np.float32)
    order = draw.permutation(50)
    cells = [None if i == 7 else vectors[i].tolist() for i in order]
    paths = [table["path"][int(i)] for i in order]
    pl.DataFrame({"path": [*paths, "another.mp4"], "embedding": [*cells, [0.0] * 8]}).write_parquet(
        tmp_path / "any name.parquet"
    )
    table.write_csv(tmp_path / "meta.csv")
    assert "any name.parquet" in str(write_atlas(tmp_path / "meta.csv", tmp_path / "out.parquet"))
    found = opened(tmp_path / "out.parquet")
    known = np.delete(np.arange(50), 7)
    expected = PCA(2).fit_transform(vectors[known].astype(np.float64))
    assert np.abs(found["projection_x"][known].to_numpy()) == pytest.approx(
        np.abs(expected[:, 0]), rel=1e-5, abs=1e-6
    )
    assert np.isnan(found["projection_x"][7])
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = unit[0] @ unit[found.attrs["ids"][0]].T
    assert found.attrs["distances"][0] == pytest.approx(1 - cosines, abs=1e-6)


def test_embeddings_in_a_npy_are_taken_when_they_are_named_or_have_the_name_of_the_table(tmp_path, capsys):
    scored(20).write_csv(tmp_path / "meta.csv")
    vectors = np.random.default_rng(1).normal(size=(20, 5)).astype(np.float32)
    vectors[4] = np.nan
    np.save(tmp_path / "clips.npy", vectors)
    arguments = [str(tmp_path / "meta.csv"), "--atlas", str(tmp_path / "out.parquet"), "--clips", "0"]
    main(arguments)
    printed = capsys.readouterr().out
    assert "standardised scores" in printed and "clips.npy has as many rows as the table" in printed
    assert printed.splitlines()[-1] == str(tmp_path / "out.parquet")
    main([*arguments, "--embeddings", str(tmp_path / "clips.npy")])
    assert "5 numbers a row" in capsys.readouterr().out
    named = pd.read_parquet(tmp_path / "out.parquet")["projection_x"]
    assert np.isnan(named[4]) and named.notna().sum() == 19
    (tmp_path / "clips.npy").rename(tmp_path / "meta.npy")
    main(arguments)
    assert pd.read_parquet(tmp_path / "out.parquet")["projection_x"].equals(named)


def test_own_columns_of_these_names_stay_and_new_ones_get_a_number(tmp_path):
    table = scored(12).with_columns(pl.lit("mine").alias("Image"), pl.lit("mine").alias("neighbors"))
    table.with_columns(pl.lit("<script>").alias("text")).write_parquet(tmp_path / "meta.parquet")
    for _ in range(2):  # the second one replaces what the first has made
        atlas = write_atlas(tmp_path / "meta.parquet", tmp_path / "out.parquet", pictures=jpegs)
    found = pd.read_parquet(tmp_path / "out.parquet")
    assert set(found["Image"]) == set(found["neighbors"]) == {"mine"}
    assert type(found["image_1"][0]) is bytes and len(found["neighbors_1"][0]["ids"]) == 12
    assert "--image image_1" in atlas.command and "--neighbors neighbors_1" in atlas.command
    assert atlas.command.endswith("--text text")


def test_a_budget_of_pictures_is_drawn_the_same_each_time(tmp_path):
    scored(200).write_csv(tmp_path / "meta.csv")
    asked = []
    for seed in (1, 1, 2):

        def pictures(paths):
            asked.append(paths)
            return jpegs(paths)

        write_atlas(tmp_path / "meta.csv", tmp_path / "out.parquet", pictures=pictures, clips=25, seed=seed)
    assert asked[0] == asked[1] != asked[2] and len(set(asked[0])) == 25
    found = pd.read_parquet(tmp_path / "out.parquet").set_index("path")["image"]
    expected = [path for path in found.index if path in asked[2] and not path.endswith("3.mp4")]
    assert found.index[found.notna()].tolist() == expected


def test_above_the_limit_neighbours_are_left_out_with_a_word(tmp_path):
    rows = MOST_ROWS + 1
    table = pl.DataFrame({"path": ["a.mp4"] * rows, "aes": np.arange(rows) % 7, "flow": np.arange(rows) % 3})
    table.write_parquet(tmp_path / "meta.parquet")
    atlas = write_atlas(tmp_path / "meta.parquet", tmp_path / "out.parquet")
    assert "neighbors: left out, as 50,001 rows are more than 50,000" in str(atlas)
    assert "--neighbors" not in atlas.command
    found = pd.read_parquet(tmp_path / "out.parquet")
    assert len(found) == rows and "neighbors" not in found and found["projection_x"].notna().all()


def test_nothing_to_compare_by_leaves_the_map_out(tmp_path):
    (tmp_path / "meta.csv").write_text("path,kind\na.mp4,x\nb.mp4,y\n")
    atlas = write_atlas(tmp_path / "meta.csv", tmp_path / "out.parquet")
    assert atlas.command.endswith("out.parquet --disable-projection")
    assert pd.read_parquet(tmp_path / "out.parquet").columns.tolist() == ["path", "kind"]


def test_columns_of_a_csv_that_are_numbers_become_numbers_and_names_stay_text():
    frame = pl.LazyFrame(
        {
            "whole": ["1", None, "-20"],
            "real": ["1.5", "", "1e3"],
            "gaps": ["nan", "inf", "0.5"],
            "zeros": ["007", "12", "13"],
            "long": ["12345678901234567890", "1", "2"],
            "mixed": ["1", "2", "x"],
            "empty": [None, None, None],
        },
        schema=dict.fromkeys(["whole", "real", "gaps", "zeros", "long", "mixed", "empty"], pl.String),
    )
    found = typed(frame).collect()
    kinds = [pl.Int64, pl.Float64, pl.Float64, *[pl.String] * 4]
    assert found.dtypes == kinds
    assert found["whole"].to_list() == [1, None, -20] and found["real"].to_list() == [1.5, None, 1000]


BAD = {
    "out.csv": ({}, "reads Parquet"),
    "meta.parquet": ({}, "would overwrite the input"),
    "other.parquet": ({}, "has columns that the new file would lack .precious.; --overwrite"),
    "text.parquet": ({}, "is in the way, --overwrite replaces it"),
    "a.parquet": ({"embeddings": "none.npy"}, "no such file of embeddings"),
    "b.parquet": ({"embeddings": "short.npy"}, "has 3 rows, the table 10"),
    "c.parquet": ({"embeddings": "flat.npy"}, "not a line of numbers a row"),
    "d.parquet": ({"embeddings": "text.parquet"}, "no file of embeddings"),
    "e.parquet": ({"embeddings": "other.parquet"}, "no file of embeddings"),
    "f.parquet": ({"embeddings": "strangers.parquet"}, "none of its paths is in the table"),
    "g.parquet": ({"embeddings": "ragged.parquet"}, "vectors of 2 and of 3 numbers"),
    "h.parquet": ({"embeddings": "meta.txt"}, "are read from .npy and .parquet"),
    "i.parquet": ({"projection": "tsne"}, "is none of pca, umap"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_and_replaces_nothing(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    scored(10).write_parquet("meta.parquet")
    pl.DataFrame({"precious": [1]}).write_parquet("other.parquet")
    for text in ("text.parquet", "meta.txt"):
        (tmp_path / text).write_text("no table")
    np.save("short.npy", np.ones((3, 2), np.float32))
    np.save("flat.npy", np.ones(10, np.float32))
    pl.DataFrame({"path": ["x.mp4"], "embedding": [[1.0, 2.0]]}).write_parquet("strangers.parquet")
    paths = [f"clips/{i}.mp4" for i in range(2)]
    pl.DataFrame({"path": paths, "embedding": [[1.0, 2.0], [1.0, 2.0, 3.0]]}).write_parquet("ragged.parquet")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    options, message = BAD[name]
    with pytest.raises(UserError, match=message) as error:
        write_atlas("meta.parquet", name, **options)
    assert "\n" not in str(error.value)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_table_without_rows_is_refused_and_overwrite_replaces(tmp_path):
    (tmp_path / "none.csv").write_text("path,aes\n")
    with pytest.raises(UserError, match="has no rows"):
        write_atlas(tmp_path / "none.csv", tmp_path / "out.parquet")
    scored(5).write_csv(tmp_path / "meta.csv")
    (tmp_path / "out.parquet").write_text("no table")
    write_atlas(tmp_path / "meta.csv", tmp_path / "out.parquet", overwrite=True)
    assert len(pd.read_parquet(tmp_path / "out.parquet")) == 5


def test_pictures_are_frames_of_the_clips(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    make_video(tmp_path / "a clip.mp4", pictures=[np.full((64, 96, 3), (200, 0, 0), np.uint8)] * 8)
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    table = pl.DataFrame(
        {"path": ["a clip.mp4", "gone.mp4", "broken.mp4"], "aes": [1, 2, 3], "flow": [1, 4, 2]}
    )
    table.write_csv("meta.csv")
    main(["meta.csv", "--atlas", "out.parquet"])
    printed = capsys.readouterr().out
    assert "image: frames of 1 of 3 rows; 2 could not be read: empty cells" in printed
    assert printed.splitlines()[-1] == "out.parquet"
    images = pd.read_parquet("out.parquet")["image"]
    picture = np.asarray(Image.open(io.BytesIO(images[0])))
    assert picture.shape[1] > 2 * picture.shape[0]  # several frames side by side
    assert np.abs(picture.reshape(-1, 3).mean(axis=0) - (200, 0, 0)).max() < 8
    assert images.isna().tolist() == [False, True, True]
    main(["meta.csv", "--atlas", "out.parquet", "--clips", "0"])
    assert "image" not in pd.read_parquet("out.parquet")
    (tmp_path / "a clip.mp4").unlink()
    main(["meta.csv", "--atlas", "out.parquet"])
    assert "image: left out, as none of 3 files could be read" in capsys.readouterr().out


def test_arrays_become_lists_that_pandas_reads(tmp_path):
    cells = pl.Series([[1.0, 2.0], None, [3.0, 5.0]], dtype=pl.Array(pl.Float32, 2))
    pl.DataFrame({"path": ["a", "b", "c"], "embedding": cells}).write_parquet(tmp_path / "meta.parquet")
    write_atlas(tmp_path / "meta.parquet", tmp_path / "out.parquet")
    found = pd.read_parquet(tmp_path / "out.parquet")
    assert found["embedding"][2].tolist() == [3, 5] and found["embedding"][1] is None
    assert found["projection_x"].isna().tolist() == [False, True, False]


def test_of_several_tables_and_of_a_folder_the_last_one_is_written_parts_as_a_whole(tmp_path, capsys):
    table = scored(12)
    folder = tmp_path / "tables"
    folder.mkdir()
    table.select("path", "id").write_csv(folder / "meta.csv")
    marks = pl.int_range(12).alias("_row"), (pl.int_range(12) % 2).cast(pl.String).add("/2").alias("_part")
    for rank in (0, 1):
        part = table.with_columns(marks).filter(pl.int_range(12) % 2 == rank)
        part.write_csv(folder / f"meta_aes_part{rank}.csv")
    parts = [str(folder / f"meta_aes_part{rank}.csv") for rank in (0, 1)]
    for given in ([str(folder)], [str(folder / "meta.csv"), *parts]):
        main([*given, "--atlas", str(tmp_path / "out.parquet"), "--clips", "0"])
        found = pd.read_parquet(tmp_path / "out.parquet")
        assert found["path"].tolist() == table["path"].to_list() and "projection_x" in found
    main([str(folder / "meta.csv"), "--atlas", str(tmp_path / "first.parquet"), "--clips", "0"])
    assert "aes" not in pd.read_parquet(tmp_path / "first.parquet")
    table.with_columns(marks).write_parquet(folder / "scored_part0.parquet")
    for given in (folder, folder / "scored_part0.parquet"):
        with pytest.raises(UserError, match="would overwrite the input"):
            main([str(given), "--atlas", str(folder / "scored_part0.parquet"), "--overwrite"])
