"""The population behind sales: shares, sales, start, reach and its parameters, by scalar loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import mmm_xgen as m
from mmm_xgen.connections import FADED
from mmm_xgen.dataset import config_of
from mmm_xgen.ensemble import element, generate_ensemble
from mmm_xgen.errors import ConfigError, SchemaError
from mmm_xgen.generate import variable_names
from mmm_xgen.goodwill import LONGEST, Population, population_in
from mmm_xgen.kernels.responses import RESPONSES
from mmm_xgen.truth.media import world_from
from tests.population import (
    NAMES,
    RATES,
    STATES,
    made,
    one_period,
    pressures,
    scalar_sales,
    scalar_states,
    whole_spend,
)
from tests.strategies import examples
from tests.truth.worlds import assert_near

SALES = ("date", "geo")
# Rates of which three leave one state: together they are more than 1.
FAST = {"forget": 0.5, "cool": 0.5, "convert": 0.5, "churn": 0.6}
rates = st.floats(0.02, 1.0)


@pytest.mark.parametrize("changes", [{}, FAST, {"organic": 0.0}, {"trial": 1.0, "churn": 1.0}])
def test_shares_and_sales_are_those_of_people_who_fall_and_climb(changes: dict[str, float]) -> None:
    ds = made({"kind": "goodwill", **changes})
    own = {**RATES, **changes}
    spend, n_past = whole_spend(ds), ds.sizes["history_date"]
    for geo, pressure in enumerate(pressures(ds, spend).T):
        states = scalar_states(pressure, own)[1 + n_past :]
        for position, name in enumerate(STATES, 1):
            assert_near(ds[name].transpose(*SALES)[:, geo], states[:, position], 1e-11, 1.0)
    sold = scalar_sales(ds, spend, own)
    for position, name in enumerate(NAMES):
        without = spend.copy()
        without[..., position] = 0
        lost = (sold - scalar_sales(ds, without, own))[n_past:]
        found = ds["channel_contribution"].sel(channel=name).transpose(*SALES)
        assert_near(found, lost, 1e-9, float(sold.max()))
    media = ds["channel_contribution"].sum("channel") + ds["remainder_contribution"]
    assert_near(media.transpose(*SALES), sold[n_past:], 1e-9, float(sold.max()))
    # Channels act on each other: the losses without each do not add up.
    assert abs(ds["remainder_contribution"]).max() > 1e-3 * sold.max()


def test_the_dataset_has_the_variables_that_it_says() -> None:
    ds = made()
    empty = {"event_effect", "event_intensity", "gamma_seasonal"}
    assert set(variable_names(config_of(ds))) == set(ds.data_vars) | empty
    for name in STATES:
        assert ds[name].attrs["units"] == "1" and ds[name].attrs["long_name"]


def test_off_is_the_same_as_without_the_block() -> None:
    plain = made(None)
    assert "response_size" not in plain and "remainder_contribution" not in plain
    # A negative control: the population changes sales.
    assert float(abs(made()["mu"] - plain["mu"]).max()) > 1


@pytest.mark.parametrize("kind", ["awareness", "nerlove_arrow", "saturating_goodwill"])
def test_saving_keeps_the_world(kind: str, tmp_path: Any) -> None:
    ds = made(kind)
    path = tmp_path / "ds.nc"
    m.to_netcdf(ds, path)
    loaded = m.load(path)
    assert loaded.identical(ds)
    assert m.respond(loaded["spend"], loaded).identical(m.respond(ds["spend"], ds))
    assert m.regenerate(loaded).identical(ds)


def test_goodwill_of_nerlove_and_arrow_is_a_geometric_adstock_without_end() -> None:
    ds = made({"kind": "nerlove_arrow", "forget": 0.3, "size": 0.5})
    spend = whole_spend(ds)
    n_past = ds.sizes["history_date"]
    lag = np.subtract.outer(np.arange(len(spend)), np.arange(len(spend)))
    weights = np.where(lag >= 0, 0.7 ** np.maximum(lag, 0), 0.0)
    goodwill = (weights @ pressures(ds, spend))[n_past:]
    assert_near(ds["goodwill"].transpose(*SALES), goodwill, 1e-12)
    unit, rate = (ds[name].transpose("geo", "channel").values for name in ("spend_unit", "effect"))
    stock = np.einsum("ts,sgc->tgc", weights, spend / unit)[n_past:]
    wanted = 0.5 * ds["intercept_contribution"].values[:, None] * rate * stock
    found = ds["channel_contribution"].transpose("date", "geo", "channel")
    assert_near(found, wanted, 1e-12, float(wanted.max()))
    # A straight line: nothing is left beside the channels.
    assert abs(ds["remainder_contribution"]).max() < 1e-12 * wanted.max()


def test_goodwill_that_saturates_and_three_states_are_their_equations() -> None:
    ds = made({"kind": "saturating_goodwill", "forget": 0.3, "half": 0.8})
    stock = ds["goodwill"].transpose(*SALES)
    sold = ds["channel_contribution"].sum("channel") + ds["remainder_contribution"]
    wanted = (ds["response_size"] * stock / (0.8 + stock)).transpose(*SALES)
    assert_near(sold.transpose(*SALES), wanted)

    ds = made("awareness")
    spend, sold = whole_spend(ds), []
    for geo, pressure in enumerate(pressures(ds, spend).T):
        unaware, aware, loyal, bought = 1.0, 0.0, 0.0, []
        for pressed in [0.0] * 3000 + pressure.tolist():
            p = 1 - np.exp(-(0.1 + pressed))
            unaware, aware, loyal = (
                unaware + 0.2 * aware,
                0.8 * aware + 0.1 * loyal,
                0.9 * loyal,
            )
            unaware, aware, loyal = (
                (1 - p) * unaware,
                p * unaware + 0.85 * aware,
                loyal + 0.15 * aware,
            )
            bought.append(0.1 * aware + loyal)
        size = float(ds["response_size"][geo])
        sold.append(size * (np.array(bought[3000:]) - bought[2999]))
    media = ds["channel_contribution"].sum("channel") + ds["remainder_contribution"]
    n_past = ds.sizes["history_date"]
    assert_near(media.transpose(*SALES), np.array(sold).T[n_past:], 1e-9, 1.0)


@given(
    own=st.fixed_dictionaries({name: rates for name in ("forget", "cool", "convert", "churn")}),
    organic=st.floats(0, 3),
    pressure=st.lists(st.one_of(st.floats(-5, 5), st.floats(0, 1e12)), min_size=1, max_size=30),
)
@examples(1.0)
def test_shares_stay_between_0_and_1(
    own: dict[str, float], organic: float, pressure: list[float]
) -> None:
    parameters = {name: np.array([value]) for name, value in {**own, "organic": organic}.items()}
    for kind, names in (("goodwill", ("cool", "trial")), ("awareness", ("trial",))):
        numbers = {name: parameters.get(name, np.array([0.3])) for name in (*parameters, *names)}
        numbers = {name: numbers[name] for name in RESPONSES[kind].parameters}
        population = Population(RESPONSES[kind], numbers, np.ones(1))
        sold, states = population.sales_and_states(np.array(pressure)[None, None])
        shares = np.array(list(states.values()))
        assert (shares >= 0).all()
        assert (shares.sum(axis=0) <= 1 + 1e-12).all()
        assert (np.abs(sold) <= 1 + 1e-12).all()


@given(own=st.fixed_dictionaries({name: rates for name in ("forget", "cool", "convert", "churn")}))
@examples(0.5)
def test_the_steady_state_is_one_and_changes_fade_as_the_reach_says(own: dict[str, float]) -> None:
    numbers = {name: np.array([value]) for name, value in {**RATES, **own}.items()}
    population = Population(RESPONSES["goodwill"], numbers, np.ones(1))
    start = [float(each[0]) for each in population.start[0]]
    state = [1 - sum(start), *start]
    np.testing.assert_allclose(one_period(state, 0.0, {**RATES, **own}), state, atol=1e-12)
    assert population.left <= FADED
    pulse = np.zeros((1, 1, population.reach + 200))
    pulse[..., 0] = 3.0
    sold = population.sales(pulse, 0)[0, 0]
    assert abs(sold[population.reach :]).max() <= 10 * FADED * abs(sold).sum()
    assert abs(population.sales(0 * pulse, 0)).max() < 1e-13


def test_a_carry_out_that_is_cut_says_so() -> None:
    ds = made({"kind": "nerlove_arrow", "forget": 0.001})
    population = population_in(ds)
    assert population is not None and population.reach == LONGEST
    np.testing.assert_allclose(population.left, 0.999**LONGEST, rtol=1e-6)
    cut = m.truth.roas(ds, with_carryout=True)["complete"].attrs["cut"]
    assert cut == "0.007 of a change, after 5000 periods"


def test_the_loop_gives_a_date_at_a_time_what_it_gives_at_once() -> None:
    ds = made()
    link = world_from(ds).link
    assert isinstance(link, Population) and link.looks_back
    pressure = pressures(ds, whole_spend(ds)).T
    state, sold = None, []
    for date in range(pressure.shape[-1]):
        made_now, state = link.step(pressure[:, date], date, state)
        sold.append(made_now)
    np.testing.assert_array_equal(np.array(sold).T, link.sales(pressure, -6))


def test_the_burn_in_builds_the_population_up() -> None:
    short, long = made(burn_in_periods=0), made(burn_in_periods=52)
    first = [float(ds["loyal_share"].isel(date=0, geo=0)) for ds in (short, long)]
    assert first[1] > 1.3 * first[0] > 0


def test_targets_of_roas_are_met_exactly() -> None:
    ds = m.generate_mmm_dataset(response="goodwill")
    np.testing.assert_allclose(ds.mmm.roas(), [2.4, 1.5, 3.0], rtol=1e-10)
    channels = [{"name": "TV", "roas": -1.0}, {"name": "Radio", "roas": 2.0}]
    ds = m.generate_mmm_dataset({"channels": channels, "response": "goodwill", "n_periods": 52})
    np.testing.assert_allclose(ds.mmm.roas(), [-1.0, 2.0], rtol=1e-10)
    ds = m.generate_mmm_dataset({"channels": [{"name": "TV", "roas": 0.0}], "response": "goodwill"})
    assert not ds["channel_contribution"].any()


def test_media_cannot_sell_more_than_the_population_buys() -> None:
    with pytest.raises(ConfigError, match=r"larger response\.size"):
        m.generate_mmm_dataset(response={"kind": "goodwill", "size": 0.5})


def test_own_transforms_act_before_the_population_and_shared_ones_do_not() -> None:
    ds = made(transforms={"saturation": "root_saturation"})
    assert set(ds["saturation_kind"].values) == {"no_saturation"}
    assert set(ds["adstock_kind"].values) == {"no_adstock"} and ds.sizes["lag"] == 1
    channel = {"name": "TV", "adstock": "geometric_adstock", "base_effectiveness": 0.1}
    curve = {"kind": "hill_function", "kappa": 800.0}
    ds = made(channels=[{**channel, "saturation": curve}])
    assert float(ds["spend_unit"][0, 0]) == 1
    pressure = ds["effect"] * ds["saturated"]
    alone = m.generate_mmm_dataset(
        {**config_of(ds).model_dump(mode="json", exclude_none=True), "response": None}
    )
    assert_near(ds["saturated"], alone["saturated"])
    link = world_from(ds).link
    assert isinstance(link, Population)
    late = link.sales(pressure.sum("channel").transpose("geo", "date").values, 0)
    # After some years nobody knows the burn-in any more; here its rest is small.
    found = ds["channel_contribution"].sum("channel").transpose("geo", "date")
    assert abs(found[:, -1] - late[:, -1]).max() < 0.02 * abs(late).max()


def test_what_channels_do_together_is_pressure() -> None:
    """Not a share of base sales: thousands of units of pressure would make everybody aware."""
    together = {
        "interactions": [{"channels": ["TV", "Radio"], "strength": 0.004}],
        "mediators": [{"name": "Buzz", "parents": {"TV": 0.5}, "effect": 0.02}],
    }
    ds = made(**together)
    assert (ds["interaction_strength"] == 0.004).all() and (ds["mediator_effect"] == 0.02).all()
    # They add a little to the channels, whose effects are 0.05 to 0.15.
    rise = float(ds["loyal_share"].mean() / made()["loyal_share"].mean())
    assert 1.01 < rise < 1.2
    targets = [{"name": name, "roas": 2.0} for name in NAMES]
    assert_near(m.truth.roas(made(channels=targets, **together)), 2.0)


@pytest.mark.parametrize(
    ("response", "path", "allowed"),
    [
        ({"kind": "goodwill", "forget": 1.2}, "response.forget", "at most 1"),
        ({"kind": "goodwill", "churn": -0.1}, "response.churn", "at least 0"),
        ({"kind": "goodwill", "size": 0}, "response.size", "above 0"),
        ({"kind": "godwill"}, "response.kind", "did you mean 'goodwill'"),
        ({"kind": "goodwill", "forgets": 0.1}, "response.forgets", "forget"),
        ({"kind": "goodwill", "forget": 0, "churn": 0, "organic": 0}, "response", "higher forget"),
        ({"kind": "nerlove_arrow", "forget": 0}, "response", "higher forget"),
    ],
)
def test_impossible_responses_are_refused(response: Any, path: str, allowed: str) -> None:
    with pytest.raises(ConfigError, match=allowed) as error:
        made(response)
    assert error.value.path == path


def test_parameters_can_be_given_by_geo() -> None:
    ds = made()
    forget = xr.DataArray([0.1, 0.4], dims="geo", coords={"geo": ds["geo"]})
    given_ = xr.Dataset({"response_forget": forget, "response_size": 2 * ds["response_size"]})
    other = m.generate_mmm_dataset(config_of(ds), params=given_)
    np.testing.assert_array_equal(other["response_forget"], [0.1, 0.4])
    spend, n_past = whole_spend(other), 6
    for geo, own in enumerate((0.1, 0.4)):
        wanted = scalar_states(pressures(other, spend)[:, geo], {**RATES, "forget": own})
        assert_near(other["loyal_share"].transpose(*SALES)[:, geo], wanted[1 + n_past :, 3], 1e-11)
    assert m.regenerate(other).identical(other)
    with pytest.raises(m.errors.AlignmentError, match=r"response_forget.*at most 1"):
        m.generate_mmm_dataset(config_of(ds), params=given_.assign(response_forget=2 * forget + 1))


def test_an_ensemble_has_the_bits_of_single_datasets() -> None:
    config = config_of(made())
    config = config.replace(
        channels=[each.replace(roas=2.0, base_effectiveness=None) for each in config.channels]
    )
    vary = {"response.forget": [0.1, 0.2, 0.4], "response.size": m.ensemble.Uniform(4.0, 6.0)}
    several = generate_ensemble(config, n=3, vary=vary, chunks=None)
    for position in range(3):
        one = element(several, position)
        assert m.regenerate(one).identical(one)
    assert_near(m.truth.roas(several), 2.0)


def test_a_dataset_without_its_kind_says_so() -> None:
    ds = made()
    with pytest.raises(SchemaError, match="response_kind"):
        m.respond(ds["spend"], ds.drop_attrs(deep=False).assign_attrs(adstock_first=1))
