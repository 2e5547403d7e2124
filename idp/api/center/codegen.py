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
from idp.directory.scopes import Scope
from idp.platform.errors import BadRequest
from idp.platform.secrets import MASK
from idp.platform.throttle import Address
from idp.platform.web.views import current_issuer, database, remote_address
from idp.platform.wire.shapes import CleanText, Shape, boolean, text
from idp.publishing.codegen import npm, options, source
from idp.publishing.codegen import service as codegen
from idp.publishing.codegen.generators import Generator, MissingError
from idp.publishing.codegen.models import GithubOptions, NpmOptions, SdkJob
from idp.publishing.codegen.options import (
    GithubContent,
    NoGithubOptions,
    NoNpmOptions,
    NpmContent,
)
from idp.publishing.codegen.service import GenerationSpec, ReleaseSpec
from idp.publishing.descriptions import fetching
from idp.publishing.descriptions.flaws import UnusableError
from idp.publishing.packages.service import LONGEST_NAME

LONGEST_URL = 2000
PLATFORMS = ("npm", "nuget", "gradle", "spm")
LANGUAGES = ("angular2", "jQuery")


class Choice(fields.Integer):
    """One of a few names, or its number in their order; the value is the number."""

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
    """A generator by name, and the description that it reads."""

    generator = text(100, minimum=1, data_key="genName", required=True)
    swagger_url = text(LONGEST_URL, minimum=1, required=True)
    api_id = text(20, load_default=None, allow_none=True)
    options = fields.Dict(
        keys=CleanText(validate=validate.Length(max=100)),
        values=CleanText(validate=validate.Length(max=200)),
        load_default=dict,
    )

    @post_load
    def to_spec(self, data: dict[str, Any], **_: Any) -> GenerationSpec:
        """Return what the service takes."""
        return GenerationSpec(url=data.pop("swagger_url"), **data)


class ReleaseSdkRequestShape(Shape):
    """Which SDK to release; the options of the microservice define the package."""

    platform = Choice(PLATFORMS, required=True)
    language = Choice(LANGUAGES, required=True)
    api_id = text(20, minimum=1, required=True)
    swagger_url = text(LONGEST_URL, minimum=1, required=True)

    @post_load
    def to_spec(self, data: dict[str, Any], **_: Any) -> ReleaseSpec:
        """Return what the service takes."""
        if PLATFORMS[data["platform"]] != "npm":
            raise ValidationError({"platform": ["SDKs are published to npm only."]})
        return ReleaseSpec(LANGUAGES[data["language"]], data["api_id"], data["swagger_url"])


class NpmOptionsShape(Shape):
    """How an SDK is published to npm; the token is never returned, and its mask keeps it."""

    name = text(LONGEST_NAME, required=True, checks=[validate.Regexp(options.NPM_NAME)])
    sdk_name = text(100, required=True, checks=[validate.Regexp(options.SDK_NAME)])
    version = text(required=True, checks=[validate.Regexp(options.VERSION)])
    homepage = text(500, required=True, checks=[validate.Regexp(options.HOMEPAGE)])
    author = text(200, allow_none=True, load_default=None)
    keywords = fields.List(text(100), load_default=list, validate=validate.Length(max=50))
    description = text(1000, allow_none=True, load_default=None)
    token = text(1000, minimum=1, allow_none=True, load_default=None)
    license = text(100, minimum=1, load_default="Unlicense")
    readme = text(100_000, allow_none=True, load_default=None)

    @post_load
    def to_content(self, data: dict[str, Any], **_: Any) -> NpmContent:
        """Return the options as the service takes them."""
        if data["token"] is not None and not options.TOKEN.fullmatch(data["token"]):
            raise ValidationError({"token": ["Must be one word of ASCII letters."]})
        return NpmContent(**data)


class GithubOptionsShape(Shape):
    """The repository of a microservice; the token is never returned, and its mask keeps it."""

    user_agent = text(
        100, load_default=options.USUAL_USER_AGENT, checks=[validate.Regexp(options.USER_AGENT)]
    )
    owner = text(100, allow_none=True, load_default=None, checks=[validate.Regexp(options.PART)])
    repo = text(100, allow_none=True, load_default=None, checks=[validate.Regexp(options.PART)])
    token = text(1000, minimum=1, allow_none=True, load_default=None)
    swagger_url = text(LONGEST_URL, allow_none=True, load_default=None)
    sync_labels = boolean(load_default=True)
    sync_docs = boolean(load_default=True)

    @post_load
    def to_content(self, data: dict[str, Any], **_: Any) -> GithubContent:
        """Return the options as the service takes them."""
        if data["token"] is not None and not options.TOKEN.fullmatch(data["token"]):
            raise ValidationError({"token": ["Must be one word of ASCII letters."]})
        return GithubContent(**data)


class ListQuery(Shape):
    """Whether the stored list is sufficient."""

    from_cache = fields.Boolean(load_default=True)


@center.operation(
    "codegen-clients",
    "GET",
    "/CodeGen/Clients",
    query=ListQuery(),
    result=fields.List(fields.Nested(CodeGenItemShape())),
    errors=("CodeGen_GeneratorMissing",),
)
def clients(query: Mapping[str, Any]) -> list[Generator]:
    """List supported client generators."""
    return list_generators("client", query)


@center.operation(
    "codegen-servers",
    "GET",
    "/CodeGen/Servers",
    query=ListQuery(),
    result=fields.List(fields.Nested(CodeGenItemShape())),
    errors=("CodeGen_GeneratorMissing",),
)
def servers(query: Mapping[str, Any]) -> list[Generator]:
    """List supported server generators."""
    return list_generators("server", query)


@center.operation(
    "codegen-releasesdk",
    "POST",
    "/CodeGen/ReleaseSDK",
    scope=Scope.CODEGEN_RELEASESDK,
    permission=None,
    body=ReleaseSdkRequestShape(),
    result=fields.Boolean(),
    errors=(
        "NotFound",
        "GenerateClient_GetSwaggerFialed",
        "NpmOptions_GetOptionsFialed",
        "CodeGen_GeneratorMissing",
    ),
)
def release_sdk(body: ReleaseSpec) -> bool:
    """Generate an SDK and queue its publication.

    It is published to npm only. The response comes at once; its `Location` is the job's address.
    """
    with refusals():
        job = codegen.release(database(), current_actor(), body, fetched)
    database().commit()
    point_to(job)
    return True


@center.operation(
    "codegen-npmoptions",
    "GET",
    "/CodeGen/<id>/NpmOptions/<language>",
    scope=Scope.CODEGEN_NPMOPTIONS,
    permission=None,
    result=NpmOptionsShape(),
    errors=("NotFound", "NpmOptions_GetOptionsFialed"),
)
def npm_options(id: str, language: str) -> dict[str, Any]:
    """Read NPM options."""
    api = options.get_api(database(), current_actor(), id)
    with refusals():
        return masked(options.get_npm(database(), api, language_named(language)), NpmOptionsShape)


@center.operation(
    "codegen-putnpmoptions",
    "PUT",
    "/CodeGen/<id>/NpmOptions/<language>",
    scope=Scope.CODEGEN_PUTNPMOPTIONS,
    permission=None,
    body=NpmOptionsShape(),
    result=fields.Boolean(),
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
    result=GithubOptionsShape(),
    errors=("NotFound", "GithubOptions_GetOptionsFialed"),
)
def github_options(id: str) -> dict[str, Any]:
    """Read GitHub options."""
    api = options.get_api(database(), current_actor(), id)
    with refusals():
        return masked(options.get_github(database(), api), GithubOptionsShape)


@center.operation(
    "codegen-putgithuboptions",
    "PUT",
    "/CodeGen/<id>/GithubOptions",
    scope=Scope.CODEGEN_PUTGITHUBOPTIONS,
    permission=None,
    body=GithubOptionsShape(),
    result=fields.Boolean(),
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
    result=fields.String(),
    errors=("NotFound", "GenerateClient_GetSwaggerFialed", "CodeGen_GeneratorMissing"),
)
def generate(body: GenerationSpec) -> str:
    """Run a named generator over an API description.

    `readthedocs.gen` returns a page in reStructuredText at once. A generator of the two lists is
    run by the worker: the text is the address of its job.
    """
    with refusals():
        result = codegen.generate(database(), current_actor(), body, fetched)
    database().commit()
    return point_to(result) if isinstance(result, SdkJob) else result


def list_generators(kind: str, query: Mapping[str, Any]) -> list[Generator]:
    """List the generators of a kind, limited by the caller's address."""
    sender = Address.of(remote_address())
    with refusals():
        return codegen.list_generators(database(), kind, sender, refresh=not query["from_cache"])


def fetched(url: str) -> dict[str, Any]:
    """Return the description at an address that the caller named."""
    own = current_app.extensions[fetching.EXTENSION]
    return source.fetch(database(), url, current_issuer().url, own)


@contextmanager
def refusals() -> Iterator[None]:
    """Translate the problems of the services into codes of the contract."""
    try:
        yield
    except UnusableError as problem:
        raise Refusal(Code.GenerateClient_GetSwaggerFialed, why=problem.detail) from problem
    except MissingError:
        raise Refusal(Code.CodeGen_GeneratorMissing) from None
    except NoNpmOptions:
        raise Refusal(Code.NpmOptions_GetOptionsFialed) from None
    except NoGithubOptions:
        raise Refusal(Code.GithubOptions_GetOptionsFialed) from None


def language_named(language: str) -> str:
    """Return the language that a path names, by name or number."""
    named = npm.NUMBERS.get(language, language)
    if named not in LANGUAGES:
        raise BadRequest.at("language", f"Must be one of: {', '.join(LANGUAGES)}.")
    return named


def point_to(job: SdkJob) -> str:
    """Add the address of a job to the response as `Location`, and return it."""
    address = f"{current_issuer().url}/sdk/jobs/{job.id}"

    @after_this_request
    def add_location(response: Response) -> Response:
        response.headers["Location"] = address
        return response

    return address


def masked(row: NpmOptions | GithubOptions, shape: type[Shape]) -> dict[str, Any]:
    """Return options without the token."""
    values = {name: getattr(row, name) for name in shape().fields if name != "token"}
    return values | {"token": MASK if row.token_encrypted is not None else None}
