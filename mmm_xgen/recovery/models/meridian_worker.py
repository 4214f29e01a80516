"""Fit Meridian to the data of a file: a script for the Python that has Meridian.

It runs in an environment of its own, without this package. Request and reply are NetCDF files. The
request is the Dataset that `XrDatasetDataLoader` takes, with the model as JSON in
``attrs["settings"]``. The reply has the posterior under Meridian's names.

    python meridian_worker.py request.nc reply.nc <process id of the parent>
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

REQUEST_ARRAYS = (
    "kpi",
    "revenue_per_kpi",
    "population",
    "media",
    "media_spend",
    "controls",
)
PARAMETER = "parameter_"


def end_with_parent(parent: int) -> None:
    """End this process after its parent has ended."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


class HashableDict(dict[str, float]):
    """Keyword arguments that can be hashed, as Meridian 2.1 passes them to JAX as static."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))


def distribution(family: str, arguments: list[Any], name: str) -> Any:
    """A prior; an argument is a number, or a list with one number a channel."""
    import numpy as np
    from meridian import backend

    values = [np.asarray(value, dtype=backend.np_float_dtype) for value in arguments]
    return getattr(backend.tfd, family)(*values, name=name)


def built(request: Any, settings: dict[str, Any]) -> Any:
    """The Meridian model of a request."""
    from meridian.data.load import XrDatasetDataLoader
    from meridian.model.model import Meridian
    from meridian.model.prior_distribution import PriorDistribution
    from meridian.model.spec import ModelSpec

    data = request[[name for name in REQUEST_ARRAYS if name in request]]
    # The loader compares dims as sets and then reads by position.
    data = data.transpose("geo", "media_time", "time", ...)
    loaded = XrDatasetDataLoader(data, kpi_type="non_revenue").load()
    priors = {
        name: distribution(family, arguments, name)
        for name, (family, *arguments) in settings["priors"].items()
    }
    return Meridian(loaded, ModelSpec(prior=PriorDistribution(**priors), **settings["model"]))


def sampled(model: Any, sampling: dict[str, Any]) -> tuple[Any, float]:
    """Posterior of a model with statistics of the sampler, and seconds, compilation included."""
    start = time.perf_counter()
    model.sample_posterior(
        n_chains=sampling["n_chains"],
        n_adapt=sampling["n_adapt"],
        n_burnin=sampling["n_burnin"],
        n_keep=sampling["n_keep"],
        seed=sampling["seed"],
        dual_averaging_kwargs=HashableDict(target_accept_prob=sampling["target_accept"]),
    )
    seconds = time.perf_counter() - start
    statistics = model.inference_data.sample_stats
    kept = {
        f"sample_stats_{name}": statistics[name]
        for name in ("diverging", "n_steps", "step_size", "acceptance_rate")
        if name in statistics
    }
    posterior = model.inference_data.posterior.assign(kept)
    return posterior, seconds


def with_parameters(model: Any, request: Any) -> Any:
    """Take the parameters of the request as the posterior."""
    import arviz as az

    names = [str(name) for name in request.data_vars if str(name).startswith(PARAMETER)]
    posterior = request[names].rename({name: name.removeprefix(PARAMETER) for name in names})
    # Meridian sorts the geos, and renames a single one.
    geos = model.input_data.geo.values
    alone = len(geos) == 1
    posterior = posterior.assign_coords(geo=geos) if alone else posterior.sel(geo=geos)
    model.inference_data.extend(az.InferenceData(posterior=posterior), join="right")
    return posterior


def analyzed(model: Any, windows: dict[str, list[str]]) -> dict[str, Any]:
    """Results of Meridian's own Analyzer, as dims and values by name."""
    import numpy as np
    from meridian.analysis.analyzer import Analyzer

    analyzer = Analyzer(model_context=model.model_context, inference_data=model.inference_data)
    sample = ("chain", "draw")
    apart = {"aggregate_geos": False, "aggregate_times": False, "use_kpi": True}
    results = {
        "analyzer_expected_outcome": (
            (*sample, "geo", "time"),
            np.asarray(analyzer.expected_outcome(**apart)),
        ),
        "analyzer_incremental_outcome": (
            (*sample, "geo", "time", "media_channel"),
            np.asarray(analyzer.incremental_outcome(**apart)),
        ),
    }
    for name in ("roi", "marginal_roi"):
        function = getattr(analyzer, name)
        results[f"analyzer_{name}"] = ((*sample, "media_channel"), np.asarray(function()))
        there = [np.asarray(function(selected_times=times)) for times in windows.values()]
        if there:
            dims = (*sample, "media_channel", "window")
            results[f"analyzer_{name}_by_window"] = (dims, np.stack(there, axis=-1))
    return results


def main(request_path: str, reply_path: str, parent: str) -> None:
    """Answer one request."""
    threading.Thread(target=end_with_parent, args=(int(parent),), daemon=True).start()
    start = time.perf_counter()
    import numpy as np
    import xarray as xr

    with xr.open_dataset(request_path, engine="h5netcdf") as opened:
        request = opened.load()
    settings = json.loads(request.attrs["settings"])
    import meridian
    import meridian.analysis.analyzer
    import meridian.model.model

    timings = {"import": time.perf_counter() - start}
    start = time.perf_counter()
    model = built(request, settings)
    timings["build"] = time.perf_counter() - start
    if settings["sampling"] is None:
        reply = with_parameters(model, request)
    else:
        reply, timings["sample"] = sampled(model, settings["sampling"])
    reply = reply.assign(
        media_scale=(("geo", "media_channel"), _media_scale(model)),
        kpi_scale=(("geo",), _kpi_scale(model)),
        knot_locations=(("knots",), np.asarray(model.knot_info.knot_locations)),
    )
    if settings["analyze"] is not None:
        reply = reply.assign(analyzed(model, settings["analyze"]))
    reply.attrs = {
        "timings": json.dumps(timings),
        "meridian": str(meridian.__version__),
    }
    whole = reply.map(lambda array: array.astype("int8") if array.dtype == bool else array)
    temporary = Path(reply_path + ".part")
    whole.assign_attrs(reply.attrs).to_netcdf(temporary, engine="h5netcdf")
    temporary.replace(reply_path)


def _media_scale(model: Any) -> Any:
    import numpy as np

    return np.asarray(model.media_tensors.media_transformer.scale_factors_gm)


def _kpi_scale(model: Any) -> Any:
    import numpy as np

    transformer = model.kpi_transformer
    return np.asarray(model.population) * float(transformer.population_scaled_stdev)


if __name__ == "__main__":
    main(*sys.argv[1:])
