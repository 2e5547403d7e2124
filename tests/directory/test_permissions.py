"""Several codes at once are judged as one is."""

from __future__ import annotations

from itertools import product
from random import Random

import pytest
from sqlalchemy.orm import Session

from idp.directory import permissions
from idp.directory.scopes import Scope
from idp.directory.tenants import service as tenants
from tests import protocol

CODES = tuple(Scope)
ASKED = 40
"""So many of all codes are asked for one by one, others with each seed."""
HELD = (
    *("ids4.ms.client.get", "ids4.ms.client.all", "ids4.ms.all", "ids4.ms.us.all"),
    *("ids4.ms.role.put", "shop.all", "ids4.all"),
)


@pytest.mark.parametrize("seed", range(20))
def test_many_codes_are_judged_as_each_by_itself(session: Session, seed: int) -> None:
    random = Random(seed)
    user = protocol.add_person(session, tenant_ids=(1,))
    acme, other = protocol.add_tenant(session), protocol.add_tenant(session, "Other")
    if random.random() < 0.7:
        tenants.add_member(session, acme, user.id)
    # A privilege of nobody's, and one of somebody's own API, that look like the product's.
    protocol.add_role(session, user, "odd", ["shop.all"], tenant_id=acme)
    for place in (None, acme, other):
        for code in random.sample(HELD[:5], random.randrange(3)):
            if random.random() < 0.5:
                protocol.add_role(session, user, f"{code}-{place}", [code], tenant_id=place)
            else:
                protocol.grant_directly(session, user, code, tenant_id=place)
    for tenant_id, platform in product((None, acme, other), (True, False)):
        held = permissions.management_codes(session, user.id, tenant_id, CODES, platform=platform)
        for code in random.sample(CODES, ASKED):
            alone = permissions.has_permission(session, user.id, tenant_id, code, platform=platform)
            assert (code in held) is alone, (code, tenant_id, platform)
        everywhere = permissions.holds_everywhere(session, user.id, CODES)
        if tenant_id == other and platform:
            assert everywhere <= bool(held)
    asked = ["ids4.ms.client.get"]
    expected = {
        tenant_id
        for tenant_id in (acme,)
        if permissions.has_permission(session, user.id, tenant_id, asked[0], platform=True)
    }
    if tenants.find_member(session, acme, user.id) is not None:
        found = permissions.tenants_with_any(session, user.id, [acme], asked, platform=True)
        assert found == expected
