"""Where the files beside the code are, in a checkout and in an installed package."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def package_dir() -> Path:
    """Find the folder of the package itself."""
    return _PACKAGE


def migrations_dir() -> Path:
    """Find the folder of the database migrations."""
    return _find("migrations")


def templates_dir() -> Path:
    """Find the folder of the page and mail templates."""
    return _find("templates")


def examples_dir() -> Path:
    """Find the folder of the examples in the documentation."""
    return _find("docs/examples")


def _find(name: str) -> Path:
    # The wheel carries the top-level folders inside the package, with an underscore in front.
    packaged = _PACKAGE / f"_{name}"
    return packaged if packaged.is_dir() else _PACKAGE.parent / name
