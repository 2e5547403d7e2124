"""Where SDKs of an API are published, and the jobs that make them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, Integer, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from idp.platform import clock
from idp.platform.db import Base, Id, reference


class Tested:
    """Columns about the last test of a target; saving its options clears them."""

    test_asked_at: Mapped[datetime | None]
    tested_at: Mapped[datetime | None]
    test_error: Mapped[str | None] = mapped_column(String(500))
    """Why the test failed; None: it succeeded."""


class NpmOptions(Tested, Base):
    """How the SDK of an API in one language is published to npm."""

    __tablename__ = "npm_options"
    __table_args__ = (UniqueConstraint("api_resource_id", "language"),)

    id: Mapped[Id]
    api_resource_id: Mapped[int] = reference("api_resource.id")
    language: Mapped[str] = mapped_column(String(20))
    name: Mapped[str] = mapped_column(String(214))
    sdk_name: Mapped[str] = mapped_column(String(100))
    version: Mapped[str] = mapped_column(String(40))
    """Of the last requested release; the next one raises it."""
    homepage: Mapped[str] = mapped_column(String(500))
    author: Mapped[str | None] = mapped_column(String(200))
    keywords: Mapped[list[str]] = mapped_column(default=list)
    description: Mapped[str | None] = mapped_column(String(1000))
    token_encrypted: Mapped[str]
    """Purpose `publish token`."""
    license: Mapped[str] = mapped_column(String(100), default="Unlicense")
    readme: Mapped[str | None]
    updated_at: Mapped[datetime] = mapped_column(default=clock.now, onupdate=clock.now)


class GithubOptions(Tested, Base):
    """The Git repository that SDKs and documentation of an API are pushed to."""

    __tablename__ = "github_options"

    id: Mapped[Id]
    api_resource_id: Mapped[int] = reference("api_resource.id", unique=True)
    user_agent: Mapped[str] = mapped_column(String(100))
    owner: Mapped[str | None] = mapped_column(String(100))
    repo: Mapped[str | None] = mapped_column(String(100))
    token_encrypted: Mapped[str | None]
    """Purpose `publish token`."""
    swagger_url: Mapped[str | None] = mapped_column(String(2000))
    sync_labels: Mapped[bool] = mapped_column(default=True)
    sync_docs: Mapped[bool] = mapped_column(default=True)
    updated_at: Mapped[datetime] = mapped_column(default=clock.now, onupdate=clock.now)


class JobState(StrEnum):
    """The state of a job."""

    WAITING = "waiting"
    """Waits for the worker, for the first attempt or another one."""
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class SdkJob(Base):
    """One SDK to generate, and to publish if that was requested."""

    __tablename__ = "sdk_job"
    __table_args__ = (Index("ix_sdk_job_asker", "client_id", "user_id"),)

    id: Mapped[Id]
    api_resource_id: Mapped[int | None] = reference("api_resource.id")
    user_id: Mapped[int | None] = reference("user.id")
    """Who requested it; None: a machine."""
    client_id: Mapped[str] = mapped_column(String(200))
    generator: Mapped[str] = mapped_column(String(100))
    options: Mapped[dict[str, Any]] = mapped_column(default=dict)
    source_url: Mapped[str] = mapped_column(String(2000))
    language: Mapped[str | None] = mapped_column(String(20))
    """Language of the npm options it is published with; None: it is only downloaded."""
    package: Mapped[str | None] = mapped_column(String(214))
    version: Mapped[str | None] = mapped_column(String(40))
    state: Mapped[str] = mapped_column(String(20), default=JobState.WAITING)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    log: Mapped[str] = mapped_column(default="")
    """The end of the programs' output, without tokens."""
    error: Mapped[str | None] = mapped_column(String(500))
    link: Mapped[str | None] = mapped_column(String(1000))
    """Where it was published."""
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    started_at: Mapped[datetime | None]
    built_at: Mapped[datetime | None]
    published_at: Mapped[datetime | None]
    pushed_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None] = mapped_column(index=True)
    """When the clean-up removes it; None: it stays as long as its API."""


class SdkFile(Base):
    """What a job works on (`description`) and what it made (`archive`)."""

    __tablename__ = "sdk_file"
    __table_args__ = (UniqueConstraint("job_id", "kind"),)

    id: Mapped[Id]
    job_id: Mapped[int] = reference("sdk_job.id")
    kind: Mapped[str] = mapped_column(String(20))
    size: Mapped[int]
    content: Mapped[bytes] = mapped_column(LargeBinary)
