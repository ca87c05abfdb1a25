"""Checks of captions, on captions that were labelled by hand: what is wrong with each, or that nothing is."""

from __future__ import annotations

import time

import polars as pl
import pytest

from tools.caption.caption_checks import main
from tools.caption.checks.camera import camera_claims, contradicts_motion
from tools.caption.checks.form import is_repetitive
from tools.caption.checks.phrases import echoes_prompt
from tools.caption.checks.quotes import quoted, quotes_unseen_text
from tools.caption.checks.stage import FLAGS, check_caption
from tools.caption.prompts import PROMPTS
from tools.table import read_table

GOOD = [
    "A man in a blue jacket walks his dog along a wet pavement. Cars pass behind him, and their lights shine "
    "in the puddles. The camera follows him from the side.",
    "two cats asleep on a sofa",
    "A dog",
    "Playing the guitar",
    "A chef shakes a pan to the left of the stove, then adds salt, pepper and oil to the pan. Steam rises.",
    "A very, very, very small frog sits on a leaf. It looks around.",
    "Knock, knock, knock: a hand in a grey glove hits a wooden door.",
    'A neon sign above the bar reads "OPEN". A woman pulls the door and walks in.',
    'The sign in the window says "I\'m sorry, we are closed". Rain runs down the glass.',
    "Rows of tulips, red, yellow, white and violet, fill the field up to a line of poplars. Wind moves them…",
    "In a video store, an employee sorts DVDs. The image of a film star hangs on the wall behind her.",
    "The frame is made of wood and holds a mirror. Someone polishes the glass with a cloth.",
    "A girl is sorry to leave; she waves from the train window while her grandparents wave back.",
    "A boy asks for help with a heavy suitcase. A woman in uniform assists him up the stairs.",
    "Two runners pass the finish line. The first raises her arms; the second bends over and breathes hard.",
    "The man in the blue shirt serves, and the man in the white shirt returns the ball. The man in the blue "
    "shirt runs to the net and scores. The crowd cheers.",
    "A security camera is fixed to the wall of a warehouse. Below it, a forklift moves left past pallets.",
    "Snow falls on a mountain village at night!",
    "Ein Zug fährt über eine Brücke. Unter ihr fließt ein Fluss.",
    "一只猫坐在窗台上。外面正在下雪。",
    "Time-lapse of clouds over a city [aesthetic score: 5.5, motion score: 3.1]",
    "A sure hand draws a circle on the board. Certainly skilled, the teacher needs no compass.",
    "Great white sharks circle a cage under water. Bubbles rise from the divers.",
    "An AI conference: a speaker in a red dress talks to a full hall. As an artist draws, people clap.",
    "A title card fades in. Then a user types on a laptop, and the system starts.",
    "The caption on the wall beside a painting is lit by a small lamp. A visitor bends down to it.",
    "{Untitled} is painted on a wall; below it a fence [broken] leans over.",
    "[Music] A band plays in a garage.",
    '"Stop" and "Go" stand on two signs.',
    '"Open 24 hours"',
    "The temperature is 20 °C, and a naïve café owner sweeps « Chez Ângela ».",
    "A laughing man: ha ha ha! The crowd claps!!! Hooray...",
    "A score of 1,000,000 on a screen, a line of dashes ---------- below it.",
    "First, we see a dog. Then a cat comes in.",
    "So many birds fly over the lake that the sky is dark.",
    # what is near to a refusal in other languages
    "一个男人抱歉地笑了笑，然后离开房间。",
    "作为人工智能展览的一部分，一台机器人在跳舞。",
    "雾很大，无法看清远处的山。",
    "Eine Frau posiert als KI-generierte Figur. Ein Mann kann nicht aufhören zu lachen.",
    "Une femme pose en tant que modèle. Elle ne peut pas s'arrêter de rire.",
    "Un hombre no puede abrir la puerta. Parece que lo siente.",
    "Uma mulher triste canta um lamento na praia.",
    "Девушка держит цветок, яркий как искусственный.",
    "Một chiếc xe là một mô hình bằng gỗ.",
    "男性の顔は影になっていて見えません。",
    "얼굴을 볼 수 없는 남자가 걷는다.",
    "رجل يمشي في الشارع.",
    "एक आदमी सड़क पर चल रहा है।",
    "ผู้ชายกำลังเดินบนถนน",
]

BAD = [
    ("", "empty"),
    ("   ", "empty"),
    ("A woman walks along the beach. She picks up a shell and puts it into her", "cut_off"),
    ("A woman walks along the beach. The waves are high today and the wind", "cut_off"),
    ("A man in a suit, a hat, and", "cut_off"),
    ("A tall building made of", "cut_off"),
    ("A boy with a red ball,", "cut_off"),
    ("一只猫坐在窗台上。外面", "cut_off"),
    ("The cat sits on the mat. " * 3, "repetitive"),
    ("A street with cars and cars and cars and cars and cars and cars.", "repetitive"),
    ("A tree tree tree tree tree tree tree.", "repetitive"),
    (
        "A room with a table, a chair, a lamp, a table, a chair, a lamp, a table, a chair, a lamp.",
        "repetitive",
    ),
    (
        "The man wears a black hat and a long grey coat over a white shirt with a tie. Beside him the other "
        "man wears a black hat and a long grey coat over a white shirt too.",
        "repetitive",
    ),
    ("I'm sorry, but I can't help with that request.", "refusal"),
    ("I am unable to view the video you mention.", "refusal"),
    ("Unfortunately, I cannot see any video. Please share a description of it.", "refusal"),
    ("As an AI language model, I do not watch videos.", "refusal"),
    ("No image was provided.", "refusal"),
    ("I’m sorry, I cannot identify people in pictures.", "refusal"),
    ("Please upload the image so that I can describe it.", "refusal"),
    ("I don't have the ability to watch videos.", "refusal"),
    ("Use at most six sentences. A dog runs over a meadow.", "prompt"),
    ("USER: what is this? ASSISTANT: A dog runs over a meadow.", "prompt"),
    ("A dog runs over a meadow.</s>", "prompt"),
    ("A dog runs.<|im_end|>", "prompt"),
    (
        "A cyclist in a yellow rain jacket climbs a winding mountain road in light drizzle. A truck passes.",
        "prompt",
    ),
    ("抱歉，我无法描述这个视频。", "refusal"),
    ("对不起，我不能协助完成这个请求。", "refusal"),
    ("你好，这个问题我暂时无法回答，让我们换个话题再聊聊吧。", "refusal"),
    ("该视频我无法观看。", "refusal"),
    ("实在抱歉，没有看到图片。", "refusal"),
    ("根据相关法律法规，无法描述该内容。", "refusal"),
    ("很抱歉，作为一个AI语言模型，我无法查看图片。", "refusal"),
    ("我目前无法直接查看视频内容。", "refusal"),
    ("請提供圖片，我才能描述。", "refusal"),
    ("無法識別這張圖片。", "refusal"),
    ("您没有上传图片。", "refusal"),
    ("申し訳ありませんが、この動画を説明することはできません。", "refusal"),
    ("画像が提供されていません。", "refusal"),
    ("죄송합니다. 이 동영상을 설명할 수 없습니다.", "refusal"),
    ("저는 이미지를 볼 수 없습니다.", "refusal"),
    ("Es tut mir leid, aber ich kann dieses Video nicht beschreiben.", "refusal"),
    ("Ich kann leider keine Bilder ansehen.", "refusal"),
    ("Je suis désolé, mais je ne peux pas décrire cette vidéo.", "refusal"),
    ("Lo siento, no puedo ayudar con eso.", "refusal"),
    ("No puedo ver el video.", "refusal"),
    ("Desculpe, mas não posso ajudar com isso.", "refusal"),
    ("Mi dispiace, non posso descrivere questo video.", "refusal"),
    ("Извините, я не могу описать это видео.", "refusal"),
    ("Przepraszam, nie mogę opisać tego filmu.", "refusal"),
    ("Het spijt me, ik kan deze video niet beschrijven.", "refusal"),
    ("Üzgünüm, bu videoyu tarif edemem.", "refusal"),
    ("عذرًا، لا أستطيع وصف هذا الفيديو.", "refusal"),
    ("मुझे खेद है, मैं इस वीडियो का वर्णन नहीं कर सकता।", "refusal"),
    ("Xin lỗi, tôi không thể mô tả video này.", "refusal"),
    ("Maaf, saya tidak dapat membantu.", "refusal"),
    ("ขออภัยค่ะ ฉันไม่สามารถอธิบายวิดีโอนี้ได้", "refusal"),
    ("!!!", "empty"),
    ("2024", "empty"),
    ("None", "empty"),
    ("null", "empty"),
    ("NaN.", "empty"),
    ("N/A", "empty"),
    ("**none**", "empty"),
    ('"null"', "empty"),
    ("[]", "empty"),
    ("无", "empty"),
    ("\U0001f600", "empty"),
    ("!" * 300, "repetitive"),
    ("a" * 5000, "repetitive"),
    ("ab" * 30, "repetitive"),
    ("zzzz", "repetitive"),
    ("A a a A a.", "repetitive"),
    ("哈" * 30, "repetitive"),
    ("cat cat cat", "repetitive"),
    ("A table with cups.! ! ! ! !", "repetitive"),
    ("A cat sits on a mat.!!!!!!!!!", "repetitive"),
    ("A cat " + "\U0001f431" * 20, "repetitive"),
    ("A cat runs.\ufffd\ufffd", "damaged"),
    ("A cat\0 runs.", "damaged"),
    ("A catâ€™s tail.", "damaged"),
    ("A cafÃ© by the sea.", "damaged"),
    ("A cat runs.\\ud83d", "damaged"),
    ("A<0xF0><0x9F> cat runs.", "damaged"),
    ("AĠcatĠruns.", "damaged"),
    ('{"caption": "A cat runs in the park."}', "wrapped"),
    ("{'caption': 'A cat runs in the park.'}", "wrapped"),
    ('{"caption": "A cat runs in', "wrapped"),
    ('["A cat runs in the park."]', "wrapped"),
    ('[{"caption": "A cat runs in the park."}]', "wrapped"),
    ("```json\n{}\n```", "wrapped"),
    ("```\nA cat runs in the park.\n```", "wrapped"),
    ('"A cat runs in the park."', "wrapped"),
    ("<answer>A cat runs.</answer>", "wrapped"),
    ("<CAPTION>A cat runs.</CAPTION>", "wrapped"),
    ("<p>A cat runs in the park.</p>", "wrapped"),
    ("A cat &amp; a dog run.", "wrapped"),
    (r"\boxed{A cat runs.}", "wrapped"),
    ("<|begin_of_box|>A cat runs.<|end_of_box|>", "prompt"),
    ("◁think▷hm◁/think▷A cat runs.", "prompt"),
    ("hm</thinking>A cat runs.", "prompt"),
    ("Okay, the user wants a caption of this video.", "prefix"),
    ("The user wants me to describe this video of a cat.", "prefix"),
    ("The video shows a dog that runs over a meadow.", "prefix"),
    ("In this video, a dog runs over a meadow.", "prefix"),
    ("This video showcases an old ship in a calm bay.", "prefix"),
    ("Sure! A dog runs over a meadow.", "prefix"),
    ("Here is a detailed caption for the video: A dog runs over a meadow.", "prefix"),
    ("Here's the caption: A dog runs over a meadow.", "prefix"),
    ("Caption: A dog runs over a meadow.", "prefix"),
    ("**Caption:** A dog runs over a meadow.", "prefix"),
    ("Based on the image, a dog runs over a meadow.", "prefix"),
]


@pytest.mark.parametrize("text", GOOD)
@pytest.mark.parametrize("cmotion", [None, "undetermined", "pan_left+zoom_in"])
def test_nothing_is_wrong_with_good_captions(text, cmotion):
    assert check_caption(text, cmotion=cmotion) == []


@pytest.mark.parametrize(("text", "flag"), BAD)
def test_what_is_wrong_is_found(text, flag):
    assert flag in check_caption(text)


def test_hardly_anything_else_is_found():
    """A bad caption has the flag it was labelled with; a model that loops is often cut off, too."""
    others = {text[:40]: set(check_caption(text)) - {flag} for text, flag in BAD}
    assert sum(map(bool, others.values())) <= 8, others


def test_why_the_model_stopped_is_believed():
    text = "A woman walks along the beach. She picks up a shell and"
    assert check_caption(text, finish="length") == ["cut_off"]
    assert check_caption(text + " leaves.", finish="length") == ["cut_off"]
    assert check_caption("A woman. The beach", finish="stop") == []


def test_several_flags_are_in_their_order():
    text = "The video shows a cat. The cat sits on the mat. The cat sits on the mat. The camera pans left and"
    assert check_caption(text, cmotion="static", same_elsewhere=True) == [
        "cut_off",
        "repetitive",
        "prefix",
        "duplicate",
        "camera",
    ]


def test_the_named_prompts_are_found_in_captions_and_the_users_own():
    for prompt in PROMPTS.values():
        assert echoes_prompt(prompt.fill("a cat"))
    own = "Name the sport in one sentence."
    text = "Name the sport in one sentence. Two teams play football."
    assert echoes_prompt(text, [own]) and not echoes_prompt(text)
    assert not echoes_prompt("A dog.", ["Describe it."])
    so_far = ["Improve this caption: {text} Say more of the light and the colours of the place."]
    assert not echoes_prompt("A long caption of a dog in the park in the evening sun.", so_far)


@pytest.mark.parametrize(
    ("text", "claims"),
    [
        ("The camera pans left.", {"pan_left"}),
        ("the camera slowly pans to the right, following the car", {"pan_right", "moves"}),
        ("The camera pans from left to right across the valley.", {"pan_right"}),
        ("The camera pans right from the left edge.", {"pan_right"}),
        ("The camera pans from the left.", {"moves"}),
        ("The camera tilts up and then zooms in on the face.", {"tilt_up", "zoom_in"}),
        ("The camera pans left, then right.", {"pan_left", "pan_right"}),
        ("The camera is moving closer to the house.", {"zoom_in"}),
        ("The camera gradually pulls back to reveal a city.", {"zoom_out"}),
        ("The camera pushes in.", {"zoom_in"}),
        ("The shot begins to zoom out.", {"zoom_out"}),
        ("A slow pan to the left shows the harbour.", {"pan_left"}),
        ("A cat. Camera motion: pan left, zoom in.", {"pan_left", "zoom_in"}),
        ("The camera rotates clockwise.", {"roll_cw"}),
        ("The camera orbits the statue.", {"moves"}),
        ("The camera pans up to the roof.", {"tilt_up"}),
        ("The camera remains static.", {"static"}),
        ("A static shot of a lake.", {"static"}),
        ("There is no camera movement.", {"static"}),
        ("The camera is not moving.", {"static"}),
        ("The camera stays completely still while people pass.", {"static"}),
        ("The camera is mostly static.", set()),
        ("The camera captures a man moving left.", set()),
        ("The camera shows a car that zooms past.", set()),
        ("A security camera is fixed to a pole.", set()),
        ("A chef moves a pan to the left.", set()),
        ("The video follows a young woman through her day.", set()),
        ("As the camera rolls, the actors begin.", set()),
        ("He looks into the camera and moves right.", set()),
        ("A plane moves up into the sky. The view is clear.", set()),
    ],
)
def test_what_captions_claim_of_the_camera(text, claims):
    assert camera_claims(text) == claims


@pytest.mark.parametrize(
    ("text", "cmotion", "wrong"),
    [
        ("The camera pans left.", "static", True),
        ("The camera pans left.", "pan_right", True),
        ("The camera pans left.", "pan_right+zoom_in", True),
        ("The camera pans left.", "pan_left", False),
        ("The camera pans left.", "pan_left+tilt_up", False),
        ("The camera pans left.", "zoom_in", False),
        ("The camera pans left.", "undetermined", False),
        ("The camera pans left.", "", False),
        ("The camera pans left.", None, False),
        ("The camera pans left, then right.", "pan_right", False),
        ("The camera is still.", "static", False),
        ("The camera is still.", "pan_left", True),
        ("The camera is still.", "shake", False),
        ("The camera is still, then zooms in.", "static", False),
        ("The camera follows a dog.", "static", True),
        ("The camera follows a dog.", "pan_left", False),
        ("The camera zooms out.", "zoom_in", True),
        ("A dog runs left.", "static", False),
    ],
)
def test_claims_against_what_was_measured(text, cmotion, wrong):
    assert contradicts_motion(text, cmotion) is wrong


@pytest.mark.parametrize(
    ("text", "seen", "wrong"),
    [
        ('A sign reads "OPEN".', "OPEN 24h", False),
        ('A sign reads "Open 24 hours".', "0PEN 24 H0URS", False),
        ('A sign reads "OPEN".', "CLOSED", True),
        ('A sign reads "OPEN".', "", True),
        ("A sign reads “Grand Hotel”.", "GRAND HOTEL PALACE", False),
        ("A logo with the word 'NASA' on it.", "ESA 2024", True),
        ("A logo with the word 'NASA' on it.", "N A S A", False),
        ("The 'selfie' pose of the tourists.", "", False),
        ("The dogs' owner and the cats' owner talk.", "", False),
        ("A sign.", "", False),
    ],
)
def test_quotations_against_what_ocr_read(text, seen, wrong):
    assert quotes_unseen_text(text, seen) is wrong


def test_quotations():
    text = "A \"Stop\" sign, a shirt that says 'Go', and the 'best' of \"A\"."
    assert quoted(text) == ["Stop", "Go", "best"]


def test_loops_are_found_in_time_that_grows_with_the_length():
    text = " ".join(f"w{n % 997}" for n in range(40_000))
    start = time.monotonic()
    is_repetitive(text)
    assert time.monotonic() - start < 3


@pytest.mark.parametrize(
    "part", ["! ", "!", "。", "<a>", "Ã ", "[", '{"a', "a", "I am not ", "ich kann ", "<", "Ġa", "a!"]
)
def test_a_caption_that_loops_is_checked_in_time_that_grows_with_its_length(part):
    start = time.monotonic()
    check_caption("A. " + part * (20_000 // len(part)))
    assert time.monotonic() - start < 3  # some hundredths of a second; with the square of the length, minutes


def test_the_command(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    same = "A train leaves the station in the rain."
    rows = [
        ("a.mp4", "007", same, "stop", "static", ""),
        ("b.mp4", "008", same.upper(), "stop", "static", ""),
        ("c.mp4", "009", 'A sign reads "OPEN" beside the old door.', "stop", "static", ""),
        ("d.mp4", "010", 'A sign reads "OPEN" beside the new door.', "stop", "static", None),
        ("e.mp4", "011", "A dog runs over the wide meadow. It", "length", "pan_left", ""),
        ("f.mp4", "012", "A dog.", "stop", None, None),
        ("g.mp4", "013", "A dog.", "stop", "", None),
        ("h.mp4", "014", "A clip that stands in the table twice.", "stop", "", None),
        ("h.mp4", "014", "A clip that stands in the table twice.", "stop", "", None),
        ("i.mp4", "015", None, None, "", None),
    ]
    names = ["path", "id", "text", "text_finish", "cmotion", "ocr_text"]
    meta = tmp_path / "meta.csv"
    table = pl.DataFrame(rows, schema=names, orient="row")
    table.write_csv(meta)
    assert main([str(meta), "--quiet"]) == 0
    told = capsys.readouterr()
    output = tmp_path / "meta_capcheck.csv"
    assert told.out.splitlines()[-1] == str(output)
    checked = read_table(output)
    assert checked.columns == [*names, "caption_flags"]
    assert checked.drop("caption_flags").equals(table)
    flags = checked["caption_flags"].to_list()
    assert flags == ["duplicate", "duplicate", "unseen_text", "", "cut_off", "", "", "", "", "empty"]
    assert "2 rows: duplicate" in told.err
    assert set(FLAGS) >= {flag for cell in flags for flag in cell.split("+") if flag}


def test_the_command_needs_text_alone_and_ranks_see_the_whole_table(tmp_path, monkeypatch):
    same = "A train leaves the station in the rain."
    meta = tmp_path / "meta.jsonl"
    pl.DataFrame({"text": [same, same, "A dog."]}).write_ndjson(meta)
    monkeypatch.setenv("WORLD_SIZE", "2")
    found = []
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        main([str(meta), "--quiet"])
        found.append(pl.read_ndjson(tmp_path / f"meta_capcheck_part{rank}.jsonl")["caption_flags"].to_list())
    assert found == [["duplicate", ""], ["duplicate"]]
