"""Captions in which a model says that it cannot, or will not, describe the pictures."""

from __future__ import annotations

import re

from tools.caption.checks.quotes import without_quotes

_START = r"(?:\A|[.!?]\s+)\W{0,9}"  # limited: in a text of punctuation alone the search would be quadratic
_SEEN = r"(?:images?|videos?|pictures?|photos?|frames?|clips?|files?|attachments?|content)"
_CANNOT = (
    r"I (?:can(?:no|')t|can not|do not|don'?t|won'?t|will not|could not|couldn'?t|must decline|am unable)"
)
_DO = (
    r"(?:assist|help|provide|describe|see|view|access|analy[sz]e|process|identify|fulfil+|comply|generate"
    r"|create|write|determine|engage|feel comfortable|have (?:access|the ability|enough))"
)
_ENGLISH = (
    rf"{_START}(?:I'?m|I am|we'?re|we are) (?:\w+ )?(?:sorry|unable|not able|afraid)\b",
    rf"{_START}(?:sorry|apologies|I apologi[sz]e)\b",
    rf"{_START}(?:unfortunately,? )?{_CANNOT} (?:\w+ ){{0,2}}?{_DO}\b",
    r"\bas (?:an AI|a large language|a language model|a text-based|an artificial)\b",
    rf"\bno {_SEEN} (?:(?:was|were|is|are|has been|have been) )?"
    r"(?:provided|attached|uploaded|shared|included)\b",
    rf"{_START}(?:please|could you|can you) (?:\w+ )?(?:provide|upload|share|attach|send)\b"
    rf"[^.]*\b{_SEEN}\b",
    r"\b(?:unable|not possible|impossible) to (?:view|see|access|open|load|process) "
    rf"(?:the|this|your|any|that) {_SEEN}\b",
)

_ZH_SEEN = r"(?:图[片像]?|圖[片像]?|照片|视频|影片|視頻|影像|画面|畫面|文件|附件|内容|內容|链接)"
_ZH_DO = (
    r"(?:描述|查看|看到|看见|看見|观看|觀看|识别|識別|辨认|提供|协助|協助|帮助|幫助|帮[你您]|处理|處理"
    r"|回答|满足|滿足|访问|存取|分析|生成|打开|打開|确定|確定|继续|繼續|完成|讨论|評論|评论)"
)
_ZH_START = r"(?:\A|[。！？!?.]\s{0,3})[^\w\s]{0,3}\s{0,3}"
_CHINESE = (
    rf"{_ZH_START}(?:我?(?:很|非常|十分|真的?|实在|實在|深感|感到))?(?:抱歉|对不起|對不起|不好意思|遗憾|遺憾)"
    r"(?:[，,。.！!、\s]|[我但无無]|\Z)",
    rf"{_ZH_START}[^。！？]{{0,12}}?(?:我|系统|系統|模型)(?:目前|暂时|暫時|现在|現在|还|還|并)?"
    rf"(?:无法|無法|不能|不会|不便|没办法|没有办法|沒有辦法|没有能力|无权|不可以|难以)[^，。！？]{{0,10}}?{_ZH_DO}",
    rf"{_ZH_START}(?:目前|暂时)?(?:无法|無法|不能)(?:直接)?{_ZH_DO}[^。！？]{{0,8}}{_ZH_SEEN}",
    r"根据[^。]{0,12}(?:法律|法规|政策|规定)[^。]{0,12}(?:无法|不能)",
    r"作[为為](?:一[个個名款位])?[^，。]{0,8}?(?:AI|人工智[能慧]|[语語]言模型|大模型|助手)[^，。]{0,6}[，,]?\s*我",
    rf"{_ZH_START}[请請](?:您|你)?(?:先|重新)?(?:上[传傳]|提供|分享|[发發]送)[^。！？]{{0,12}}{_ZH_SEEN}",
    rf"{_ZH_START}(?:您|你|我)?(?:并|並)?(?:没有|沒有|未)(?:看到|收到|检测到|提供|上[传傳]|附上)"
    rf"[^。！？]{{0,6}}{_ZH_SEEN}",
)
_JAPANESE = (
    r"\A\W{0,9}(?:大変|誠に)?(?:申し訳|すみません|すいません|ごめんなさい|恐れ入りますが|残念ながら)",
    r"(?:画像|動画|映像|写真|ファイル|内容|人物)を[^。]{0,8}(?:でき(?:ません|かねます)|できないため)",
    r"(?:お手伝い|お答え|お応え|対応|回答)(?:する)?(?:ことは|ことが)?でき(?:ません|かねます)",
    r"(?:AI|言語モデル)(?:アシスタント)?(?:として、?私|なので|ですので|であるため)",
    r"(?:画像|動画|写真|ファイル)(?:が|は|を)?(?:提供|添付|アップロード|共有)"
    r"(?:されて(?:いません|おりません|いない)|して(?:ください|いただ))",
)
_KOREAN = (
    r"\A\W{0,9}(?:정말 |대단히 )?(?:죄송|미안하지만|미안합니다|유감)",
    r"(?:저는|제가|현재) [^.]{0,40}수 없(?:습니다|어요|네요)|드릴 수 (?:가 )?없(?:습니다|어요)",
    r"(?:AI|인공지능|언어) ?(?:언어 )?(?:모델|어시스턴트)?(?:로서|이기 때문)",
    r"(?:이미지|비디오|동영상|영상|사진|파일)(?:가|이|를|을)? ?"
    r"(?:제공|첨부|업로드|공유)(?:되지 않|해 ?주)",
)

_THAI = (
    r"(?:\A|\s)[^\w\s]{0,9}(?:ขออภัย|ขอโทษ|เสียใจด้วย|(?:ฉัน|ผม|ดิฉัน|เรา)ไม่สามารถ)",  # no blanks between words
)

_ALONE = r"(?:\A|[.!?]\s+)[^\w\s]{0,9}"  # the sentence begins with it
_APOLOGIES = (
    *("tut mir (?:sehr )?leid", "es tut mir (?:sehr )?leid", "entschuldigung", "verzeihung", "het spijt me"),
    *("jag är ledsen", "tyvärr", "förlåt", "beklager", "undskyld", "desværre", "dessverre"),
    *("(?:je suis )?(?:vraiment )?désolée?", "je m'excuse", "malheureusement,? je", "je regrette"),
    *("lo siento", "lo lamento", "disculp[ae]", "perdón", "lamentablemente,? no"),
    *("desculpe", "sinto muito", "lamento,? mas", "infelizmente,? (?:eu )?não", "lamento informar"),
    *("mi dispiace", "mi scuso", "spiacente", "purtroppo,? non", "îmi pare rău", "din păcate"),
    *("извините", "простите", "прошу прощения", "приношу извинения", "мне (?:очень )?жаль"),
    *("к сожалению,? я", "вибачте", "на жаль,? я", "przepraszam", "przykro mi", "niestety,? nie"),
    *("omlouvám se", "bohužel", "promiňte", "sajnálom", "elnézést", "sajnos nem", "valitettavasti"),
    *("anteeksi", "pahoittelen", "üzgünüm", "özür dilerim", "maalesef", "kusura bakmayın"),
    *("λυπάμαι", "συγγνώμη", "δυστυχώς", "عذر[اًا]+", "آسف", "أعتذر", "نعتذر", "للأسف"),
    *("(?:אני )?מצטערת?", "(?:אני )?מתנצלת?", "לצערי", "متأسفم", "متاسفم", "متأسفانه", "متاسفانه", "ببخشید"),
    *("क्षमा करें", "माफ़ करें", "माफ करें", "मुझे खेद", "मुझे माफ", "rất tiếc", "(?:tôi )?(?:rất )?xin lỗi"),
    *("(?:mohon )?maaf",),
)
_CANNOTS = (
    *(
        r"(?:leider )?(?:ich kann|kann ich) (?:\w+ ){0,8}?(?:nicht|keine?[nr]?)",
        "ich bin (?:leider )?nicht in der lage",
    ),
    *(
        r"(?:helaas )?(?:ik kan|kan ik) (?:\w+ ){0,8}?(?:niet|geen)",
        r"(?:jag|jeg) kan (?:\w+ ){0,3}?(?:inte|ikke)",
    ),
    *("je ne (?:peux|suis|parviens|vois) pas", "je suis (?:incapable|dans l'(?:impossibilité|incapacité))"),
    *("no (?:puedo|me es posible|soy capaz|tengo (?:acceso|la capacidad))", "nu pot"),
    *("(?:eu )?não (?:posso|consigo|sou capaz|tenho (?:acesso|a capacidade))",),
    *("non (?:posso|sono in grado|riesco a|ho accesso)", "я не (?:могу|в состоянии|вижу|имею)", "я не можу"),
    *("nie (?:mogę|jestem w stanie)", "nemohu", "nem tudok", "en (?:voi|pysty)", "δεν μπορώ"),
    *("لا (?:أستطيع|يمكنني)", "(?:אני )?לא יכולה?", "نمی‌توانم", "मैं [^।]{0,60}नहीं (?:कर )?सकत"),
    *("tôi không thể", "saya tidak (?:dapat|bisa|boleh|mampu)"),
)
_MODELS = (
    *(
        r"als (?:ki|ki-\w+|sprachmodell|künstliche intelligenz),? (?:kann|bin|habe|ist)",
        "als (?:ai-)?taalmodel",
    ),
    *("en tant qu(?:'|e )(?:ia|intelligence artificielle|modèle de langage|assistant (?:ia|virtuel))",),
    *(
        "como (?:un )?modelo de lenguaje",
        "como (?:una )?(?:ia|inteligencia artificial),",
    ),
    *("como (?:um )?modelo de linguagem", "como (?:uma )?(?:ia|inteligência artificial),"),
    *("(?:in quanto|come) (?:ia|intelligenza artificiale|modello linguistico)",),
    *(
        "как (?:языковая модель|ии|искусственный интеллект),? я",
        "jako (?:model językowy|sztuczna inteligencja|ai)",
    ),
    *("yapay zeka (?:dil )?(?:modeli|asistanı) olarak", "yardımcı olamam", "كنموذج لغ", "بصفتي نموذج"),
    *("là một (?:mô hình ngôn ngữ|trí tuệ nhân tạo)", "sebagai (?:sebuah )?(?:model bahasa|ai|asisten ai)"),
)
_OTHERS = (
    rf"{_ALONE}(?:{'|'.join((*_APOLOGIES, *_CANNOTS))})(?!\w)",
    rf"(?<!\w)(?:{'|'.join(_MODELS)})",
    rf"{_ALONE}(?:es wurde kein (?:bild|video|foto)|bitte (?:laden|stellen|senden) sie"
    r"|aucune? (?:image|vidéo|photo) n'|no se (?:ha )?proporcion)",
)
_SPACED = re.compile("|".join((*_ENGLISH, *_OTHERS)), re.IGNORECASE)
_EASTERN = re.compile("[\u0e00-\u0e7f\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_EAST = re.compile("|".join((*_CHINESE, *_JAPANESE, *_KOREAN, *_THAI)), re.IGNORECASE)


def is_refusal(text: str) -> bool:
    """Whether a model says that it will not, or cannot, describe the pictures.

    Quotations are text in the picture, and are no refusal.

    Args:
        text: The caption, in English, Chinese, Japanese, Korean, or another of some twenty languages, of
            which the usual apologies at the beginning of a sentence are known.
    """
    text = without_quotes(text).replace("’", "'")
    return bool(_SPACED.search(text) or (_EASTERN.search(text) and _EAST.search(text)))
