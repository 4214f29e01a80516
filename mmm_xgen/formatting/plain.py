"""Values that JSON can hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def plain(value: Any) -> Any:
    """Turn NumPy arrays and scalars, at any depth, into Python's; not finite becomes None.

    Examples
    --------
    >>> import numpy as np
    >>> plain({"seed": np.int64(3), "values": np.array([0.5, np.inf]), "names": ("TV",)})
    {'seed': 3, 'values': [0.5, None], 'names': ['TV']}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
