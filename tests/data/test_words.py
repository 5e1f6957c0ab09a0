"""Words as numbers: a batch says of each word which it is and how it is written, each distinct word once."""

import json

import pytest
import torch

from elman.data.vocabulary import UNKNOWN_ID
from elman.data.words import LONGEST_WORD, WordReader
from elman.errors import OptionError

SENTENCES = [["The", "cat", "saw", "the", "cat"], [], ["Éa", "e\u0301a", "xyz"]]


def written(reader: WordReader, sentence: list[str]) -> list[tuple[str, str]]:
    """Each word as the vocabulary has it, and its characters, read back out of a batch that others are in too."""
    batch = reader.read([["x" * 9, "y"] * 5, sentence])
    found = []
    for t in range(int(batch.lengths_B[1])):
        distinct = int(batch.distinct_TB[t, 1])
        characters = batch.characters_CU[: batch.character_lengths_U[distinct], distinct].tolist()
        spelt = "".join(reader.characters.tokens[number].strip() for number in characters)
        found.append((reader.words.tokens[int(batch.words_TB[t, 1])].strip(), spelt))
    return found


def test_a_batch_holds_what_was_written() -> None:
    reader = WordReader.fit(SENTENCES, minimum=2, character_minimum=2)
    batch = reader.read(SENTENCES)
    assert batch.lengths_B.tolist() == [5, 0, 3]
    # The, cat, saw, the; Éa, éa, xyz.
    assert batch.character_lengths_U.tolist() == [3, 3, 3, 3, 2, 2, 3]
    # Words of one spelling but for case have one number, and characters of their own.
    assert written(reader, SENTENCES[0]) == [
        ("the", "<unknown>he"),
        ("cat", "cat"),
        ("<unknown>", "<unknown>a<unknown>"),
        ("the", "the"),
        ("cat", "cat"),
    ]
    assert written(reader, []) == []


def test_padding_is_zero() -> None:
    batch = WordReader.fit(SENTENCES).read(SENTENCES)
    for numbers, lengths in ((batch.words_TB, batch.lengths_B), (batch.characters_CU, batch.character_lengths_U)):
        beyond = torch.arange(len(numbers))[:, None] >= lengths
        assert (numbers[beyond] == 0).all()
        assert (numbers[~beyond] >= UNKNOWN_ID).all()


def test_a_word_is_looked_up_in_its_normal_form_and_by_case_if_so_told() -> None:
    assert written(WordReader.fit(SENTENCES), ["E\u0301a", "éa"]) == [("éa", "Éa"), ("éa", "éa")]
    cased = WordReader.fit(SENTENCES, lower_case=False, normalisation="none")
    assert [word for word, _ in written(cased, ["The", "the", "THE", "Éa", "E\u0301a"])] == [
        "The", "the", "<unknown>", "Éa", "<unknown>",
    ]  # fmt: skip
    with pytest.raises(OptionError, match="normalisation='nfx'"):
        WordReader.fit(SENTENCES, normalisation="nfx")


def test_the_most_frequent_words_are_kept() -> None:
    assert WordReader.fit(SENTENCES, limit=2).words.to_list() == ["cat", "the"]
    assert WordReader.fit(SENTENCES, minimum=2).words.to_list() == ["cat", "the", "éa"]


def test_of_a_long_word_both_ends_are_read() -> None:
    reader = WordReader.fit([["ab", "c"]])
    batch = reader.read([["a" * 10**6 + "b" * 10**6, "c"], ["a" * LONGEST_WORD]])
    half, index = LONGEST_WORD // 2, reader.characters.index
    assert batch.character_lengths_U.tolist() == [LONGEST_WORD, 1, LONGEST_WORD]
    assert batch.characters_CU[:, 0].tolist() == [index["a"]] * half + [index["b"]] * half
    assert batch.characters_CU[:, 2].tolist() == [index["a"]] * LONGEST_WORD


def test_no_sentences_are_an_empty_batch() -> None:
    for sentences in ([], [[]]):
        batch = WordReader.fit(SENTENCES).read(sentences)
        assert batch.words_TB.shape == (0, len(sentences))
        assert batch.characters_CU.shape == (0, 0)


def test_json_keeps_it() -> None:
    reader = WordReader.fit(SENTENCES, normalisation="nfkc", lower_case=False)
    assert WordReader.from_dict(json.loads(json.dumps(reader.to_dict()))) == reader


def test_a_batch_goes_to_a_device(device: torch.device) -> None:
    batch = WordReader.fit(SENTENCES).read(SENTENCES).to(device)
    assert batch.words_TB.device.type == batch.character_lengths_U.device.type == device.type
