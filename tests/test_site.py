"""The site of the documentation: every page is in its navigation, and its links lead somewhere."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import site_pages
import yaml

ROOT = Path(__file__).resolve().parents[1]
NAV = site_pages.with_whole_folders(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])


def pages_of(nav) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    entries = nav.values() if isinstance(nav, dict) else nav
    return [page for entry in entries for page in pages_of(entry)]


def test_every_page_is_in_the_navigation_once():
    docs = ROOT / "docs"
    pages = [page.relative_to(docs).as_posix() for page in docs.rglob("*.md")]
    assert sorted(pages_of(NAV)) == sorted([*pages, *site_pages.ELSEWHERE.values()])


@pytest.mark.parametrize(
    ("place", "markdown", "expected"),
    [
        ("README.md", "[a](docs/coming_from/las.md)", "[a](coming_from/las.md)"),
        ("docs/tutorial.md", "[a](../README.md) [b](hdr.md#x)", "[a](index.md) [b](hdr.md#x)"),
        ("docs/coming_from/las.md", "[w](../../pretrained_models/README.md#x)", "[w](../weights.md#x)"),
        ("docs/coming_from/las.md", "[w](../las.md)", "[w](../las.md)"),
        ("benchmarks/README.md", "[a](../docs/hdr.md) ![p](images/p.png)", "[a](hdr.md) ![p](images/p.png)"),
        ("README.md", "![p](docs/pictures/tutorial_kept.webp)", "![p](pictures/tutorial_kept.webp)"),
        ("README.md", "[LICENSE](LICENSE)", "LICENSE"),  # a file of the checkout that the site does not have
        ("docs/hdr.md", "[a](nowhere.md)", "[a](nowhere.md)"),
        ("docs/hdr.md", "[a](https://example.com/b.md)", "[a](https://example.com/b.md)"),
    ],
)
def test_links_become_those_of_the_site(place, markdown, expected):
    assert site_pages.with_links_of_the_site(markdown, place) == expected


def test_the_site_can_be_built_and_all_its_links_lead_somewhere(tmp_path):
    pytest.importorskip("mkdocs", reason="the site is built with mkdocs (extra docs)")
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--quiet",
        "--strict",
        "--site-dir",
        str(tmp_path / "site"),
    ]
    run = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert (tmp_path / "site" / "coming_from" / "opensora" / "index.html").exists()
    assert "true|false</code></td>" in (tmp_path / "site" / "datautil" / "index.html").read_text()
    assert 'href="weights/"' in (tmp_path / "site" / "index.html").read_text()
    assert 'src="pictures/tutorial_kept.webp"' in (tmp_path / "site" / "index.html").read_text()
