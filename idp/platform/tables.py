"""Every table of the product, whichever package it belongs to."""

from __future__ import annotations

import importlib
from functools import cache

from idp.platform.files import package_dir


@cache
def load_models() -> None:
    """Import every `models` module, so that the metadata holds every table.

    They are found by their files: looking through the packages would import all of these.
    """
    root = package_dir()
    for path in sorted(root.rglob("models.py")):
        importlib.import_module(".".join(("idp", *path.relative_to(root).with_suffix("").parts)))
