"""Datasets for others: the wide frame, the nested ground truth, and files of all of them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
