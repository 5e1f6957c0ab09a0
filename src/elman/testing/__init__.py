"""Tests for cells of one's own: `check_cell` holds any cell to the laws that elman's own are held to.

The parts that it is made of are here too: random cases, ways to compute the same thing, and how to compare.
"""

from elman.testing.case import Case, Results, draw_mask, random_case, reset_flags, with_padding
from elman.testing.check import Checked, CheckReport, check_cell
from elman.testing.compare import TOLERANCE, Difference, assert_same, largest_difference
from elman.testing.compute import Compute, by_engine, by_folding, in_two_pieces, row_by_row, values_and_gradients
from elman.testing.differences import difference, smooth_difference
from elman.testing.instruction_set import instruction_sets, using_instruction_set

__all__ = [
    "TOLERANCE",
    "Case",
    "CheckReport",
    "Checked",
    "Compute",
    "Difference",
    "Results",
    "assert_same",
    "by_engine",
    "by_folding",
    "check_cell",
    "difference",
    "draw_mask",
    "in_two_pieces",
    "instruction_sets",
    "largest_difference",
    "random_case",
    "reset_flags",
    "row_by_row",
    "smooth_difference",
    "using_instruction_set",
    "values_and_gradients",
    "with_padding",
]
