"""Tokens: characters, bytes, words or subwords, by Hugging Face's tokenizers.

Every vocabulary begins with two tokens that no text contains: START stands before each document, and a network that reads
it starts with a fresh state; UNKNOWN stands for what the training text didn't hold.

    char   a Unicode character each
    byte   a byte of the UTF-8 form each: nothing is unknown
    word   split at white space, and one END_OF_LINE token a line: the convention of published Penn Treebank figures
    bpe    subwords by byte-pair encoding over bytes: nothing is unknown
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from elman.data.text import Text
from elman.errors import DataError, ModelFolderError, OptionError
from elman.files import write_atomically

# START holds spaces, so that no word of a text can be mistaken for it.
START, UNKNOWN, END_OF_LINE = "<start of document>", "<unk>", "<eos>"
START_ID, UNKNOWN_ID = 0, 1
KINDS = ("char", "byte", "word", "bpe")

# Unicode's White_Space, which the library splits at: Python's own `split` takes in a few separators more.
_WHITE_SPACE = re.compile(r"[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")

# Text without spaces to split at is encoded in parts: the library's time grows faster than the length of one.
_PART = 1 << 16

# Words are not cut, unless they are longer than this.
_LONGEST = 1 << 24

_CODE_POINTS = 0x110000


class TextTokenizer:
    """Text to token numbers and back. `kind` is one of `KINDS`; the rules live in a `tokenizers.Tokenizer`."""

    def __init__(self, kind: str, rules: Tokenizer) -> None:
        self.kind = kind
        self._rules = rules
        self._table: np.ndarray | None = None
        # What a special token is called may stand in a text: it is then read as any other text.
        self._rules.encode_special_tokens = True

    @classmethod
    def fit(cls, kind: str, documents: Iterable[Text], vocabulary_size: int | None = None) -> "TextTokenizer":
        """Build the vocabulary from `documents`, read once. Raises `OptionError` for a kind or a size that makes no sense.

        `vocabulary_size` is an upper limit, for "word" (None: every word) and "bpe" (None: 4096).
        """
        if kind not in KINDS:
            raise OptionError(f"tokenizer={kind!r} is not known: choose from {', '.join(KINDS)}.")
        texts = (piece for document in documents for piece in _pieces(kind, document))
        return cls(kind, {"char": _char, "byte": _byte, "word": _word, "bpe": _bpe}[kind](texts, vocabulary_size))

    @classmethod
    def load(cls, kind: str, path: Path) -> "TextTokenizer":
        """Read a `tokenizer.json`. Raises `ModelFolderError` if it is missing or damaged."""
        if kind not in KINDS:
            raise ModelFolderError(
                f"{path} is said to be of the kind {kind!r}, but there are only {', '.join(KINDS)}: "
                "the model's configuration is damaged."
            )
        try:
            return cls(kind, Tokenizer.from_str(path.read_text(encoding="utf-8")))
        # The library raises a bare Exception for whatever is wrong with a file.
        except Exception as error:
            raise ModelFolderError(f"{path} can't be read as a tokenizer: {error}.") from error

    def save(self, path: Path) -> None:
        write_atomically(path, self._rules.to_str(pretty=True))

    def __len__(self) -> int:
        return int(self._rules.get_vocab_size())

    def encode(self, text: str) -> np.ndarray:
        """The token numbers of a text, int32 (N,). Raises `DataError` for what is no Unicode text."""
        _check_unicode(text)
        table = self._by_code()
        if table is not None:
            return table[_bytes(text) if self.kind == "byte" else _code_points(text)]
        size = _PART if self.kind in ("char", "byte") else max(len(text), 1)
        parts = [text[start : start + size] for start in range(0, len(text), size)]
        encodings = self._rules.encode_batch_fast(parts)
        return np.concatenate([np.zeros(0, np.int32), *(np.asarray(e.ids, np.int32) for e in encodings)])

    def _by_code(self) -> np.ndarray | None:
        """The number of each code point, or byte, where a token is one: a table is faster than rules. Else None."""
        plain = self.kind in ("char", "byte") and self._rules.normalizer is None
        if not plain or (self.kind == "char" and self._rules.pre_tokenizer is not None):
            return None
        if self._table is None:
            table = np.full(256 if self.kind == "byte" else _CODE_POINTS, UNKNOWN_ID, np.int32)
            names = _byte_names() if self.kind == "byte" else {}
            for token, number in self._rules.get_vocab().items():
                if len(token) == 1:
                    table[names.get(token, ord(token))] = number
            self._table = table
        return self._table

    def encode_each(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The token numbers of each text, int32. Raises `DataError` for what is no Unicode text."""
        for text in texts:
            _check_unicode(text)
        return [np.asarray(encoding.ids, np.int32) for encoding in self._rules.encode_batch_fast(list(texts))]

    def normalise_by(self, normaliser: normalizers.Normalizer) -> None:
        """Make it a rule that texts are first written in another way."""
        self._rules.normalizer = normaliser

    def encode_documents(self, documents: Iterable[Text]) -> np.ndarray:
        """One sequence of token numbers, int32 (N,): START and the tokens of each document in turn."""
        return np.concatenate(list(self.encode_pieces(documents)))

    def encode_pieces(self, documents: Iterable[Text]) -> Iterator[np.ndarray]:
        """The same in pieces, as they are read: what is in memory at once doesn't grow with the text."""
        for document in documents:
            yield np.array([START_ID], np.int32)
            for piece in _pieces(self.kind, document):
                yield self.encode(piece)

    def unknown_in(self, text: str) -> list[str]:
        """The pieces of a text that the vocabulary doesn't hold, in order: they are read as UNKNOWN."""
        _check_unicode(text)
        encoding = self._rules.encode(text)
        return [
            text[a:b] for number, (a, b) in zip(encoding.ids, encoding.offsets, strict=True) if number == UNKNOWN_ID
        ]

    def decode(self, numbers: Sequence[int]) -> str:
        """The text of token numbers; bytes that are no whole character become U+FFFD."""
        return str(self._rules.decode(list(numbers), skip_special_tokens=False))

    def decode_stream(self, numbers: Iterable[int]) -> Iterator[str]:
        """Text as soon as it is whole (a character may take several byte tokens); START begins a new line."""
        decoder = decoders.DecodeStream(skip_special_tokens=False)
        for number in numbers:
            if number == START_ID:
                decoder = decoders.DecodeStream(skip_special_tokens=False)
                yield "\n"
                continue
            text = decoder.step(self._rules, number)
            if text:
                yield text


def _check_unicode(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"the prompt or text is not valid Unicode (a lone surrogate, {text[error.start]!r}, at position "
            f"{error.start}): give it in UTF-8."
        ) from error


def _pieces(kind: str, document: Text) -> Iterator[str]:
    """A document's text in pieces that give the same tokens as the whole would."""
    return document.pieces() if kind in ("char", "byte") else _before_spaces(document.pieces())


def _before_spaces(pieces: Iterable[str]) -> Iterator[str]:
    """The same text, cut where white space begins: there a word ends, and no token goes on."""
    rest = ""
    for piece in pieces:
        rest += piece
        end = len(rest.rstrip())
        cut = max(rest.rfind(" ", 0, end), rest.rfind("\n", 0, end))
        while cut > 0 and _WHITE_SPACE.match(rest[cut - 1]):
            cut -= 1
        if cut <= 0 and len(rest) > _LONGEST:
            cut = len(rest)
        if cut > 0:
            yield rest[:cut]
            rest = rest[cut:]
    if rest:
        yield rest


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le"), np.uint32)


def _bytes(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), np.uint8)


def _byte_names() -> dict[str, int]:
    """What the library calls each byte: printable ones by themselves, the others by characters from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + n): byte for n, byte in enumerate(others)}


def _char(texts: Iterable[str], _: int | None) -> Tokenizer:
    there = np.zeros(_CODE_POINTS, bool)
    for text in texts:
        there[_code_points(text)] = True
    seen = [chr(code) for code in np.flatnonzero(there)]
    # Byte-pair encoding without a single merge splits into characters, faster than splitting by a rule does.
    rules = Tokenizer(models.BPE(vocab=_numbered(seen), merges=[], unk_token=UNKNOWN))
    rules.decoder = decoders.Fuse()
    return rules


def _byte(_: Iterable[str], __: int | None) -> Tokenizer:
    rules = Tokenizer(models.BPE(vocab=_numbered(sorted(pre_tokenizers.ByteLevel.alphabet())), merges=[]))
    rules.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    rules.decoder = decoders.ByteLevel()
    return rules


def _word(texts: Iterable[str], vocabulary_size: int | None) -> Tokenizer:
    counts = Counter(word for text in texts for word in _WHITE_SPACE.split(text))
    for special in ("", UNKNOWN, END_OF_LINE):
        counts.pop(special, None)
    room = None if vocabulary_size is None else max(vocabulary_size - 3, 0)
    # Of words equally frequent the alphabet decides, so that the same text always gives the same vocabulary.
    kept = sorted(counts, key=lambda word: (-counts[word], word))[:room]
    rules = Tokenizer(models.WordLevel(vocab=_numbered([END_OF_LINE, *kept]), unk_token=UNKNOWN))
    rules.normalizer = normalizers.Replace("\n", f" {END_OF_LINE} ")
    rules.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    # A space before each word but the first (no word begins with NUL, the mark of one to be glued on), none at a line's ends.
    rules.decoder = decoders.Sequence(
        [
            decoders.WordPiece(prefix="\0", cleanup=False),
            decoders.Replace(Regex(f" ?{END_OF_LINE}"), "\n"),
            decoders.Fuse(),
            decoders.Replace("\n ", "\n"),
        ]
    )
    return rules


def _bpe(texts: Iterable[str], vocabulary_size: int | None) -> Tokenizer:
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    size = 4096 if vocabulary_size is None else vocabulary_size
    if size < len(alphabet) + 2:
        raise OptionError(f"vocabulary={size} is too small: bpe needs {len(alphabet) + 2} for the bytes alone.")
    rules = Tokenizer(models.BPE())
    rules.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    rules.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=[START, UNKNOWN], initial_alphabet=alphabet, show_progress=False
    )
    rules.train_from_iterator(texts, trainer)
    return rules


def _numbered(tokens: Iterable[str]) -> dict[str, int]:
    return {token: number for number, token in enumerate([START, UNKNOWN, *tokens])}
