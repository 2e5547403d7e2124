"""Every table of the product, whichever package it belongs to."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from idp.platform.files import package_dir


@cache
def load_models() -> None:
    """Import every `models` module, so that the metadata knows every table."""
    for module in pkgutil.walk_packages([str(package_dir())], "idp."):
        if module.name.endswith(".models"):
            importlib.import_module(module.name)
