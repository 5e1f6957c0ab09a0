"""The axis legend, and the array types that carry it.

`B` batch, `T` time, `D` input features, `H` hidden units, `G` gates times hidden units, `L` layers (times directions),
`V` vocabulary or classes. A name says its axes (`x_TBD`), an annotation says them again in a form that is checked while
the tests run: `Float[Tensor, "T B D"]`.
"""

from jaxtyping import Bool, Float, Int
from torch import Tensor

__all__ = ["Bool", "Float", "Int", "Tensor"]
