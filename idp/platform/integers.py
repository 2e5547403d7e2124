"""How far the integers of columns and contracts reach."""

from __future__ import annotations

INT32_MAX = 2**31 - 1
INT64_MAX = 2**63 - 1
"""The largest id that a row can have."""
