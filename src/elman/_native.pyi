# The compiled core, as `native/bindings.cpp` offers it: addresses are whole numbers, which `elman.engines.call` has checked.
from torch import Tensor

class Step:
    def __init__(self, code: list[int], constants: list[float]) -> None: ...
    def run(
        self,
        real_bytes: int,
        precision: int,
        backwards: bool,
        threads: int,
        steps: int,
        batch: int,
        rows: int,
        offset: int,
        from_end: bool,
        reset: int,
        arrays: list[tuple[int, int, int, int, int, int]],
        weights: list[tuple[int, int, int, int]],
        accumulators: int,
    ) -> None: ...

def multiply(
    real_bytes: int,
    precision: int,
    threads: int,
    accumulate: bool,
    m: int,
    n: int,
    k: int,
    a: int,
    a_row: int,
    a_column: int,
    b: int,
    b_row: int,
    b_column: int,
    bias: int,
    c: int,
    c_row: int,
) -> None: ...
def gather(
    to: int, rows: int, rows_bytes: int, others: int, index: int, count: int, row_bytes: int, threads: int
) -> None: ...
def buffer(size: int) -> Tensor: ...
def isa() -> str: ...
def isas() -> str: ...
def use_isa(name: str) -> None: ...
def has_precision(precision: int) -> bool: ...
def chunks(
    backwards: bool,
    real_bytes: int,
    threads: int,
    cell: int,
    option: bool,
    steps: int,
    batch: int,
    heads: int,
    keys: int,
    values: int,
    chunk: int,
    pointers: Sequence[int],
) -> None: ...
