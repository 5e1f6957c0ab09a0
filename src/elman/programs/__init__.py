"""A cell as data: its step, traced once into a graph, reversed, and compiled to programs that the native core runs."""

from elman.programs.cell import CellPrograms, ProductPlan, SumPlan, programs_of
from elman.programs.code import ArrayKind, Program
from elman.programs.derived import Derived, derive

__all__ = ["ArrayKind", "CellPrograms", "Derived", "ProductPlan", "Program", "SumPlan", "derive", "programs_of"]
