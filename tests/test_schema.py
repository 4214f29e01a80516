"""A Dataset where one belongs, in every public function."""

import importlib
import inspect
import pkgutil
import sys
from pathlib import Path

import pandas as pd
import pytest
import xarray as xr

import mmm_xgen
from mmm_xgen import SchemaError

DOCS = Path(__file__).parents[1] / "docs"
IN_PLACE_OF_A_DATASET = {
    "None": None,
    "frame": pd.DataFrame({"y": [1.0]}),
    "path": Path("sales.nc"),
    "text": "sales.nc",
    "array": xr.DataArray([1.0], dims="date", name="y"),
    "dict": {"y": [1.0]},
    "tree": xr.DataTree(),
}
ALSO_TAKEN = {"None": "None", "frame": "pd.DataFrame", "array": "xr.DataArray"}
DATASET = mmm_xgen.generate_mmm_dataset()


def public_functions():
    """Each function in `__all__` of a package, and those of the modules in the reference."""
    paths = [mmm_xgen.__name__]
    for module in pkgutil.walk_packages(mmm_xgen.__path__, "mmm_xgen."):
        if module.ispkg and not module.name.startswith("mmm_xgen.cli"):
            paths.append(module.name)
    sys.path.insert(0, str(DOCS))
    try:
        reference = importlib.import_module("reference")
    finally:
        sys.path.remove(str(DOCS))
    functions = {}
    for path in dict.fromkeys([*paths, *reference.MODULES]):
        module = importlib.import_module(path)
        if path in paths and not hasattr(module, "__all__"):
            continue
        for name in reference.public_names(module):
            value = getattr(module, name)
            if inspect.isfunction(value):
                functions[f"{value.__module__}.{value.__qualname__}"] = value
    return functions


def datasets_taken():
    for name, function in public_functions().items():
        for parameter in inspect.signature(function).parameters.values():
            words = [word.strip() for word in str(parameter.annotation).split("|")]
            if "xr.Dataset" in words:
                yield pytest.param(function, parameter.name, words, id=f"{name}-{parameter.name}")


TAKEN = list(datasets_taken())


def test_every_public_function_with_a_dataset_is_seen():
    assert len(TAKEN) > 80
    assert {taken.values[1] for taken in TAKEN} >= {"ds", "data", "params", "estimates", "table"}


def argument_for(parameter, path):
    annotation = str(parameter.annotation)
    if "xr.Dataset" in annotation:
        return DATASET
    return DATASET["spend"] if "xr.DataArray" in annotation else path


@pytest.mark.parametrize(("function", "argument", "words"), TAKEN)
def test_what_is_not_a_dataset_is_refused(function, argument, words, tmp_path):
    signature = inspect.signature(function)
    given = signature.bind_partial()
    for name, parameter in signature.parameters.items():
        is_variable = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        if parameter.default is parameter.empty and not is_variable:
            given.arguments[name] = argument_for(parameter, tmp_path / "file.nc")
    for kind, value in IN_PLACE_OF_A_DATASET.items():
        if ALSO_TAKEN.get(kind) in words:
            continue
        given.arguments[argument] = value
        with pytest.raises(SchemaError, match=r"found .*allowed: .*an xarray\.Dataset") as refusal:
            function(*given.args, **given.kwargs)
        assert "\n" not in str(refusal.value)
    assert not list(tmp_path.iterdir())
