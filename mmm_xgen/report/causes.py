"""Mechanisms of a configuration in words: demand, budgets, and what connects channels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmm_xgen.config.names import coordinate_label
from mmm_xgen.formatting.amounts import share, signed_share
from mmm_xgen.formatting.words import count
from mmm_xgen.report.content import Block, Column, kind_words, table

Nested = Mapping[str, Any]
Row = tuple[str, str, str]


def causes(config: Nested) -> Sequence[Block]:
    """Table of the mechanisms of a configuration; empty without any.

    Examples
    --------
    >>> causes({"demand": {"effect": 0.05}})[0].rows[0]
    ('latent demand', 'sales', '+5.0% of base sales per standard deviation')
    """
    rows = rows_of(config)
    heads = [Column("cause"), Column("what it moves"), Column("how")]
    return [table("Who causes what", heads, rows)] if rows else []


def rows_of(config: Nested) -> list[Row]:
    """Cause, what it moves and how, for every mechanism of a configuration."""
    return [
        *_demand(config.get("demand") or {}),
        *_competitor(config.get("competitor") or {}),
        *_baseline(config.get("regions") or {}),
        *_promotions(config),
        *_plans(config),
        *_channels(config),
        *_connections(config),
        *_response(config.get("response") or {}),
    ]


def _demand(demand: Nested) -> Iterator[Row]:
    if not demand:
        return
    cause = "latent demand"
    how = [f"{signed_share(demand.get('effect', 0.05))} of base sales per standard deviation"]
    if "persistence" in demand:
        how.append(f"correlation of neighbouring periods {demand['persistence']:g}")
    how += [
        f"{share(demand[key])} of its variance {words}"
        for key, words in (("shared", "shared by geos"), ("season", "a yearly season"))
        if demand.get(key)
    ]
    yield cause, "sales", ", ".join(how)
    for each in demand.get("indicators") or ():
        rise = f"{each.get('loading', 1.0):g} per standard deviation"
        part = share(each.get("reliability", 1.0))
        yield cause, f"control {each['name']}", f"{rise}; demand is {part} of its variance"
    for each in demand.get("drivers") or ():
        yield f"control {each['control']}", cause, f"{share(each['share'])} of its variance"


def _competitor(competitor: Nested) -> Iterator[Row]:
    if not competitor:
        return
    takes = share(competitor.get("share", 0.05))
    yield "competitor", "sales", f"takes {takes} of base sales at its mean spend"
    if competitor.get("answer"):
        how = f"elasticity {competitor['answer']:g} to our spend of the period before"
        yield "our spend", "competitor", how
    if competitor.get("dampening"):
        how = f"lowers them by {competitor['dampening']:g} on the log scale at twice its mean spend"
        yield "competitor", "effects of all channels", how


def _baseline(regions: Nested) -> Iterator[Row]:
    for key, moved in (("level_path", "base sales"), ("season_path", "size of the yearly season")):
        if path := regions.get(key):
            yield "time", moved, f"{_kind(path)}; mean 1 over the window"
    if shift := regions.get("season_shift"):
        yield "time", "date of the yearly season", f"{shift:+g} days per year"


def _promotions(config: Nested) -> Iterator[Row]:
    for each in config.get("promotions") or ():
        cause = f"promotion {_label(each['name'], 'c')}"
        how = f"{share(each.get('depth', 0.2))} off, elasticity {each.get('elasticity', -2.62):g}"
        yield cause, "sales", how
        if each.get("answer"):
            how = f"log odds of a run {each['answer']:+g} per standard deviation"
            yield "latent demand", cause, how
        if pull := each.get("pull_forward"):
            yield cause, "later sales", _borrowed(pull)


def _borrowed(pull: Nested) -> str:
    missing, periods = share(pull.get("share", 0.3)), count(pull.get("periods", 4), "period")
    return f"borrows {missing} of its sales from the next {periods}"


def _plans(config: Nested) -> Iterator[Row]:
    """Rows for what moves the plans of several channels."""
    cause, found = "shared campaigns", config.get("spend_correlation") or ()
    if isinstance(found, list):
        for pair in found:
            names = " and ".join(_label(name, "x") for name in pair["channels"])
            yield cause, f"planned spend of {names}", f"correlation {pair['correlation']:g}"
    elif found:
        yield cause, "planned spend of all channels", f"correlation {found:g}"
    if config.get("synchronised_flights"):
        how = f"in {share(config['synchronised_flights'])} of quarters"
        yield "shared flights", "planned spend of all channels", how


def _channels(config: Nested) -> Iterator[Row]:
    for place, channel in enumerate(config.get("channels") or ()):
        name = coordinate_label(channel.get("name"), "x", place)
        rule, path, pull = (
            channel.get(key) for key in ("budget_rule", "effect_path", "pull_forward")
        )
        if rule and rule.get("kind") != "planned":
            yield f"budget rule of {name}", f"spend of {name}", _kind(rule)
        if path:
            yield "time", f"effect of {name}", f"{_kind(path)}; mean 1 over the window"
        if pull:
            yield name, "later sales", _borrowed(pull)
        if spills := channel.get("spillover"):
            yield name, "sales in other geos", f"{share(spills)} of its media reach all geos"
        if more := channel.get("over_reporting"):
            yield f"platform of {name}", "reported sales", f"{signed_share(more)} of its sales"


def _connections(config: Nested) -> Iterator[Row]:
    for funnel in config.get("funnels") or ():
        target = _label(funnel["target"], "x")
        moved = f"{'spend' if funnel.get('paid') else 'delivered media'} of {target}"
        rise = f"{signed_share(funnel['strength'])} where its curve is 1"
        lag = f", {count(funnel['lag'], 'period')} later" if funnel.get("lag") else ""
        yield _label(funnel["source"], "x"), moved, rise + lag
    for pair in config.get("interactions") or ():
        names = " and ".join(_label(name, "x") for name in pair["channels"])
        how = f"{signed_share(pair['strength'])} of base sales where both curves are 1"
        yield f"{names} together", "sales", how
    for mediator in config.get("mediators") or ():
        name = f"mediator {_label(mediator['name'], 'c')}"
        for parent, rise in mediator["parents"].items():
            yield _label(parent, "x"), name, f"{rise:+g} where its curve is 1"
        how = f"{signed_share(mediator['effect'])} of base sales where it is 1"
        yield name, "sales", f"{how}, observed: {mediator.get('observed', 'whole')}"


def _response(response: Nested) -> Iterator[Row]:
    if not response:
        return
    told = _kind({name: value for name, value in response.items() if name != "size"})
    yield "media", "a population that buys", f"{told}, size {response.get('size', 5.0):g}"


def _label(name: str, prefix: str) -> str:
    return coordinate_label(name, prefix, 0)


def _kind(part: Nested) -> str:
    """Kind and numbers of a rule or path."""
    words = {True: "yes", False: "no"}
    told = [
        f"{key.replace('_', ' ')} {words[value] if isinstance(value, bool) else value}"
        for key, value in part.items()
        if key != "kind"
    ]
    return ", ".join([kind_words(str(part["kind"])), *told])
