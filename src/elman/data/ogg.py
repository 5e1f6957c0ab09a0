"""Whether an OGG file is whole. Its pages tell, its decoder doesn't: libsndfile plays what is left of it as if that were all.

A page: "OggS", version 0, flags (4: the last of its stream), position (8), serial number (4), page number (4), checksum (4),
how many segments (1), the length of each (1 byte each), and the segments. (RFC 3533, section 6.)
"""

from pathlib import Path

_MAGIC = b"OggS\0"
_HEADER = 27
_LAST = 4
# A page has a header, 255 lengths at most, and as many segments of 255 bytes at most.
_LARGEST_PAGE = _HEADER + 255 + 255 * 255


def is_cut(content: bytes) -> bool:
    """Whether the last page of OGG is not whole, or isn't marked as the last: what came behind it is lost."""
    at = content.rfind(_MAGIC)
    page = content[at:] if at >= 0 else b""
    if len(page) < _HEADER:
        return True
    segments = page[_HEADER - 1]
    lengths = page[_HEADER : _HEADER + segments]
    return len(page) < _HEADER + segments + sum(lengths) or not page[5] & _LAST


def is_cut_file(path: str | Path) -> bool:
    """`is_cut` of a file, of which only the end is read."""
    with Path(path).open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(size - 2 * _LARGEST_PAGE, 0))
        return is_cut(file.read())
