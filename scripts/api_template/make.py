"""Make the pages by pdoc, with types as the source names them. scripts/api_pages runs this; nothing imports it."""

import sys
from pathlib import Path
from types import GenericAlias

import numpy.typing
import pdoc


# pdoc evaluates annotations: it would show the ten lines that ArrayLike stands for, and for NDArray[np.int8] four types
# one in another. So these two take their places, in whatever is imported from here on.
class ArrayLike:
    """Shown as numpy.typing.ArrayLike."""

    __module__ = "numpy.typing"


class NDArray:
    """Shown as NDArray[numpy.int8] and the like."""

    __module__ = "builtins"

    def __class_getitem__(cls, kind: object) -> GenericAlias:
        return GenericAlias(cls, kind)


for name, shown in {"ArrayLike": ArrayLike, "NDArray": NDArray}.items():
    setattr(numpy.typing, name, shown)

pdoc.render.configure(docformat="markdown", show_source=False, template_directory=Path(__file__).parent)
# `motionsig` has every public name; the two modules are what its text refers to.
pdoc.pdoc("motionsig", "motionsig.conventions", "motionsig.wire", output_directory=Path(sys.argv[1]))
