"""Limit on the threads of linear algebra."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from typing import Any


def in_one_thread() -> AbstractContextManager[Any]:
    """Return a context in which linear algebra uses one thread.

    Decompositions of many small matrices do not gain from threads, which wait for each other at
    every column. If other processes keep the cores busy, they lose tens of seconds.
    """
    limit: AbstractContextManager[Any] = _thread_pools().limit(limits=1, user_api="blas")
    return limit


@cache
def _thread_pools() -> Any:
    """Return the thread pools of the loaded libraries; finding them takes milliseconds."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
