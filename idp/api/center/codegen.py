"""Code generation: what can be generated, generating it, and where SDKs are published."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from flask import Response, after_this_request, current_app
from marshmallow import ValidationError, fields, post_load, validate

from idp.api.actor import current_actor
from idp.api.center.codes import Code
from idp.api.center.dialect import Refusal, center
from idp.directory.actor import Actor
from idp.directory.scopes import Scope
from idp.platform.errors import BadRequest, TooManyRequests
from idp.platform.secrets import MASK
from idp.platform.throttle import Address
from idp.platform.web.views import current_issuer, current_runtime, database, remote_address
from idp.platform.wire.shapes import CleanText, Shape, boolean, text
from idp.publishing.codegen import generators, jobs, npm, options, readthedocs, source
from idp.publishing.codegen.generators import Generator, MissingError
from idp.publishing.codegen.jobs import Order
from idp.publishing.codegen.models import GithubOptions, NpmOptions
from idp.publishing.codegen.options import GithubContent, NpmContent
from idp.publishing.descriptions import fetching, operations
from idp.publishing.descriptions.flaws import UnusableError
from idp.publishing.packages.service import LONGEST_NAME

LISTS_PER_MINUTE = 60
"""Lists that one address may read: they are long, and open to everybody."""
REFRESHES_PER_HOUR = 4
"""Times that the generator itself is asked anew, by all callers together."""
GENERATIONS_PER_HOUR = 120
LONGEST_URL = 2000
PLATFORMS = ("npm", "nuget", "gradle", "spm")
LANGUAGES = ("angular2", "jQuery")
_NPM_NAME = r"\A(?:@[a-z0-9~][a-z0-9._~-]*/)?[a-z0-9~][a-z0-9._~-]*\Z"
"""Without a hyphen at the beginning, which npm allows: programs would take it for an option."""
_PART = r"\A(?!\.{1,2}\Z)[A-Za-z0-9._-]+\Z"


class Choice(fields.Integer):
    """One of a few names, or its number in their order; the number comes out."""

    default_error_messages = {"invalid": "Not one of the choices."}  # noqa: RUF012 - marshmallow's own

    def __init__(self, names: Sequence[str], **options: Any) -> None:
        super().__init__(metadata={"format": "int32"}, **options)
        self.names = names
        self.validate = validate.Range(0, len(names) - 1)
        self.validators = [self.validate]

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> int:
        if isinstance(value, str) and value in self.names:
            return self.names.index(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, attr, data, **kwargs)


class CodeGenItemShape(Shape):
    """A generator with its options."""

    name = text(data_key="language", required=True)
    options = fields.Dict(keys=fields.String(), values=fields.Dict(), allow_none=True)


class CodeGenGenRequestShape(Shape):
    """A generator by name, and the description that it shall read."""

    generator = text(100, minimum=1, data_key="genName", required=True)
    swagger_url = text(LONGEST_URL, minimum=1, required=True)
    api_id = text(
        20,
        load_default=None,
        allow_none=True,
    )
    options = fields.Dict(
        keys=CleanText(validate=validate.Length(max=100)),
        values=CleanText(validate=validate.Length(max=200)),
        load_default=dict,
    )


class ReleaseSdkRequestShape(Shape):
    """Which SDK to release; the options of the microservice say as what and where."""

    platform = Choice(PLATFORMS, required=True)
    language = Choice(LANGUAGES, required=True)
    api_id = text(20, minimum=1, required=True)
    swagger_url = text(LONGEST_URL, minimum=1, required=True)


class NpmOptionsShape(Shape):
    """How an SDK is published to npm; the token is never given back, and the mask keeps it."""

    name = text(LONGEST_NAME, required=True, checks=[validate.Regexp(_NPM_NAME)])
    sdk_name = text(100, required=True, checks=[validate.Regexp(r"\A[A-Za-z][A-Za-z0-9 ._-]*\Z")])
    version = text(
        required=True,
        checks=[validate.Regexp(r"\A(?:0|[1-9]\d{0,8})(?:\.(?:0|[1-9]\d{0,8})){2}\Z")],
    )
    homepage = text(500, required=True, checks=[validate.Regexp(r"\Ahttps?://[!-~]+\Z")])
    author = text(200, allow_none=True, load_default=None)
    keywords = fields.List(text(100), load_default=list, validate=validate.Length(max=50))
    description = text(1000, allow_none=True, load_default=None)
    token = text(1000, minimum=1, allow_none=True, load_default=None)
    license = text(100, minimum=1, load_default="Unlicense")
    readme = text(100_000, allow_none=True, load_default=None)

    @post_load
    def to_content(self, data: dict[str, Any], **_: Any) -> NpmContent:
        """Give the options as the service takes them."""
        if data["token"] is not None and not _is_one_word(data["token"]):
            raise ValidationError({"token": ["Must be one word of ASCII letters."]})
        return NpmContent(**data)


class GithubOptionsShape(Shape):
    """The repository of a microservice; the token is never given back, and the mask keeps it."""

    user_agent = text(
        100, load_default="Awesome-Game5.0-App", checks=[validate.Regexp(r"\A[ -~]+\Z")]
    )
    owner = text(100, allow_none=True, load_default=None, checks=[validate.Regexp(_PART)])
    repo = text(100, allow_none=True, load_default=None, checks=[validate.Regexp(_PART)])
    token = text(1000, minimum=1, allow_none=True, load_default=None)
    swagger_url = text(LONGEST_URL, allow_none=True, load_default=None)
    sync_labels = boolean(load_default=True)
    sync_docs = boolean(load_default=True)

    @post_load
    def to_content(self, data: dict[str, Any], **_: Any) -> GithubContent:
        """Give the options as the service takes them."""
        if data["token"] is not None and not _is_one_word(data["token"]):
            raise ValidationError({"token": ["Must be one word of ASCII letters."]})
        return GithubContent(**data)


class ListQuery(Shape):
    """Whether the list that is kept is good enough."""

    from_cache = fields.Boolean(load_default=True)


@center.operation(
    "codegen-clients",
    "GET",
    "/CodeGen/Clients",
    query=ListQuery(),
    gives=fields.List(fields.Nested(CodeGenItemShape())),
    errors=("CodeGen_GeneratorMissing",),
)
def clients(query: Mapping[str, Any]) -> list[Generator]:
    """List supported client generators."""
    return offered("client", from_cache=query["from_cache"])


@center.operation(
    "codegen-servers",
    "GET",
    "/CodeGen/Servers",
    query=ListQuery(),
    gives=fields.List(fields.Nested(CodeGenItemShape())),
    errors=("CodeGen_GeneratorMissing",),
)
def servers(query: Mapping[str, Any]) -> list[Generator]:
    """List supported server generators."""
    return offered("server", from_cache=query["from_cache"])


@center.operation(
    "codegen-releasesdk",
    "POST",
    "/CodeGen/ReleaseSDK",
    scope=Scope.CODEGEN_RELEASESDK,
    permission=None,
    body=ReleaseSdkRequestShape(),
    gives=fields.Boolean(),
    errors=(
        "NotFound",
        "GenerateClient_GetSwaggerFialed",
        "NpmOptions_GetOptionsFialed",
        "CodeGen_GeneratorMissing",
    ),
)
def release_sdk(body: Mapping[str, Any]) -> bool:
    """Generate an SDK and queue its publication.

    Only npm is published to. The answer comes at once; its `Location` is where the job is seen.
    """
    if PLATFORMS[body["platform"]] != "npm":
        raise BadRequest.at("platform", "SDKs are published to npm only.")
    language = LANGUAGES[body["language"]]
    actor = current_actor()
    limit_generations(actor)
    document = fetched(body["swagger_url"])
    session = database()
    api = options.get_api(session, actor, body["api_id"])
    row = options.find_npm(session, api.id, language)
    if row is None:
        raise Refusal(Code.NpmOptions_GetOptionsFialed)
    with refusals():
        generators.get(current_runtime().settings, npm.GENERATORS[language])
    order = Order(
        generator=npm.GENERATORS[language],
        document=document,
        source_url=body["swagger_url"],
        api=api,
        language=language,
        package=row.name,
        version=options.raise_version(session, row),
    )
    job = jobs.create(session, actor, order)
    session.commit()
    point_to(job.id)
    return True


@center.operation(
    "codegen-npmoptions",
    "GET",
    "/CodeGen/<id>/NpmOptions/<language>",
    scope=Scope.CODEGEN_NPMOPTIONS,
    permission=None,
    gives=NpmOptionsShape(),
    errors=("NotFound", "NpmOptions_GetOptionsFialed"),
)
def npm_options(id: str, language: str) -> dict[str, Any]:
    """Read NPM options."""
    session = database()
    api = options.get_api(session, current_actor(), id)
    row = options.find_npm(session, api.id, language_named(language))
    if row is None:
        raise Refusal(Code.NpmOptions_GetOptionsFialed)
    return masked(row, NpmOptionsShape)


@center.operation(
    "codegen-putnpmoptions",
    "PUT",
    "/CodeGen/<id>/NpmOptions/<language>",
    scope=Scope.CODEGEN_PUTNPMOPTIONS,
    permission=None,
    body=NpmOptionsShape(),
    gives=fields.Boolean(),
    errors=("NotFound",),
)
def put_npm_options(id: str, language: str, body: NpmContent) -> bool:
    """Replace NPM options."""
    session = database()
    api = options.get_api(session, current_actor(), id)
    options.write_npm(session, api, language_named(language), body)
    session.commit()
    return True


@center.operation(
    "codegen-githuboptions",
    "GET",
    "/CodeGen/<id>/GithubOptions",
    scope=Scope.CODEGEN_GITHUBOPTIONS,
    permission=None,
    gives=GithubOptionsShape(),
    errors=("NotFound", "GithubOptions_GetOptionsFialed"),
)
def github_options(id: str) -> dict[str, Any]:
    """Read GitHub options."""
    session = database()
    api = options.get_api(session, current_actor(), id)
    row = options.find_github(session, api.id)
    if row is None:
        raise Refusal(Code.GithubOptions_GetOptionsFialed)
    return masked(row, GithubOptionsShape)


@center.operation(
    "codegen-putgithuboptions",
    "PUT",
    "/CodeGen/<id>/GithubOptions",
    scope=Scope.CODEGEN_PUTGITHUBOPTIONS,
    permission=None,
    body=GithubOptionsShape(),
    gives=fields.Boolean(),
    errors=("NotFound",),
)
def put_github_options(id: str, body: GithubContent) -> bool:
    """Replace GitHub options."""
    session = database()
    api = options.get_api(session, current_actor(), id)
    options.write_github(session, api, body)
    session.commit()
    return True


@center.operation(
    "codegen-gen",
    "POST",
    "/CodeGen/Gen",
    scope=Scope.CODEGEN_GEN,
    permission=None,
    body=CodeGenGenRequestShape(),
    gives=fields.String(),
    errors=("NotFound", "GenerateClient_GetSwaggerFialed", "CodeGen_GeneratorMissing"),
)
def generate(body: Mapping[str, Any]) -> str:
    """Run a named generator over an API description.

    `readthedocs.gen` gives a page in reStructuredText at once. A generator of the two lists is
    left to the worker: the text is the address at which its job is seen.
    """
    actor = current_actor()
    limit_generations(actor)
    session = database()
    if body["generator"] == readthedocs.NAME:
        document = fetched(body["swagger_url"])
        with refusals():
            return readthedocs.render(document, body["swagger_url"])
    with refusals():
        generator = generators.get(current_runtime().settings, body["generator"])
    generators.check_options(generator, body["options"])
    document = fetched(body["swagger_url"])
    api = options.get_api(session, actor, body["api_id"]) if body["api_id"] else None
    order = Order(
        generator=generator.name,
        document=document,
        source_url=body["swagger_url"],
        options=body["options"],
        api=api,
        version=operations.info(document, "version")[:40] or None,
    )
    job = jobs.create(session, actor, order)
    session.commit()
    return point_to(job.id)


def offered(kind: str, *, from_cache: bool) -> list[Generator]:
    """List the generators of a kind; whoever asks too often for a fresh list gets the kept one."""
    throttle = current_runtime().throttle
    throttle.hit("codegen lists", Address.of(remote_address()), LISTS_PER_MINUTE, 60)
    refresh = not from_cache
    if refresh:
        try:
            throttle.hit("codegen refresh", "everybody", REFRESHES_PER_HOUR, 3600)
        except TooManyRequests:
            refresh = False
    with refusals():
        found = generators.offered(current_runtime().settings, refresh=refresh)
    return [generator for generator in found.values() if generator.kind == kind]


def fetched(url: str) -> dict[str, Any]:
    """Return the description at an address that the caller named."""
    with refusals():
        own = current_app.extensions[fetching.EXTENSION]
        return source.fetch(database(), url, current_issuer().url, own)


@contextmanager
def refusals() -> Iterator[None]:
    """Answer with the contract's codes what the services refuse."""
    try:
        yield
    except UnusableError as problem:
        raise Refusal(Code.GenerateClient_GetSwaggerFialed, why=problem.detail) from problem
    except MissingError:
        raise Refusal(Code.CodeGen_GeneratorMissing) from None


def limit_generations(actor: Actor) -> None:
    """Refuse who asks for more than a person would."""
    caller = f"{actor.client_id} {actor.user_id}"
    current_runtime().throttle.hit("codegen", caller, GENERATIONS_PER_HOUR, 3600)


def language_named(language: str) -> str:
    """Give the language that an address names, by name or number."""
    named = npm.NUMBERS.get(language, language)
    if named not in LANGUAGES:
        raise BadRequest.at("language", f"Must be one of: {', '.join(LANGUAGES)}.")
    return named


def point_to(job_id: int) -> str:
    """Name the address of a job in the answer's head, and give it."""
    address = f"{current_issuer().url}/sdk/jobs/{job_id}"

    @after_this_request
    def name_it(response: Response) -> Response:
        response.headers["Location"] = address
        return response

    return address


def masked(row: NpmOptions | GithubOptions, shape: type[Shape]) -> dict[str, Any]:
    """Show options without the token."""
    shown = {name: getattr(row, name) for name in shape().fields if name != "token"}
    return shown | {"token": MASK if row.token_encrypted is not None else None}


def _is_one_word(token: str) -> bool:
    return all("!" <= letter <= "~" for letter in token)
