"""Tokens: text to numbers and back, for each kind, with nothing lost and nothing read that no text holds."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.data import tokenizer as module
from elman.data.text import Document
from elman.data.tokenizer import END_OF_LINE, KINDS, START_ID, UNKNOWN_ID, TextTokenizer
from elman.errors import ModelFolderError, OptionError

HARD = "naïve e\u0301 中文。\n\n𝄞 👩\u200d👩\u200d👧 tab\t  two  spaces\u3000wide <s> <unk> ## ▁ Ġ don't 3.14 .\n"

every_kind = pytest.mark.parametrize("kind", KINDS)
lossless = pytest.mark.parametrize("kind", ["char", "byte", "bpe"])


def fit(kind: str, *texts: str, size: int | None = None) -> TextTokenizer:
    return TextTokenizer.fit(kind, [Document("text", text) for text in texts], size)


def decode(tokenizer: TextTokenizer, numbers: np.ndarray) -> str:
    return "".join(tokenizer.decode_stream(numbers.tolist()))


# U+FFFD is what a decoder shows for half a character: at the very end of a stream it can't be told from one.
_any_text = st.text(st.characters(codec="utf-8", exclude_characters="\ufffd"), min_size=1, max_size=60)
_fitted = {"byte": fit("byte", "a"), "bpe": fit("bpe", HARD * 20 + "the cat sat on the mat. " * 50, size=400)}


@lossless
def test_text_comes_back_as_it_was(kind: str) -> None:
    tokenizer = fit(kind, HARD * 3)
    assert decode(tokenizer, tokenizer.encode(HARD * 3)) == HARD * 3


@given(_any_text)
def test_any_text_comes_back_from_characters(text: str) -> None:
    tokenizer = fit("char", text)
    numbers = tokenizer.encode(text)
    assert decode(tokenizer, numbers) == text
    assert len(numbers) == len(text)


@pytest.mark.parametrize("kind", ["byte", "bpe"])
@given(text=_any_text)
def test_any_text_comes_back_from_bytes_with_nothing_unknown(kind: str, text: str) -> None:
    numbers = _fitted[kind].encode(text)
    assert decode(_fitted[kind], numbers) == text
    assert not (np.isin(numbers, [START_ID, UNKNOWN_ID])).any()
    if kind == "byte":
        assert len(numbers) == len(text.encode())


def test_a_character_s_number_is_its_place_in_the_sorted_text() -> None:
    tokenizer = fit("char", "banana", "b\n")
    assert len(tokenizer) == 2 + 4
    assert tokenizer.encode("\nabn").tolist() == [2, 3, 4, 5]


@every_kind
@given(text=st.text(st.sampled_from("ab'é中 \n\t\x1c\u3000."), max_size=40), block=st.integers(1, 7))
def test_text_that_comes_in_pieces_is_encoded_as_it_would_be_whole(kind: str, text: str, block: int) -> None:
    tokenizer = fit(kind, "a b ab abab\n\n 'b é 中中. " * 9, size=300)
    pieces = [text[start : start + block] for start in range(0, len(text), block)]

    class InPieces(Document):
        def pieces(self) -> Iterator[str]:
            return iter(pieces)

    found = tokenizer.encode_documents([InPieces("text", text)])
    assert found.tolist() == [START_ID, *tokenizer.encode(text)]


@every_kind
@given(text=st.text(st.sampled_from("ab c\n"), min_size=1, max_size=40), block=st.integers(1, 7))
def test_the_vocabulary_does_not_depend_on_the_pieces_that_a_text_comes_in(kind: str, text: str, block: int) -> None:
    text = f"x {text}"

    class InPieces(Document):
        def pieces(self) -> Iterator[str]:
            return iter(text[start : start + block] for start in range(0, len(text), block))

    in_pieces = TextTokenizer.fit(kind, [InPieces("text", text)])
    assert in_pieces.encode(text).tolist() == fit(kind, text).encode(text).tolist()
    assert len(in_pieces) == len(fit(kind, text))


@pytest.mark.parametrize("kind", ["char", "byte"])
@given(text=_any_text)
def test_the_table_of_a_plain_tokenizer_says_what_its_rules_say(kind: str, text: str) -> None:
    tokenizer = fit(kind, HARD)
    assert tokenizer.encode(text).tolist() == tokenizer.encode_each([text])[0].tolist()


@pytest.mark.parametrize("kind", ["char", "byte"])
def test_long_text_is_encoded_in_parts_as_it_would_be_whole(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "x" * (module._PART - 2) + HARD + "y" * module._PART + HARD
    tokenizer = fit(kind, text)
    numbers = tokenizer.encode(text)
    assert decode(tokenizer, numbers) == text
    places = {character: 2 + place for place, character in enumerate(sorted(set(text)))}
    if kind == "char":
        assert numbers.tolist() == [places[character] for character in text]
    monkeypatch.setattr(module, "_PART", 7)
    assert np.array_equal(tokenizer.encode(HARD * 4), np.concatenate([tokenizer.encode(c) for c in HARD * 4]))


@every_kind
def test_an_empty_text_has_no_tokens(kind: str) -> None:
    assert fit(kind, HARD).encode("").tolist() == []


@every_kind
def test_a_start_that_stands_in_the_text_is_text(kind: str) -> None:
    tokenizer = fit(kind, "a <s> b <s>\n<s>\n")
    assert START_ID not in tokenizer.encode("a <s> b <s>\n<s>\n")
    assert START_ID not in tokenizer.encode("<s>")


@lossless
def test_an_unknown_mark_that_stands_in_the_text_is_text(kind: str) -> None:
    tokenizer = fit(kind, "a <unk> b <eos>\n")
    assert UNKNOWN_ID not in tokenizer.encode("a <unk> b <eos>\n")


def test_a_word_that_reads_unk_is_the_unknown_token() -> None:
    tokenizer = fit("word", "a <unk> b\n")
    numbers = tokenizer.encode("a <unk> b").tolist()
    assert numbers[1] == UNKNOWN_ID
    assert UNKNOWN_ID not in (numbers[0], numbers[2])


_words = st.text(st.sampled_from("ab中é.'<> \t\n\u3000\u00a0"), min_size=1, max_size=60)


@given(_words)
def test_there_is_a_token_for_each_word_and_one_for_each_end_of_line(text: str) -> None:
    tokenizer = fit("word", text)
    assert len(tokenizer.encode(text)) == len(text.split()) + text.count("\n")
    assert UNKNOWN_ID not in tokenizer.encode(text)


@pytest.mark.parametrize(
    "space", ["\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x1f", "\x85", "\u2028", "\u2029", "\u2003"]
)
def test_the_training_text_holds_no_unknown_word_whatever_its_white_space(space: str) -> None:
    tokenizer = fit("word", f"one{space}two three\n")
    assert UNKNOWN_ID not in tokenizer.encode(f"one{space}two three\n")


@given(_words)
def test_words_come_back_with_single_spaces_and_their_lines(text: str) -> None:
    tokenizer = fit("word", text)
    lines = [" ".join(line.split()) for line in text.split("\n")]
    assert decode(tokenizer, tokenizer.encode(text)) == "\n".join(lines)


def test_the_penn_treebank_convention() -> None:
    tokenizer = fit(
        "word", " no it was n't black monday \n but while the new york stock exchange did n't fall apart \n"
    )
    numbers = tokenizer.encode(" no it was n't black monday \n").tolist()
    assert len(numbers) == 7
    assert numbers[-1] == 2
    assert decode(tokenizer, np.array(numbers)) == "no it was n't black monday\n"
    assert END_OF_LINE not in decode(tokenizer, np.array(numbers))


@every_kind
def test_the_vocabulary_is_that_of_the_training_text(kind: str) -> None:
    tokenizer = fit(kind, "abc abc\n")
    unknown = tokenizer.encode("z") == UNKNOWN_ID
    assert unknown.all() if kind in ("char", "word") else not unknown.any()


def test_unknown_pieces_are_named_in_order() -> None:
    assert fit("char", "abc").unknown_in("xaybx") == ["x", "y", "x"]
    assert fit("word", "one two\n").unknown_in("two zwei\none 三") == ["zwei", "三"]
    assert fit("byte", "abc").unknown_in("中") == []
    assert _fitted["bpe"].unknown_in("日本") == []


def test_an_unknown_character_is_one_token_each() -> None:
    assert fit("char", "ab").encode("a中中b").tolist() == [2, UNKNOWN_ID, UNKNOWN_ID, 3]


@every_kind
def test_every_document_begins_with_a_start_and_only_there(kind: str) -> None:
    tokenizer = fit(kind, "ab ab\n")
    one, two = "ab ab\n", "ab\n"
    numbers = tokenizer.encode_documents([Document("1", one), Document("2", two)])
    a, b = tokenizer.encode(one), tokenizer.encode(two)
    assert numbers.tolist() == [START_ID, *a.tolist(), START_ID, *b.tolist()]
    assert numbers.dtype == np.int32


@every_kind
def test_a_start_in_a_stream_begins_a_new_line(kind: str) -> None:
    tokenizer = fit(kind, "ab\n")
    ab = tokenizer.encode("ab").tolist()
    assert "".join(tokenizer.decode_stream([*ab, START_ID, *ab])) == "ab\nab"


def test_half_a_character_waits_for_its_other_bytes() -> None:
    numbers = _fitted["byte"].encode("a中b").tolist()
    assert list(_fitted["byte"].decode_stream(numbers)) == ["a", "中", "b"]
    assert "".join(_fitted["byte"].decode_stream(numbers[:3])) == "a"


@pytest.mark.parametrize("kind", ["byte", "bpe"])
@given(numbers=st.lists(st.integers(2, 250), max_size=60))
def test_any_tokens_that_a_model_may_draw_can_be_written(kind: str, numbers: list[int]) -> None:
    assert isinstance("".join(_fitted[kind].decode_stream(numbers)), str)


@every_kind
def test_the_same_text_gives_the_same_vocabulary_and_a_saved_one_the_same_numbers(kind: str, tmp_path: Path) -> None:
    first, second = fit(kind, HARD * 3, "b a b a"), fit(kind, HARD * 3, "b a b a")
    first.save(tmp_path / "1.json")
    second.save(tmp_path / "2.json")
    assert (tmp_path / "1.json").read_bytes() == (tmp_path / "2.json").read_bytes()
    loaded = TextTokenizer.load(kind, tmp_path / "1.json")
    text = HARD + "a b <s> <unk> zzz"
    assert len(loaded) == len(first)
    assert np.array_equal(loaded.encode(text), first.encode(text))
    assert decode(loaded, loaded.encode(HARD)) == decode(first, first.encode(HARD))


def test_a_limited_vocabulary_keeps_the_most_frequent_words_and_of_equals_the_first() -> None:
    tokenizer = fit("word", "d c c b b a a a\n", size=5)
    assert len(tokenizer) == 5
    assert (tokenizer.encode("a b c d") == UNKNOWN_ID).tolist() == [False, False, True, True]


@pytest.mark.parametrize("size", [258, 270, 300])
def test_subwords_stay_within_their_limit(size: int) -> None:
    tokenizer = fit("bpe", HARD * 5, size=size)
    assert len(tokenizer) <= size
    assert decode(tokenizer, tokenizer.encode(HARD)) == HARD


def test_more_room_makes_fewer_subwords() -> None:
    text = "the cat sat on the mat and the dog sat on the log " * 20
    assert len(fit("bpe", text, size=300).encode(text)) < len(fit("bpe", text, size=258).encode(text)) / 2


def test_a_vocabulary_too_small_for_the_bytes_is_refused() -> None:
    with pytest.raises(OptionError, match="vocabulary=257 is too small: bpe needs 258"):
        fit("bpe", HARD, size=257)


def test_an_unknown_kind_is_refused_with_those_there_are() -> None:
    with pytest.raises(OptionError, match=r"'letters'.*char, byte, word, bpe"):
        fit("letters", HARD)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"version": "1.0"}', "\udcff"])
def test_a_damaged_tokenizer_file_is_refused_by_name(content: str, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(ModelFolderError, match=r"tokenizer\.json"):
        TextTokenizer.load("char", path)
