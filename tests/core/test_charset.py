"""Files that an editor or a conversion left in another encoding than UTF-8."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hermes_rescue.core.base.jsontext import Damage, parse_object

SAYINGS = {
    "cp1252": [
        "Vérifie le café déjà déployé à Zürich",
        "Größe der Straße prüfen – „Spaß“ inklusive",
        "¿El niño pidió más información?",
        "Não é só lá em São Paulo",
        "Å være på øya, så får vi se på filene",
        "naïve “quotes” … it’s 5 € at 20 °C",
    ],
    "latin-1": ["Où est la façade de l'église ?", "Über allen Gipfeln ist Ruh'"],
    "cp1250": ["Příliš žluťoučký kůň úpěl ďábelské ódy", "Zażółć gęślą jaźń, proszę", "Árvíztűrő tükörfúrógép"],
    "iso8859_2": ["Zażółć gęślą jaźń, proszę", "Příliš žluťoučký kůň"],
    "cp1251": ["Привет, проверь сервер и кэш", "Ошибка в строке 5: не найден файл", "Привіт, як справи? її"],
    "koi8_r": ["Привет, проверь сервер и кэш", "Ошибка в строке 5: не найден файл"],
    "cp1253": ["Καλημέρα, έλεγξε τον διακομιστή", "Πώς είσαι; Το αρχείο δεν βρέθηκε"],
    "cp1254": ["Merhaba, şu dosyayı çalıştır ve güncelle"],
    "cp1255": ["שלום, בדוק את השרת", "מה שלומך היום? הקובץ לא נמצא"],
    "cp1256": ["مرحبا، تحقق من الخادم"],
    "cp874": ["สวัสดี ตรวจสอบเซิร์ฟเวอร์"],
    "gbk": [
        "请把解析器部署到生产环境并检查缓存 ref",
        "今天天气怎么样？",
        "你好，世界",
        "谢谢，继续",
        "索引 缓存 数据库",
    ],
    "gb18030": ["请检查“配置”文件，谢谢！"],
    "big5": ["請把解析器部署到生產環境並檢查快取", "錯誤：找不到檔案", "你好，世界"],
    "cp932": [
        "こんにちは、サーバーを確認してください",
        "エラー: ファイルが見つかりません",
        "日本語のテストを続けて",
        "索引 ошибка エラー",
    ],
    "euc_jp": ["こんにちは、サーバーを確認してください"],
    "cp949": ["안녕하세요, 서버를 확인해 주세요", "오류: 파일을 찾을 수 없습니다", "감사합니다"],
}


def session(*texts: str, indent: int | None = 2) -> str:
    messages = [{"role": "user", "content": text, "timestamp": 1.5} for text in texts]
    return json.dumps({"session_id": "s", "messages": messages, "tool_calls": []}, indent=indent, ensure_ascii=False)


def said(data: bytes) -> list[str]:
    return [piece.value["content"] for piece in parse_object(data).elements or ()]


@pytest.mark.parametrize(
    ("encoding", "text"),
    [(encoding, text) for encoding, texts in SAYINGS.items() for text in [*texts, "\n".join(texts)]],
)
def test_a_file_saved_in_the_encoding_of_a_computer_is_read(encoding: str, text: str) -> None:
    texts = ["an English one", text, "git push\\n"]
    for indent in (2, None):
        data = session(*texts, indent=indent).encode(encoding)
        found = parse_object(data)
        assert said(data) == texts
        assert found.damage is Damage.BAD_UTF8 and found.complete and found.lost_bytes == 0


@pytest.mark.parametrize(
    "encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "utf-8-sig"]
)
def test_wide_characters_are_read_with_and_without_a_byte_order_mark(encoding: str) -> None:
    texts = ["Größe", "日本語 🚀"]
    data = session(*texts).encode(encoding)
    found = parse_object(data)
    assert said(data) == texts
    assert found.damage is not None and found.complete and found.lost_bytes == 0
    torn = parse_object(data[:-1])
    assert torn.damage is not None and [piece.value["content"] for piece in torn.elements or ()] == texts


@pytest.mark.parametrize("encoding", ["cp1252", "gbk"])
def test_a_file_of_another_encoding_that_is_torn_keeps_its_whole_messages(encoding: str) -> None:
    first, *texts = SAYINGS[encoding][0], *SAYINGS[encoding]
    data = session(first, *texts).encode(encoding)
    for cut in range(data.index(texts[0].encode(encoding), 200), len(data)):
        torn = parse_object(data[:cut])
        found = [piece.value["content"] for piece in torn.elements or ()]
        assert found == [first, *texts][: len(found)] and first in found
        assert torn.encoding != "utf-8"


def test_a_file_that_ends_within_its_only_character_is_torn_and_nothing_else() -> None:
    data = session("all ASCII", "ça va").encode()
    for end in (data.index(b"\xc3") + 1, data.index(b"\xc3")):
        found = parse_object(data[:end])
        assert found.damage is Damage.TORN and found.encoding == "utf-8"
        assert found.lost_bytes == end - data.index(b"{", data.index(b"all ASCII"))


@pytest.mark.parametrize("encoding", ["cp1252", "gbk"])
def test_characters_far_behind_the_beginning_tell_the_encoding_too(encoding: str) -> None:
    texts = ["all of it is ASCII " * 10_000, *SAYINGS[encoding]]
    for indent in (2, None):
        assert said(session(*texts, indent=indent).encode(encoding)) == texts


@pytest.mark.parametrize(
    ("text", "stray"),
    [("café", b"caf\xe9"), ("naïve", b"na\xefve"), ("it’s", b"it\x92s"), ("5 €", b"5 \x80"), ("déjà", b"d\xe9j\xe0")],
)
def test_a_few_bytes_of_windows_in_a_file_that_is_utf8_are_read_by_themselves(text: str, stray: bytes) -> None:
    data = session("Größe", text, "日本語 🚀", "smörgåsbord").encode().replace(text.encode(), stray)
    found = parse_object(data)
    assert said(data) == ["Größe", text, "日本語 🚀", "smörgåsbord"]
    assert found.damage is Damage.BAD_UTF8 and found.complete and found.lost_bytes == 0


@pytest.mark.parametrize("cut", [1, 2])
def test_what_is_left_of_a_broken_character_is_no_letter(cut: int) -> None:
    character = "本".encode()
    data = session("Größe", "日本語", "smörgåsbord").encode().replace(character, character[:cut])
    found = parse_object(data)
    assert said(data) == ["Größe", "日" + "\N{REPLACEMENT CHARACTER}" * cut + "語", "smörgåsbord"]
    assert found.lost_bytes == cut and not found.complete


def test_bytes_that_no_reading_makes_sense_of_are_lost(hermes: Any) -> None:
    noise = b"\x81\xfd\x98\xfe\x8f\xff\x9d\xf9" * 5
    data = hermes.write_live(hermes.turns("a", "b")).replace(b"ask b", b"ask " + noise)
    found = parse_object(data)
    assert len(found.elements or ()) == len(hermes.turns("a", "b"))
    assert found.damage is Damage.BAD_UTF8
    assert not found.complete and found.lost_bytes == len(noise)


@pytest.mark.parametrize("text", ["Ã¼ber", "cafÃ©", "浣犲ソ", "ðŸš€", "\ufffd\ufffd"])
def test_a_text_that_looks_misread_is_left_alone_in_a_healthy_file(text: str) -> None:
    found = parse_object(session("why does it say", text).encode())
    assert found.damage is None and found.lost_bytes == 0
    assert said(session(text).encode()) == [text]


def test_a_repair_gives_back_what_the_editor_took(hermes: Any) -> None:
    turns = hermes.turns("请检查缓存", "谢谢，继续")
    data = hermes.write_live(turns)
    hermes.live.write_bytes(data.decode().encode("gbk"))
    assert hermes.kinds() == ["malformed_live"]
    hermes.repair()
    assert hermes.texts() == hermes.said(turns)
    assert hermes.kinds() == []
