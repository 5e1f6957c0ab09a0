"""What a transcriber writes: characters or words, as texts suggest; what isn't known is named."""

import pytest

from elman.data.units import Units
from elman.errors import DataError, OptionError

COMMANDS = ["light on", "light off", "fan on", "fan off"] * 20


def test_texts_come_back_with_one_space_between_words() -> None:
    for kind in ("char", "word"):
        units = Units.fit(kind, ["one  two ", " three"])
        numbers = units.encode("\ttwo   one\n")
        assert numbers.min() >= 1
        assert units.decode(numbers) == units.read("\ttwo   one\n") == "two one"
    assert len(Units.fit("word", ["one two", "three"])) == 4


def test_characters_are_what_a_reader_calls_so_and_case_goes_where_it_is_asked_to() -> None:
    units = Units.fit("char", ["E\u0301A👨‍👩‍👧"], lowercase=True)
    assert units.units.tokens == ("a", "é", "👨‍👩‍👧")
    assert units.unknown("AEÉ") == ["e"]


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (COMMANDS, "word"),
        (["317", "22"] * 50, "char"),
        (["on", "off"] * 50, "char"),
        (["a film of its own kind"], "char"),
    ],
)
def test_few_words_that_come_often_are_units(texts: list[str], kind: str) -> None:
    assert Units.fit("auto", texts).kind == kind


def test_what_is_not_known_is_named() -> None:
    units = Units.fit("char", ["abc"])
    assert units.unknown("axbyx") == ["x", "y"]
    with pytest.raises(DataError, match="the text 'axb' has 'x', which the transcriber doesn't know"):
        units.encode("axb")
    with pytest.raises(OptionError, match="tokenizer='bpe'"):
        Units.fit("bpe", ["abc"])
    with pytest.raises(DataError, match="no characters"):
        Units.fit("char", [" "])


def test_units_come_back_from_json() -> None:
    units = Units.fit("word", COMMANDS, lowercase=True)
    assert Units.from_dict(units.to_dict()) == units
    for damaged in (None, {}, {**units.to_dict(), "units": [1]}, {**units.to_dict(), "kind": "bpe"}):
        with pytest.raises((DataError, OptionError)):
            Units.from_dict(damaged)
