"""For which of the person's tenants a sign-in is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def fitting(tenant_ids: Iterable[int], *required: int | None) -> list[int]:
    """Return the tenants that are all of the required ones; None requires nothing."""
    wanted = {tenant_id for tenant_id in required if tenant_id is not None}
    return [tenant_id for tenant_id in tenant_ids if wanted <= {tenant_id}]


def settle(ids: Sequence[int], *preferred: int | None) -> int | None:
    """Return the only tenant, else the first preferred one; None: the person must choose."""
    if len(ids) == 1:
        return ids[0]
    return next((tenant_id for tenant_id in preferred if tenant_id in ids), None)
