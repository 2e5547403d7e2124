"""Packages for npm: what is in them, and publishing them."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from idp.platform.errors import Unavailable, Unprocessable
from idp.platform.translation import N_, filled
from idp.publishing.codegen import process
from idp.publishing.codegen.models import NpmOptions
from idp.publishing.codegen.process import Limits, Outcome

GENERATORS = {"angular2": "typescript-angular", "jQuery": "typescript-jquery"}
"""Languages of the contract with their generators."""
NUMBERS = {"0": "angular2", "1": "jQuery"}

PUBLISHING = Limits(seconds=120, output_bytes=128 * 1024**2, network=True)
ASKING = Limits(seconds=30, output_bytes=1024**2, network=True)
_NAMES_REGISTRY = frozenset(
    {"home", "npm_config_registry", "npm_config_userconfig", "npm_config_globalconfig"}
)
"""Variables that configure npm; no other variable is passed on to it."""
MARKER = "<%SdkCode%>"
MAX_README_CODE = 256 * 1024
MAX_README = 1024 * 1024
"""Characters, with the code in place of every marker."""

_CODE = re.compile(r"npm (?:error|ERR!) code (\w+)")
_ADDRESS = re.compile(r"^https?://\S+$", re.MULTILINE)
_OVER = "cannot publish over the previously published"
"""Message without a code by which npm reports its own check."""
_TAKEN = frozenset({"E403", "E409", "EPUBLISHCONFLICT"})
_FINAL = frozenset({"E400", "E401", "E402", "E404", "ENEEDAUTH", "EOTP", "EINVALIDPACKAGENAME"})


def complete(folder: Path, options: NpmOptions, name: str, version: str) -> None:
    """Add to generated code the files of a package; they hold no token."""
    about: dict[str, Any] = {
        "name": name,
        "version": version,
        "description": options.description or f"SDK {options.sdk_name}",
        "homepage": options.homepage,
        "author": options.author,
        "keywords": options.keywords,
        "license": options.license,
        "main": "index.ts",
        "types": "index.ts",
    }
    manifest = {name: value for name, value in about.items() if value is not None}
    (folder / "package.json").write_bytes(orjson.dumps(manifest, option=orjson.OPT_INDENT_2))
    readme = options.readme or f"# {options.sdk_name}\n"
    places = readme.count(MARKER)
    if places:
        code = _code(folder)
        if len(readme) + places * len(code) > MAX_README:
            message = N_("The README would exceed %(most)s characters: use one placeholder.")
            raise Unprocessable(filled(message, most=MAX_README))
        readme = readme.replace(MARKER, code)
    (folder / "README.md").write_text(readme, encoding="utf-8")


def renamed(document: dict[str, Any], sdk_name: str) -> dict[str, Any]:
    """Set the name of the generated classes in a description."""
    about = document.get("info")
    return {**document, "info": {**(about if isinstance(about, dict) else {}), "title": sdk_name}}


def registry(work: Path, given: str) -> str:
    """Return the registry to publish to: the given one, or the one npm is configured for."""
    if given:
        return given
    program = _program()
    named = {name: value for name, value in os.environ.items() if name.lower() in _NAMES_REGISTRY}
    environment = {"PATH": _path(program), **named}
    found = process.run(
        [program, "config", "get", "registry"], work, ASKING, environment=environment
    )
    address = _ADDRESS.search(found.log)  # among other messages of npm
    if not found.is_fine or address is None:
        raise Unprocessable(N_("npm has no registry configured: set IDP_NPM_REGISTRY."))
    return address[0]


def publish(
    folder: Path, work: Path, registry: str, token: str, on_progress: Callable[[str], None]
) -> str:
    """Publish a package; return the output of npm without the token.

    A version that the registry already has with this content counts as published: a worker that
    died after publishing could not record it.
    """
    npm = _Npm(work, registry, token, on_progress)
    name = orjson.loads((folder / "package.json").read_bytes())["name"]
    # By default npm publishes a scoped package as a private one, which costs money.
    access = ("--access", "public") if name.startswith("@") else ()
    outcome = npm.run("publish", "--ignore-scripts", *access, "--", str(folder))
    if outcome.is_fine:
        return outcome.log
    found = _CODE.search(outcome.log)
    code = found[1] if found else "EPUBLISHCONFLICT" if _OVER in outcome.log else ""
    if code in _TAKEN and npm.has_the_same(folder):
        return outcome.log
    if code in _TAKEN | _FINAL:
        raise RefusedError(f"The npm registry refused the package ({code}).", outcome.log)
    raise UnreachableError(
        f"The npm registry could not be used ({code or outcome.stopped or 'no reason given'}).",
        outcome.log,
    )


def check_token(work: Path, registry: str, token: str) -> None:
    """Raise what publishing would raise if the registry does not accept the token."""
    outcome = _Npm(work, registry, token, lambda _log: None).run("whoami")
    if outcome.is_fine:
        return
    found = _CODE.search(outcome.log)
    code = found[1] if found else ""
    if code in _FINAL | _TAKEN:
        raise RefusedError(f"The npm registry refused the token ({code}).", outcome.log)
    why = code or outcome.stopped or "no reason given"
    raise UnreachableError(f"The npm registry could not be used ({why}).", outcome.log)


class RefusedError(Unprocessable):
    """The failure is permanent: something must be changed before the next attempt."""

    code = "publication_refused"

    def __init__(self, detail: str, log_tail: str) -> None:
        super().__init__(detail)
        self.log_tail = log_tail


class UnreachableError(Unavailable):
    """The failure may be temporary."""

    def __init__(self, detail: str, log_tail: str) -> None:
        super().__init__(detail)
        self.log_tail = log_tail


class _Npm:
    """npm with a configuration of its own, which refers to the token by a variable."""

    def __init__(
        self, work: Path, registry: str, token: str, on_progress: Callable[[str], None]
    ) -> None:
        self.work, self.token, self.on_progress = work, token, on_progress
        self.program = _program()
        parts = urlsplit(registry if registry.endswith("/") else f"{registry}/")
        settings = {
            "registry": parts.geturl(),
            f"//{parts.netloc}{parts.path}:_authToken": "${IDP_PUBLISH_TOKEN}",
            "logs-max": "0",
            "cache": str(work / "npm-cache"),
            "fetch-retries": "0",  # the outbox tries again, and others are served meanwhile
            "fetch-timeout": "30000",
            "update-notifier": "false",
            "audit": "false",
            "fund": "false",
        }
        self.configuration = work / "npmrc"
        self.configuration.write_text(
            "".join(f"{name}={value}\n" for name, value in settings.items()), encoding="utf-8"
        )

    def run(self, *arguments: str) -> Outcome:
        """Run npm in the work folder."""
        outcome = process.run(
            [
                *(self.program, "--userconfig", str(self.configuration)),
                *("--globalconfig", str(self.work / "no-npmrc"), *arguments),
            ],
            self.work,
            PUBLISHING,
            environment={
                "PATH": _path(self.program),
                "NODE_OPTIONS": "--max-old-space-size=512",
                "IDP_PUBLISH_TOKEN": self.token,
            },
            on_progress=lambda log: self.on_progress(self.clean(log)),
        )
        return Outcome(outcome.code, self.clean(outcome.log), outcome.stopped)

    def clean(self, log: str) -> str:
        """Remove the token from a text."""
        return log.replace(self.token, "***")

    def has_the_same(self, folder: Path) -> bool:
        """Return whether the registry has this version with this content."""
        about = orjson.loads((folder / "package.json").read_bytes())
        ours = self.run("pack", "--dry-run", "--json", "--ignore-scripts", "--", str(folder))
        theirs = self.run("view", "--", f"{about['name']}@{about['version']}", "dist.shasum")
        found = re.search(r'"shasum": "([0-9a-f]{40})"', ours.log)
        return ours.is_fine and theirs.is_fine and found is not None and found[1] in theirs.log


def _program() -> str:
    # npm is beside node; a virtual environment may have both.
    places = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    program = shutil.which("npm", path=places)
    if program is None:
        raise Unprocessable(N_("npm is not installed on the host of the worker."))
    return program


def _path(program: str) -> str:
    return os.pathsep.join((str(Path(program).parent), "/usr/bin", "/bin"))


def _code(folder: Path) -> str:
    """Join the generated operations as text for the README."""
    code = "\n".join(
        path.read_text(encoding="utf-8", errors="replace")
        for path in sorted((folder / "api").glob("*.ts"))
    )
    return code[:MAX_README_CODE]
