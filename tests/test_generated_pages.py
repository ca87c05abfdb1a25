"""What scripts write into the documentation is what the code says."""

import importlib

import page_parts
import pytest
import trainer_pages
from write_docs import PARTS

from tools.commands import COMMANDS
from tools.export.presets import TRAINERS

DOCS = page_parts.DOCS


@pytest.mark.parametrize("name", PARTS)
def test_the_pages_are_up_to_date(name):
    texts = importlib.import_module(name).texts()
    assert texts and not page_parts.stale(texts), "python scripts/write_docs.py writes them"


def test_each_command_and_each_trainer_has_a_page():
    commands = {page.stem for page in (DOCS / "commands").glob("*.md")}
    assert commands == {command.name for command in COMMANDS}
    assert {page.stem for page in (DOCS / "trainers").glob("*.md")} == TRAINERS.keys()
    assert "93 frames and fewer: another clip is drawn" in trainer_pages.page(TRAINERS["cosmos"])
    assert (DOCS / "export.md").read_text().count("| `wan2.2-a14b@diffusion-pipe` |") == 1


def test_a_part_is_replaced_and_what_is_around_it_stays():
    page = "a\n\n<!-- kinds -->\nold\n<!-- /kinds -->\n\nb <!-- other -->\n"
    new = page_parts.with_part(page, "kinds", r"\1 new")
    assert new == "a\n\n<!-- kinds -->\n\n\\1 new\n\n<!-- /kinds -->\n\nb <!-- other -->\n"
    with pytest.raises(ValueError, match=r"other .* 0 times"):
        page_parts.with_part(new, "other", "gone")
    table = page_parts.markdown_table(("", "", "a"), [("1", "", ""), ("", "2", "")])
    assert table == "| | | a |\n|---|---|---|\n| 1 | | |\n| | 2 | |"


def test_check_names_what_is_old_and_leaves_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(page_parts, "ROOT", tmp_path)
    folder = tmp_path / "pages"
    folder.mkdir()
    for name in ("same", "old", "gone"):
        (folder / f"{name}.md").write_text(name)

    def texts():
        wanted = {"same": "same", "old": "changed", "new": "new"}
        return page_parts.whole_folder(folder, {folder / f"{name}.md": wanted[name] for name in wanted})

    for arguments, code in ((["--check"], 1), ([], 0)):
        monkeypatch.setattr("sys.argv", ["script", *arguments])
        assert page_parts.write_or_check(texts) == code
        assert set(capsys.readouterr().out.split()) == {f"pages/{name}.md" for name in ("old", "gone", "new")}
        assert (folder / "gone.md").exists() == (arguments == ["--check"])
    monkeypatch.setattr("sys.argv", ["script", "--check"])
    assert page_parts.write_or_check(texts) == 0 and capsys.readouterr().out == ""
    assert {page.stem: page.read_text() for page in folder.iterdir()} == {
        "same": "same",
        "old": "changed",
        "new": "new",
    }
