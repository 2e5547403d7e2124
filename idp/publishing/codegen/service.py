"""What callers may have generated: lists of generators, SDKs, and pages of documentation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from idp.directory.actor import Actor
from idp.platform import runtime
from idp.platform.errors import Forbidden, TooManyRequests
from idp.platform.throttle import Key
from idp.platform.translation import N_
from idp.publishing.codegen import generators, jobs, npm, options, readthedocs
from idp.publishing.codegen.generators import Generator
from idp.publishing.codegen.jobs import Order
from idp.publishing.codegen.models import SdkJob
from idp.publishing.descriptions import operations

LISTS_PER_MINUTE = 60
"""Lists that one address may read: they are long, and open to everyone."""
REFRESHES_PER_HOUR = 4
"""Times that the generator itself is run for its list, for all callers together."""
GENERATIONS_PER_HOUR = 120
LONGEST_VERSION = 40

Fetch = Callable[[str], dict[str, Any]]
"""Returns the description at an address; commits, so that no transaction is open meanwhile."""


@dataclass(frozen=True, slots=True)
class GenerationSpec:
    """A generator by name, and the description that it reads."""

    generator: str
    url: str
    api_id: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReleaseSpec:
    """An SDK to be generated and published to npm, by the options of an API."""

    language: str
    api_id: str
    url: str


def list_generators(session: Session, kind: str, sender: Key, *, refresh: bool) -> list[Generator]:
    """List the generators of a kind; past the limit of refreshes the stored list."""
    process = runtime.of(session)
    process.throttle.hit("codegen lists", sender, LISTS_PER_MINUTE, 60)
    if refresh:
        try:
            process.throttle.hit("codegen refresh", "everybody", REFRESHES_PER_HOUR, 3600)
        except TooManyRequests:
            refresh = False
    found = generators.offered(process.settings, refresh=refresh)
    return [generator for generator in found.values() if generator.kind == kind]


def generate(session: Session, actor: Actor, spec: GenerationSpec, fetch: Fetch) -> SdkJob | str:
    """Create a job for a generator; of `readthedocs.gen` return the page at once."""
    _count(session, actor)
    if spec.generator == readthedocs.NAME:
        return readthedocs.render(fetch(spec.url), spec.url)
    generator = generators.get(runtime.of(session).settings, spec.generator)
    generators.check_options(generator, spec.options)
    document = fetch(spec.url)
    order = Order(
        generator=generator.name,
        document=document,
        source_url=spec.url,
        options=spec.options,
        api=options.get_api(session, actor, spec.api_id) if spec.api_id else None,
        version=operations.info(document, "version")[:LONGEST_VERSION] or None,
    )
    return jobs.create(session, actor, order)


def release(session: Session, actor: Actor, spec: ReleaseSpec, fetch: Fetch) -> SdkJob:
    """Create a job that generates the next version of an SDK and publishes it."""
    _count(session, actor)
    document = fetch(spec.url)
    api = options.get_api(session, actor, spec.api_id)
    row = options.get_npm(session, api, spec.language)
    generator = generators.get(runtime.of(session).settings, npm.GENERATORS[spec.language])
    order = Order(
        generator=generator.name,
        document=document,
        source_url=spec.url,
        api=api,
        language=spec.language,
        package=row.name,
        version=options.raise_version(session, row),
    )
    return jobs.create(session, actor, order)


def retry(session: Session, actor: Actor, job_id: int, *, may_release: bool) -> SdkJob:
    """Retry a failed job; Forbidden if it is a release and the caller may not release."""
    job = jobs.get(session, actor, job_id)
    if job.language is not None and not may_release:
        raise Forbidden(N_("The token lacks the scope of releases"), code="insufficient_scope")
    _count(session, actor)
    return jobs.retry(session, actor, job_id)


def _count(session: Session, actor: Actor) -> None:
    """Limit the generations of one caller."""
    caller = f"{actor.client_id} {actor.user_id}"
    runtime.of(session).throttle.hit("codegen", caller, GENERATIONS_PER_HOUR, 3600)
