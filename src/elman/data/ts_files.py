"""Files of the UCR and UEA time series archives, in the format of sktime and aeon:

    # a comment
    @problemName BasicMotions
    @univariate false
    @dimensions 2
    @classLabel true standing running
    @data
    0.1,0.2,0.3:1.0,1.1,?:standing

A line a series: dimensions between colons, values between commas, `?` (or NaN) for a value that is missing, the class at the
end. With `@timeStamps true` a value is a pair, (2024-01-31 15:00:00,0.1) or (0.5,0.1), whose times rise and are the same in all
dimensions: as in tables, they tell the order, and a step is a step. Series may be of different lengths; the dimensions of one
are of the same. (Löning et al., arXiv 1909.07872.)
"""

import math
import re
from collections.abc import Sequence

import numpy as np

from elman.data.bad_rows import BadRows
from elman.data.delimited import is_number
from elman.data.labelled_series import Columns, Found, Series
from elman.data.lines import Line, read_lines
from elman.data.long_tables import time_of
from elman.data.text import Source, name_of
from elman.errors import DataError

_FLAGS = ("timestamps", "univariate")
# A colon between dimensions: not one within a time stamp.
_BETWEEN_DIMENSIONS = re.compile(r":(?![^()]*\))")
_PAIR = re.compile(r"\(([^(),]*),([^(),]*)\)")


def read_ts(source: Source, columns: Columns, encoding: str, bad: BadRows) -> Found:  # noqa: ARG001
    """The series of a file. Bad rows: undecodable bytes, a value that is no number, a time stamp that is no time or doesn't lie
    behind the one before it, a class that the header hasn't, dimensions of different lengths or time stamps, or another number
    of them than the header or the first series has.

    Raises `DataError` for a header that can't be understood, and for numbers as targets, which aren't read.
    """
    name = name_of(source)
    header: dict[str, list[str]] = {}
    series: list[Series] = []
    dimensions, in_data = 0, False
    for line in read_lines(source, encoding):
        where, text = f"{name}, line {line.number}", line.text.strip()
        if in_data and line.wrong:
            bad.skip(where, line.wrong)
        elif not text or text.startswith(("#", "%")):
            continue
        elif not in_data:
            in_data = _take(header, line, name)
            dimensions = _dimensions(header, name) if in_data else 0
        else:
            parts = _BETWEEN_DIMENSIONS.split(text)
            label = parts.pop().strip() if "classlabel" in header else None
            dimensions = dimensions or len(parts)
            stamped = header.get("timestamps", [""])[:1] == ["true"]
            found = _values(parts, dimensions, stamped)
            wrong = found if isinstance(found, str) else _wrong_label(label, header)
            if isinstance(found, str) or wrong:
                bad.skip(where, wrong)
            else:
                series.append(Series(found, label, where, str(len(series) + 1)))
    if not in_data:
        raise DataError(f"{name} is no .ts file of the archives: it has no line @data. Give one as sktime writes it.")
    classes = header.get("classlabel", [])
    said = f"series of {dimensions} dimensions a line" + (f", of {len(classes)} classes" if classes else "")
    return Found(series, said)


def _take(header: dict[str, list[str]], line: Line, name: str) -> bool:
    """Take in a line of the header; says whether it was its last."""
    text = line.text.strip()
    if line.wrong or not text.startswith("@"):
        what = line.wrong or f"it begins with {text[:20]!r}, where the header's lines begin with @"
        raise DataError(f"{name}, line {line.number}: {what}: give a .ts file as sktime writes it.")
    key, *rest = text[1:].split()
    key = key.lower() if key else ""
    if key == "data":
        return True
    if key == "classlabel":
        if rest[:1] and rest[0].lower() == "false":
            return False
        rest = rest[1:]
        if not rest:
            raise DataError(
                f"{name}, line {line.number}: @classLabel true must be followed by the names of the classes."
            )
    if key == "targetlabel" and rest and rest[0].lower() == "true":
        raise DataError(f"{name} has numbers as targets (@targetLabel): there are no classes to learn.")
    header[key] = [word.lower() for word in rest] if key in _FLAGS else rest
    return False


def _dimensions(header: dict[str, list[str]], name: str) -> int:
    """How many dimensions the header tells of; 0 if it tells none."""
    if header.get("univariate", [""])[:1] == ["true"]:
        return 1
    told = header.get("dimensions", header.get("dimension", ["0"]))
    if not told or not told[0].isdecimal():
        raise DataError(f"{name}: @dimensions must be followed by a whole number.")
    return int(told[0])


def _values(parts: Sequence[str], dimensions: int, stamped: bool) -> np.ndarray | str:
    """Values (T, D), or what is wrong with them."""
    if len(parts) != dimensions:
        return f"it has {len(parts)} dimensions between colons, where {dimensions} were told of"
    columns, stamps = [], list[list[str]]()
    for number, part in enumerate(parts, 1):
        if stamped:
            pairs = _PAIR.findall(part)
            if _PAIR.sub("", part).strip(", "):
                return f"dimension {number} is not of pairs of a time stamp and a value, as (0,1.5),(1,1.7)"
            cells, found = [cell.strip() for _, cell in pairs], [stamp.strip() for stamp, _ in pairs]
            stamps.append(found)
            if wrong := _wrong_stamps(found):
                return f"{wrong} in dimension {number}"
        else:
            cells = [cell.strip() for cell in part.split(",")] if part.strip() else []
        try:
            columns.append([np.nan if cell == "?" else float(cell) for cell in cells])
        except ValueError:
            wrong = next(cell for cell in cells if cell != "?" and not is_number(cell))
            return f"{wrong!r} in dimension {number} is no number"
    lengths = {len(column) for column in columns}
    if len(lengths) > 1:
        return f"its dimensions have {' and '.join(map(str, sorted(lengths)))} values: they must be of one length"
    if any(found != stamps[0] for found in stamps):
        return "its dimensions have different time stamps: they must have the same"
    return np.array(columns, np.float32).T.reshape(-1, dimensions)


def _wrong_stamps(stamps: Sequence[str]) -> str:
    before = -math.inf
    for stamp in stamps:
        now = time_of(stamp)
        if now is None:
            return f"{stamp!r} is no time"
        if now <= before:
            return (
                f"the time {stamp} {'is there twice' if now == before else 'lies before that of the value before it'}"
            )
        before = now
    return ""


def _wrong_label(label: str | None, header: dict[str, list[str]]) -> str:
    classes = header.get("classlabel", [])
    if label is None or label in classes:
        return ""
    return f"its class {label!r} is not among those of the header ({', '.join(classes[:20])})"
