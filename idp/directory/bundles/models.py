"""Tenant types, and the bundles that tenants of a type have."""

from __future__ import annotations

from datetime import datetime

import orjson
from sqlalchemy import Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from idp.platform import clock
from idp.platform.db import Base, Id, Name


class TenantType(Base):
    """A kind of tenant: company, school and the like."""

    __tablename__ = "tenant_type"

    id: Mapped[Id]
    code: Mapped[str] = mapped_column(String(100), unique=True)
    name: Mapped[Name]


class Bundle(Base):
    """Roles and privileges that tenants of a type get, and how much they may use."""

    __tablename__ = "bundle"
    __table_args__ = (
        Index(
            "uq_bundle_initial",
            "tenant_type_code",
            unique=True,
            sqlite_where=text("initialize"),
            postgresql_where=text("initialize"),
        ),
    )
    configuration = True

    id: Mapped[Id]
    code: Mapped[str] = mapped_column(String(100), unique=True)
    name: Mapped[Name]
    tenant_type_code: Mapped[str] = mapped_column(String(100), index=True)
    ability: Mapped[str]
    """JSON text: `{"roles": [{"code", "name", "privilegeCodes"}], "adminRoleCodes": []}`."""
    initialize: Mapped[bool] = mapped_column(default=False)
    """Whether tenants of the type start with it; one bundle per type has this."""
    comment: Mapped[str | None] = mapped_column(String(2000))
    number_of_app: Mapped[int | None] = mapped_column(Integer)
    """Applications that a tenant may have; empty: no limit, as below."""
    number_of_concurrent: Mapped[int | None] = mapped_column(Integer)
    """Calls per second."""
    number_of_invocation: Mapped[int | None] = mapped_column(Integer)
    """Calls per month."""
    created_at: Mapped[datetime] = mapped_column(default=clock.now)

    @property
    def privilege_codes(self) -> frozenset[str]:
        """Return the codes of all privileges that the bundle contains."""
        roles = orjson.loads(self.ability)["roles"]
        return frozenset(code for role in roles for code in role["privilegeCodes"])
