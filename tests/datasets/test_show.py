import pytest

from tools.datasets.show import render_table
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
