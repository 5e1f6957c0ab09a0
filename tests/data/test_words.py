"""Words as numbers: a batch says of each word which it is and how it is written, each distinct word once."""

import pytest
import torch

from elman.data.vocabulary import UNKNOWN_ID
from elman.data.words import LONGEST_WORD, WordReader, side_by_side
from elman.errors import OptionError

SENTENCES = [["The", "cat", "saw", "the", "cat"], [], ["Éa", "e\u0301a", "xyz"]]


def written(reader: WordReader, sentences: list[list[str]]) -> list[list[tuple[str, str]]]:
    """Each word as the vocabulary has it, and its characters, read back out of a batch."""
    batch = reader.read(sentences)
    found = []
    for column, length in enumerate(batch.lengths_B.tolist()):
        row = []
        for number, distinct in zip(
            batch.words_TB[:length, column].tolist(), batch.distinct_TB[:length, column].tolist(), strict=True
        ):
            characters = batch.characters_CU[: batch.character_lengths_U[distinct], distinct].tolist()
            row.append((reader.words.tokens[number], "".join(reader.characters.tokens[c].strip() for c in characters)))
        found.append(row)
    return found


def test_a_batch_holds_what_was_written() -> None:
    reader = WordReader.fit(SENTENCES, minimum=2)
    batch = reader.read(SENTENCES)
    assert batch.lengths_B.tolist() == [5, 0, 3]
    assert len(batch.character_lengths_U) == 4 + 3
    # Words of one spelling but for case have one number, and characters of their own.
    assert written(reader, SENTENCES[:1]) == [
        [("the", "<unknown>he"), ("cat", "cat"), ("<unknown> ", "<unknown>a<unknown>"), ("the", "the"), ("cat", "cat")]
    ]


def test_normal_forms_and_case_are_made_before_anything_is_looked_up() -> None:
    reader = WordReader.fit(SENTENCES * 2, lowercase=True)
    (row,) = written(reader, [["E\u0301A", "éa"]])
    assert row == [("éa", "éa")] * 2
    kept = WordReader.fit(SENTENCES * 2, normalisation="none")
    assert [word for word, _ in written(kept, [["e\u0301a", "éa"]])[0]] == ["e\u0301a", "éa"]
    with pytest.raises(OptionError, match="normalisation='nfx'"):
        WordReader.fit(SENTENCES, normalisation="nfx")


def test_characters_that_come_once_are_left_out() -> None:
    reader = WordReader.fit([["ab", "ab"], ["cb", "da"], ["cb", "xa"]])
    assert reader.characters.to_list() == ["a", "b", "c"]


def test_what_is_not_known_is_unknown() -> None:
    reader = WordReader.fit(SENTENCES)
    assert reader.knows("CAT")
    assert not reader.knows("dog")
    assert reader.numbers(["dog", "cat"]).tolist() == [UNKNOWN_ID, reader.words.index["cat"]]


def test_of_a_long_word_both_ends_are_read() -> None:
    reader = WordReader.fit([["ab", "ab", "c", "c"]])
    batch = reader.read([["a" * 10**6 + "b" * 10**6, "c"]])
    assert batch.characters_CU.shape == (LONGEST_WORD, 2)
    half = LONGEST_WORD // 2
    assert batch.characters_CU[:, 0].tolist() == [reader.characters.index["a"]] * half + [
        reader.characters.index["b"]
    ] * half
    assert batch.character_lengths_U.tolist() == [LONGEST_WORD, 1]


def test_no_sentences_are_an_empty_batch() -> None:
    batch = WordReader.fit(SENTENCES).read([])
    assert batch.words_TB.shape == batch.characters_CU.shape == (0, 0)
    empty, lengths = side_by_side([])
    assert empty.shape == (0, 0)
    assert lengths.shape == (0,)


def test_a_batch_goes_to_a_device(device: torch.device) -> None:
    batch = WordReader.fit(SENTENCES).read(SENTENCES).to(device)
    assert batch.words_TB.device.type == batch.character_lengths_U.device.type == device.type
