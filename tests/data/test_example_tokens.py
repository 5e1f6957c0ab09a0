"""Tokens of short texts: words and characters of any language, as a reader would count them."""

from pathlib import Path

import pytest

from elman.data.example_tokens import fit_examples
from elman.data.tokenizer import START_ID, UNKNOWN_ID, TextTokenizer
from elman.errors import OptionError


def pieces(kind: str, text: str, **rules: object) -> list[str]:
    """What a text is split into by a tokenizer that knows it."""
    tokenizer = fit_examples(kind, [text], **rules)  # type: ignore[arg-type]
    names = {number: token for token, number in tokenizer._rules.get_vocab().items()}
    return [names[int(number)] for number in tokenizer.encode_each([text])[0]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I don't like it, Zoë!", ["I", "don't", "like", "it", ",", "Zoë", "!"]),
        ("我喜欢 RNN。", ["我", "喜", "欢", "RNN", "。"]),
        ("İstanbul'da çok güzel", ["İstanbul'da", "çok", "güzel"]),
        ("مرحبا بالعالم", ["مرحبا", "بالعالم"]),
        ("so good 😀👍🏽", ["so", "good", "😀", "👍", "🏽"]),
        ("3.5 x_1 e-mail", ["3", ".", "5", "x_1", "e", "-", "mail"]),
        ("  \t\n ", []),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert pieces("word", text) == words


@pytest.mark.parametrize(
    ("text", "characters"),
    [
        ("naïve", ["n", "a", "ï", "v", "e"]),
        ("e\u0301a", ["é", "a"]),
        ("👨‍👩‍👧🇹🇷", ["👨‍👩‍👧", "🇹🇷"]),
        ("कि", ["कि"]),
        ("各国", ["各", "国"]),
    ],
)
def test_characters_are_what_a_reader_calls_so(text: str, characters: list[str]) -> None:
    assert pieces("char", text) == characters


def test_normalisation_and_case_are_rules_that_are_stored(tmp_path: Path) -> None:
    kept = fit_examples("word", ["Cafe\u0301 Ｃａｆé"], normalisation="none")
    assert len(kept) == 2 + 2
    composed = fit_examples("word", ["Cafe\u0301 Café"], normalisation="nfc")
    assert len(composed) == 2 + 1
    compatible = fit_examples("word", ["Cafe\u0301 Ｃａｆé café"], normalisation="nfkc", lowercase=True)
    assert len(compatible) == 2 + 1
    compatible.save(tmp_path / "tokenizer.json")
    again = TextTokenizer.load("word", tmp_path / "tokenizer.json")
    assert list(again.encode_each(["CAFE\u0301"])[0]) == [2]


def test_rare_tokens_and_those_beyond_the_limit_are_unknown() -> None:
    texts = ["a a a b b c"]
    known = fit_examples("word", texts, minimum_count=2)
    assert list(known.encode_each(["a b c"])[0]) == [2, 3, UNKNOWN_ID]
    assert list(fit_examples("word", texts, vocabulary=3).encode_each(["a b c"])[0]) == [2, UNKNOWN_ID, UNKNOWN_ID]


@pytest.mark.parametrize("kind", ["word", "char", "byte", "bpe"])
def test_no_text_holds_the_token_that_sequences_are_padded_with(kind: str) -> None:
    tokenizer = fit_examples(kind, ["<start of document> <unk> x"])
    assert START_ID not in tokenizer.encode_each(["<start of document> <unk>"])[0]


def test_subwords_and_bytes_follow_the_rules_too() -> None:
    for kind in ("byte", "bpe"):
        tokenizer = fit_examples(kind, ["the cat"], lowercase=True)
        assert list(tokenizer.encode_each(["THE CAT"])[0]) == list(tokenizer.encode_each(["the cat"])[0])


def test_what_is_not_known_is_an_error() -> None:
    with pytest.raises(OptionError, match="normalisation='nfd' is not known"):
        fit_examples("word", ["x"], normalisation="nfd")
    with pytest.raises(OptionError, match="tokenizer='syllable' is not known"):
        fit_examples("syllable", ["x"])
