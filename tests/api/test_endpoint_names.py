"""The endpoint of a contract's operation names the module and the function of its view."""

from __future__ import annotations

from types import ModuleType

import pytest

from idp.api import admin, center, userservice

pytestmark = pytest.mark.no_database

CONTRACTS: dict[str, ModuleType] = {
    "center": center,
    "center_bare": center,
    "userservice": userservice,
    "userservice_v2": userservice,
    "admin": admin,
}


def names_of_modules(package: ModuleType) -> set[str]:
    return {module.__name__.rpartition(".")[2] for module in package.MODULES}


def endpoints(app, name):
    """Return module and function of every endpoint in the blueprint of a contract."""
    prefix = f"{name}."
    return [
        endpoint.removeprefix(prefix).split(".")
        for endpoint in app.view_functions
        if endpoint.startswith(prefix) and endpoint != "userservice_v2.not_found"
    ]


@pytest.mark.parametrize("name", CONTRACTS)
def test_every_module_of_a_contract_has_a_blueprint_of_its_name(app, name):
    nested = [key.removeprefix(f"{name}.") for key in app.blueprints if key.startswith(f"{name}.")]
    assert set(nested) == names_of_modules(CONTRACTS[name])
    assert len(nested) == len(set(nested))


@pytest.mark.parametrize("name", CONTRACTS)
def test_an_endpoint_names_module_and_function_of_its_view(app, name):
    package = CONTRACTS[name]
    compared = 0
    for module, function in endpoints(app, name):
        if function.startswith("preflight_"):
            continue
        view = app.view_functions[f"{name}.{module}.{function}"]
        assert view.__module__ == f"{package.__name__}.{module}"
        assert view.__name__ == function
        compared += 1
    assert compared == {"center": 74, "userservice": 52, "admin": 119}[name.partition("_")[0]]


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_path_is_served_by_one_module(app, name):
    """Its preflight lists the methods of all operations at the path."""
    modules: dict[str, set[str]] = {}
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith(f"{name}.") and rule.endpoint.count(".") > 1:
            modules.setdefault(rule.rule, set()).add(rule.endpoint.split(".")[1])
    assert modules
    assert {path for path, homes in modules.items() if len(homes) > 1} == set()
