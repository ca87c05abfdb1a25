import pytest
from wcwidth import wcswidth

from tools.datasets.show import main, render_table
from tools.errors import UserError


def test_cells_are_aligned_and_long_paths_lose_their_beginning(tmp_path):
    meta = tmp_path / "m.csv"
    meta.write_text(f"path,id,text\n/{'d' * 80}/a.mp4,007,{'t' * 80}\nb.mp4,8,\n")
    header, first, second, total = render_table(meta).splitlines()
    assert first.index("007") == second.index("8") == header.index("id")
    assert "d/a.mp4 " in first
    assert first.endswith("t…")
    assert total == "2 rows"


def test_rows_and_columns_are_chosen(tmp_path):
    meta = tmp_path / "m.csv"
    meta.write_text("path,id\n" + "a,1\n" * 30)
    assert render_table(meta, rows=2, columns=["id"]).splitlines() == [
        "id",
        "1",
        "1",
        "30 rows, the first 2 are shown",
    ]
    with pytest.raises(UserError, match="no column 'aes'"):
        render_table(meta, columns=["aes"])


WIDE = ["x", "漢字", "e\u0301te\u0301", "👩\u200d👩\u200d👧", "👍🏽", "🇫🇷", "ｶﾀｶﾅ", "한국어", "नमस्ते"]


def test_columns_are_aligned_by_the_width_of_their_characters(tmp_path):
    meta = tmp_path / "m.csv"
    meta.write_text("text,n\n" + "".join(f"{text},|\n" for text in WIDE))
    lines = render_table(meta).splitlines()[1:-1]
    assert {wcswidth(line[: line.index("|")]) for line in lines} == {max(map(wcswidth, WIDE)) + 2}


def test_long_cells_are_cut_by_width_and_never_within_a_character(tmp_path):
    meta = tmp_path / "m.csv"
    family, accented = "👩\u200d👩\u200d👧", "e\u0301"
    meta.write_text(f"text,path\n{'漢' * 50},{family * 50}\n{accented * 80},{'字' * 50}\n")
    (_, first, second, _) = render_table(meta).splitlines()
    assert first == "漢" * 29 + "…   " + "…" + family * 19  # 60 and 40 columns, of two each and the dots
    assert second == accented * 59 + "…  " + "…" + "字" * 19


def test_no_cell_acts_on_the_terminal(tmp_path):
    meta = tmp_path / "m.csv"
    meta.write_text("text,n\n\x1b[31mred\x07,1\n\u202eabc,2\n")
    (_, *lines, _) = render_table(meta).splitlines()
    assert lines == ["�[31mred�  1", "�abc       2"]


def test_rows_are_sorted_by_a_column(tmp_path, capsys):
    meta = tmp_path / "m.csv"
    meta.write_text("id,aes,text\na,9,x\nb,10,é\nc,,z\nd,-3,y\n")

    def order(*words):
        main([str(meta), "--columns", "id", *words])
        return "".join(capsys.readouterr().out.split()[1:5])

    assert order("--sort", "aes") == order("--sort=aes") == "dabc"
    assert order("--sort", "-aes") == order("--sort=-aes") == "badc"
    assert order("--sort", "text") == "adcb"
    assert order("--rows", "1", "--sort", "-aes").startswith("b")
    with pytest.raises(UserError, match="no column 'motion'"):
        main([str(meta), "--sort", "-motion"])


@pytest.mark.parametrize("sort", [None, "path"])
def test_a_table_that_cannot_be_read_to_its_end_is_named(tmp_path, sort):
    meta = tmp_path / "meta.jsonl"
    meta.write_text('{"path": "a", "x": true}\n{"path": "b", "x": 1}\n')
    with pytest.raises(
        UserError, match=r"meta\.jsonl: column 'x' holds true or false in record 1 and a number"
    ):
        render_table(meta, sort=sort)
