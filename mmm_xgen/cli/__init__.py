"""The command ``mmm-xgen``, which parses arguments, calls the library and prints."""

import lazy_loader

# `mmm_xgen` imports `interrupt` of this folder first: nothing heavy may be loaded with it.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
