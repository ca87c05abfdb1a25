"""Expected values: what a CommonMark renderer and a YAML parser make of the texts."""

import html
import re

import pytest
import yaml

from tools.report.audit.markdown import code, plain, table, yaml_text

markdown_it = pytest.importorskip("markdown_it", reason="renders the Markdown (comes with transformers)")
RENDERER = markdown_it.MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])

TEXTS = [
    "plain words, a-b_c.csv and 3.5 %",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "**bold** _it_ ~~gone~~ `code` ``two``",
    "a | b || c",
    "a\\|b \\ c\\",
    "[link](http://x.y) ![image](x) [a]: b",
    "# heading",
    "- item",
    "+ item",
    "1. item",
    "12) item",
    "=== ---",
    "> quote",
    "&amp; &#42; &lt;b&gt;",
    "<!-- hidden -->",
    "`",
    "```sh",
    "|",
    "$x^2$",
    "名前 🎬 ü",
]


def _shown(rendered):
    """The text that a reader sees, and the tags around it."""
    return html.unescape(re.sub(r"<[^>]*>", "", rendered)).strip(), re.findall(r"</?(\w+)", rendered)


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_shown_as_it_is(text):
    assert _shown(RENDERER.render(plain(text))) == (text, ["p", "p"])


@pytest.mark.parametrize("text", TEXTS)
def test_code_is_shown_as_it_is(text):
    assert _shown(RENDERER.render(code(text))) == (text, ["p", "code", "code", "p"])


@pytest.mark.parametrize("made", [plain, code])
def test_texts_stay_in_their_cells(made):
    rendered = RENDERER.render(table(("a", "b"), [(made(text), "7") for text in TEXTS], 1))
    cells = [_shown(cell)[0] for cell in re.findall(r"<td.*?>(.*?)</td>", rendered)]
    assert cells == [cell for text in TEXTS for cell in (text, "7")]
    assert "text-align:right" in rendered and rendered.count("<table>") == 1


def test_several_lines_are_one():
    assert plain("a\n\n# b\r\n- c") == "a # b - c"
    assert code("a\n\nb") == "`a b`"
    assert "\n" not in yaml_text("a\nb: c")


def test_nothing_is_code_too():
    assert _shown(RENDERER.render(f"a {code('')} b"))[0] == "a  b"


@pytest.mark.parametrize("text", ["http://a.b/c", "https://a.b", "see www.a.b", "s3://bucket/a"])
def test_addresses_do_not_become_links(text):
    """GitHub and the Hub make links of what has no escaped sign in it."""
    assert text not in plain(text) and _shown(RENDERER.render(plain(text)))[0] == text


@pytest.mark.parametrize("text", [*TEXTS, "yes", "007", "a: b # c", "\u2028\x85\x1b[31m\ud800\ufffe"])
def test_yaml_gives_the_text_back(text):
    shown = yaml.safe_load(f"name: {yaml_text(text)}\nnext: 1")
    expected = re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\ud800-\udfff\ufffe]", "\ufffd", " ".join(text.split()))
    assert shown == {"name": expected, "next": 1}
