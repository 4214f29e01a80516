"""How long a fit compiled, and how long it sampled, whichever sampler."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

# Meridian's script, which may import nothing of ours, listens to JAX in the same way.
from mmm_xgen.recovery.models.meridian_worker import CompileClock

ON_JAX = ("numpyro", "blackjax")
TRACED = "/jax/core/compile/jaxpr_trace_duration"


class SamplerClock(CompileClock):
    """Seconds that JAX compiles, and when it began on the largest thing, which is the sampler."""

    def __init__(self) -> None:
        super().__init__()
        self.traces: list[tuple[float, float]] = []

    def heard(self, event: str, duration_secs: float, **more: Any) -> None:
        """Keep an event that JAX tells of at its end."""
        super().heard(event, duration_secs, **more)
        if event == TRACED:
            self.traces.append(self.spans[-1])

    def sampling(self, start: float, end: float) -> float:
        """Seconds of sampling: from the largest trace on, all that is not compilation.

        What PyMC says itself has the compilation in it, and may end before JAX, which works on
        while Python goes on.

        Parameters
        ----------
        start, end : float
            Moments of `time.perf_counter` before and after the call that samples.

        Examples
        --------
        >>> clock = SamplerClock()
        >>> clock.spans = [(0.0, 0.5), (1.0, 2.0), (2.0, 5.0), (9.5, 9.75)]
        >>> clock.traces = [(0.0, 0.5), (1.0, 2.0)]
        >>> clock.sampling(0.0, 10.0)
        4.75
        """
        traces = [span for span in self.traces if span[0] >= start]
        began, _ = max(traces, key=lambda span: span[1] - span[0], default=(start, start))
        return end - began - self.since(began)


@lru_cache(maxsize=1)
def jax_clock() -> SamplerClock:
    """The one listener of this process: JAX does not let go of one."""
    from jax import monitoring

    clock = SamplerClock()
    monitoring.register_event_duration_secs_listener(clock.heard)
    return clock
