"""Pictures that cost nothing, for tests of what stands around them."""

from __future__ import annotations

from matplotlib.figure import Figure

from mmm_xgen.errors import ConfigError
from mmm_xgen.report import pictures


def no_pixels(monkeypatch):
    """Pictures are drawn, and not written as pixels: that is most of the time it takes."""
    monkeypatch.setattr(pictures, "data_uri", lambda figure: ("data:image/png;base64,AA==", 1, 1))


def no_pictures(monkeypatch):
    """Nothing is drawn, in place of what takes a third of a second a picture."""

    def blank(ds, drawing, page):
        if page > 1:
            raise ConfigError("found 2, allowed: 1 to 1", path="page")
        return Figure()

    no_pixels(monkeypatch)
    monkeypatch.setattr(pictures, "_figure", blank)
