"""Pictures as text that an HTML file can hold."""

from __future__ import annotations

import base64
import io
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 100
# Charts have few colours: a palette of them takes a third of the bytes.
COLOURS = 256


def data_uri(figure: Figure) -> tuple[str, int, int]:
    """PNG of a figure as a data URI, and its width and height in pixels.

    The same figure gives the same bytes: nothing tells when or by what it was drawn.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> uri, width, height = data_uri(Figure(figsize=(2, 1)))
    >>> uri[:22], width, height
    ('data:image/png;base64,', 200, 100)
    """
    from PIL import Image

    drawn = io.BytesIO()
    fast = {"compress_level": 1}
    with warnings.catch_warnings():
        # A name in letters that the font lacks stands in the tables, which browsers write.
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font", UserWarning)
        figure.savefig(drawn, format="png", dpi=DPI, metadata={"Software": None}, pil_kwargs=fast)
    with Image.open(drawn) as image:
        width, height = image.size
        few = image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
        packed = io.BytesIO()
        few.save(packed, format="PNG")
    text = base64.b64encode(packed.getvalue()).decode("ascii")
    return f"data:image/png;base64,{text}", width, height
