"""A cell as data: its step, traced once into a graph, reversed, and compiled to programs that the native core runs."""

from elman.programs.cell import CellPrograms, ProductPlan, SumPlan, programs_of
from elman.programs.code import ArrayKind, Program

__all__ = ["ArrayKind", "CellPrograms", "ProductPlan", "Program", "SumPlan", "programs_of"]
