"""Marketing-mix datasets whose truth is known.

One configuration and one seed make a labelled `xarray.Dataset` with dims
``(date, geo, channel)``: spend, adstock, saturation, contributions, baseline, controls, noise,
sales and every true parameter.
"""

import mmm_xgen.cli.interrupt  # before everything that takes time to import

# isort: split
import lazy_loader

from mmm_xgen.version import __version__ as __version__

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

# It registers `ds.mmm`, and it comes last: the function `aggregate` hides its module from here on.
import mmm_xgen.accessor  # noqa: E402, F401
