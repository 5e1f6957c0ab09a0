"""Tokens of short texts that are read as a whole: words, characters or subwords.

    auto    characters for texts of a word or two (names, codes), else words
    word    runs of letters, digits and marks (don't is one; Chinese, Japanese or Thai is taken character by character), and
            every other visible character by itself
    char    what a reader calls a character: an extended grapheme cluster (Unicode Standard Annex 29), so that an emoji of
            several code points, or a letter with its marks, is one
    byte    a byte of the UTF-8 form each
    bpe     subwords by byte-pair encoding over bytes

Unicode normalisation and the case of letters are rules of the tokenizer, and lie with it in `tokenizer.json`.
"""

from collections import Counter
from collections.abc import Sequence

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

from elman.data.text import Document
from elman.data.tokenizer import START, UNKNOWN, TextTokenizer
from elman.errors import OptionError

NORMALISATIONS = ("none", "nfc", "nfkc")
_NORMALISERS = {"nfc": normalizers.NFC, "nfkc": normalizers.NFKC}
# Scripts written without spaces between words, whose characters are words to a network that has no dictionary.
_ALONE = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]\p{M}*"
_WORD = rf"{_ALONE}|(?:(?!{_ALONE})[\p{{L}}\p{{N}}\p{{M}}_])+(?:['’](?:(?!{_ALONE})[\p{{L}}\p{{N}}\p{{M}}_])+)*|\S"
_CLUSTER = r"\X"
# Words of a text on average, up to which it is read character by character.
_FEW_WORDS = 2


def fit_examples(
    kind: str,
    texts: Sequence[str],
    *,
    vocabulary: int | None = None,
    minimum_count: int = 1,
    normalisation: str = "nfc",
    lowercase: bool = False,
) -> TextTokenizer:
    """A tokenizer whose vocabulary comes from these texts. START, its first token, is what sequences are padded with.

    vocabulary      most tokens to keep, for "word" and "char" (None: all) and "bpe" (None: 4096)
    minimum_count   how often a word or character must be there to be kept

    Raises `OptionError` for a kind, a normalisation or a size that makes no sense.
    """
    if normalisation not in NORMALISATIONS:
        raise OptionError(f"normalisation={normalisation!r} is not known: choose from {', '.join(NORMALISATIONS)}.")
    if kind == "auto":
        kind = suited(texts)
    steps = [_NORMALISERS[normalisation]()] if normalisation != "none" else []
    normaliser = normalizers.Sequence([*steps, *([normalizers.Lowercase()] if lowercase else [])])
    if kind in ("byte", "bpe"):
        written = [Document("", normaliser.normalize_str(text)) for text in texts]
        fitted = TextTokenizer.fit(kind, written, vocabulary)
        fitted.normalise_by(normaliser)
        return fitted
    if kind not in ("word", "char"):
        raise OptionError(f"tokenizer={kind!r} is not known: choose from word, char, byte, bpe.")
    pattern = Regex(_WORD if kind == "word" else _CLUSTER)
    splitter = pre_tokenizers.Split(pattern, "removed" if kind == "word" else "isolated", invert=kind == "word")
    counts = Counter(piece for text in texts for piece, _ in splitter.pre_tokenize_str(normaliser.normalize_str(text)))
    for special in (START, UNKNOWN):
        counts.pop(special, None)
    room = None if vocabulary is None else max(vocabulary - 2, 0)
    # Of tokens equally frequent the alphabet decides, so that the same texts always give the same vocabulary.
    kept = sorted((token for token in counts if counts[token] >= minimum_count), key=lambda t: (-counts[t], t))[:room]
    numbered = {token: number for number, token in enumerate([START, UNKNOWN, *kept])}
    rules = Tokenizer(models.WordLevel(vocab=numbered, unk_token=UNKNOWN))
    rules.pre_tokenizer = splitter
    fitted = TextTokenizer(kind, rules)
    fitted.normalise_by(normaliser)
    return fitted


def suited(texts: Sequence[str]) -> str:
    """The tokenizer for these texts: what is hardly more than a word each has to be spelt."""
    words = sum(len(text.split()) for text in texts)
    return "char" if words <= _FEW_WORDS * len(texts) else "word"
