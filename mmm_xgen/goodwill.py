"""Population that media move: a link with memory, and no adstock or curve behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mmm_xgen.connections import FADED
from mmm_xgen.errors import ConfigError, SchemaError
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.kernels.responses import RESPONSES, ResponseKind, State
from mmm_xgen.schema import check_variables

if TYPE_CHECKING:
    import xarray as xr

# Name of what everybody buys, and what the names of the parameters begin with.
SIZE, PREFIX = "response_size", "response_"
# Attribute of a Dataset with the registered kind.
KIND = "response_kind"
# Share that is left of a state after one period, from which on nothing fades in a lifetime.
EVER = 1 - 1e-6
# Most periods that a carry-out runs.
LONGEST = 5000
# Largest number of Newton's steps to a steady state, when it is reached, and the change of a state
# that stands for a derivative.
STEPS, STEADY, SMALL = 60, 1e-14, 1e-3


@dataclass(frozen=True)
class Population:
    r"""People who are moved by media, and buy.

    With the state :math:`s_t` and the function :math:`f` of the registered kind,

    .. math::

        s_t, b_t &= f(s_{t-1}, \text{pressure}_t) \\
        \text{sales}_t &= \text{size} \cdot (b_t - b^*)

    The state starts at the steady state without media, where people buy :math:`b^*`.

    Parameters
    ----------
    kind : ResponseKind
        Registered kind.
    parameters : mapping of str to array, dims (..., geo)
        Parameters of the kind.
    size : array, dims (..., geo)
        KPI units per period where :math:`b` is 1.
    """

    kind: ResponseKind
    parameters: Mapping[str, FloatArray]
    size: FloatArray

    @property
    def looks_back(self) -> bool:
        """True: sales depend on what media added on earlier dates."""
        return True

    @cached_property
    def start(self) -> tuple[State, FloatArray]:
        """Steady state without media, and what people buy there.

        Dims are (..., geo), or (1,) where all geos have the same parameters.

        Raises
        ------
        ConfigError
            If there is none, because people do not forget.
        """
        shape = np.broadcast_shapes(*map(np.shape, self._numbers.values()), (1,))
        first = np.zeros((*shape, len(self.kind.states)))
        state, is_lost = self._at_rest(first)
        if is_lost.any():
            # From where nobody knows the brand, people move away first, as with word of mouth.
            walked = tuple(np.moveaxis(first, -1, 0))
            for _ in range(LONGEST):
                walked, _ = self._after(walked, np.zeros(shape))
            far = np.stack(np.broadcast_arrays(*walked), axis=-1)
            state, is_lost = self._at_rest(np.where(is_lost, far, first))
        if is_lost.any():
            raise ConfigError(
                "found rates with which people come to no rest without media, or hardly forget, "
                "so that media work for ever; allowed: rates that lose at least a millionth of a "
                "change per period; choose a higher forget or churn",
                path="response",
            )
        found = tuple(np.ascontiguousarray(np.moveaxis(state, -1, 0)))
        return found, self._after(found, np.zeros(shape))[1]

    def _at_rest(self, state: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Return the steady state that Newton's method finds, and True where there is none.

        Dims are (..., geo, state) and (..., geo, 1).
        """
        is_far = np.ones((*state.shape[:-1], 1), dtype=bool)
        is_lost = ~is_far
        for _ in range(STEPS):
            after, kept = self._transition(state)
            is_lost |= ~np.asarray(np.isfinite(kept).all(axis=(-2, -1)))[..., None]
            kept = np.where(is_lost[..., None], 0.0, kept)
            is_lost |= self._lasting(kept)[..., None] > EVER
            gap = after - state
            size = np.maximum(1.0, np.abs(state).max(axis=-1, keepdims=True))
            # A geo that is there stays, so that the others do not change its bits.
            is_far = ~is_lost & (np.abs(gap).max(axis=-1, keepdims=True) > STEADY * size)
            if not is_far.any():
                break
            rest = np.eye(kept.shape[-1]) - np.where(is_far[..., None], kept, 0.0)
            step = np.linalg.solve(rest, gap[..., None])[..., 0]
            state = np.where(is_far, state + step, state)
        return state, is_lost | is_far

    @cached_property
    def lasting(self) -> float:
        """Largest share of a change of the state that is left after one period without media."""
        _, kept = self._transition(np.stack(self.start[0], axis=-1))
        return float(self._lasting(kept).max())

    @property
    def reach(self) -> int:
        """Number of periods after which less than `FADED` of a change is left, at most `LONGEST`.

        `left` says how much is cut there.
        """
        states = len(self.kind.states)
        if self.lasting == 0:
            return states
        return min(states + int(np.ceil(np.log(FADED) / np.log(self.lasting))), LONGEST)

    @property
    def left(self) -> float:
        """Share of a change of the state that is left where its carry-out is cut."""
        return float(self.lasting**self.reach)

    def sales(self, added: FloatArray, first: int) -> FloatArray:
        """Return the sales that media make, dims (..., geo, date); see `mmm_xgen.link.Link`."""
        return self._dates_last(self._sold(self._run(added)[0]))

    def sales_and_states(self, added: FloatArray) -> tuple[FloatArray, dict[str, FloatArray]]:
        """Return `sales`, and the states of the first of several worlds by Dataset name.

        Parameters
        ----------
        added : array, dims (world, ..., geo, date)
            Sum of what media add.

        Returns
        -------
        sales : array, dims (world, ..., geo, date)
        states : dict of str to array, dims (1, ..., geo, date)
        """
        bought, states = self._run(added, keep=True)
        named = dict(zip(self.kind.states, np.moveaxis(states, 1, 0), strict=True))
        return (
            self._dates_last(self._sold(bought)),
            {name: self._dates_last(each) for name, each in named.items()},
        )

    def step(self, added: FloatArray, date: int, state: Any) -> tuple[FloatArray, Any]:
        """Return the sales of one date, dims (..., geo), and the next state."""
        state, bought = self._after(self.start[0] if state is None else state, added)
        return self._sold(bought), state

    def _run(self, added: FloatArray, *, keep: bool = False) -> tuple[FloatArray, FloatArray]:
        """Return what people buy, dims (date, ..., geo), and states, (date, state, ..., geo).

        The states are those of the first entry of `added`; there are none unless `keep`.
        """
        # Dates first: the loop reads and writes whole blocks of memory.
        pressure = np.ascontiguousarray(np.moveaxis(added, -1, 0))
        shape = np.broadcast_shapes(pressure.shape[1:], self.start[1].shape)
        state = tuple(np.broadcast_to(each, shape) for each in self.start[0])
        numbers = np.result_type(pressure, *self.parameters.values())
        bought = np.empty((len(pressure), *shape), dtype=numbers)
        kept = np.empty((len(pressure), len(state), 1, *shape[1:]) if keep else (0,), numbers)
        for date, pressed in enumerate(pressure):
            state, bought[date] = self._after(state, pressed)
            if keep:
                kept[date] = [each[:1] for each in state]
        return bought, kept

    @staticmethod
    def _dates_last(values: FloatArray) -> FloatArray:
        # In one order in memory, sums have the same bits for one dataset and for many.
        return np.ascontiguousarray(np.moveaxis(values, 0, -1))

    @cached_property
    def _numbers(self) -> dict[str, Any]:
        """Parameters as arguments; one number for all geos is faster than an array."""
        return {
            name: values.flat[0].item() if (values == values.flat[0]).all() else values
            for name, values in self.parameters.items()
        }

    def _after(self, state: State, pressure: FloatArray) -> tuple[State, FloatArray]:
        found: tuple[State, FloatArray] = self.kind.function(state, pressure, **self._numbers)
        return found

    def _sold(self, bought: FloatArray) -> FloatArray:
        return np.asarray((bought - self.start[1]) * self.size)

    def _transition(self, state: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the state after a period without media, and its derivative.

        `state` has dims (..., geo, state), the derivative (..., geo, next state, state). It is a
        difference towards a smaller state, where a share leaves room for others.
        """
        size = state.shape[-1]
        step = np.where(state > 2 * SMALL, -SMALL, SMALL)
        moves = np.concatenate([np.zeros((1, size)), np.eye(size)])
        # The moved states come first, so that parameters by geo broadcast.
        tried = np.moveaxis(state[..., None, :] + moves * step[..., None, :], (-1, -2), (0, 1))
        made, _ = self._after(tuple(tried), np.zeros(tried.shape[1:]))
        after = np.stack(np.broadcast_arrays(*made), axis=-1)
        slopes = np.moveaxis(after[1:] - after[0], 0, -1) / step[..., None, :]
        return after[0], slopes

    @staticmethod
    def _lasting(kept: FloatArray) -> FloatArray:
        return np.asarray(np.abs(np.linalg.eigvals(kept)).max(axis=-1))


def population_of(ds: xr.Dataset, arrays: Mapping[str, FloatArray]) -> Population:
    """Return the population of a Dataset.

    Parameters
    ----------
    ds : Dataset
        Its attributes have the kind.
    arrays : mapping of str to array, dims (..., geo)
        ``response_size`` and the parameters of the kind, by Dataset name.

    Raises
    ------
    SchemaError
        If the kind or a parameter is missing.
    """
    if KIND not in ds.attrs:
        raise SchemaError(
            f"the Dataset has lost its attribute {KIND!r}, which says how people respond to media; "
            "keep its attributes"
        )
    kind = RESPONSES[str(ds.attrs[KIND])]
    missing = [name for name in kind.parameters if PREFIX + name not in arrays]
    if missing:
        check_variables(ds, PREFIX + missing[0])
    return Population(kind, {name: arrays[PREFIX + name] for name in kind.parameters}, arrays[SIZE])


def population_in(ds: xr.Dataset) -> Population | None:
    """Return the population of a Dataset, or of all datasets of an ensemble; None without one."""
    if SIZE not in ds:
        return None
    arrays = {name: ds[name].transpose(..., "geo").to_numpy() for name in parameter_names(ds)}
    return population_of(ds, arrays)


def parameter_names(ds: xr.Dataset) -> list[str]:
    """Return the names of the variables that hold size and parameters of a population."""
    return [name for name in map(str, ds.data_vars) if name.startswith(PREFIX)]
