"""Pushing generated code and documentation to a Git repository, over HTTP with a token."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from idp.platform.errors import Unprocessable
from idp.platform.translation import N_
from idp.publishing.codegen import process
from idp.publishing.codegen.npm import RefusedError, UnreachableError
from idp.publishing.codegen.process import Limits, Outcome

PUSHING = Limits(seconds=120, output_bytes=256 * 1024**2, memory_bytes=2 * 1024**3, network=True)
_REFUSED = (
    *("Authentication failed", "could not read Username", "unable to read askpass"),
    *("error: 401", "error: 403", "not found", "denied"),
)
_BEGINNING = "main"
_OURS = f"refs/heads/{_BEGINNING}"
_TRIED = "refs/heads/idp-test"
"""Branch that a test would make if it pushed anything."""
# What git-check-ref-format forbids could turn a name into an expression.
_BRANCH = re.compile(r"refs/heads/[^\s~^:?*\[\\\x00-\x1f\x7f]+")
_CONFIGURATION = {
    "user.name": "idp",
    "user.email": "idp@localhost",
    # Links, hooks and filters of the repository are never followed or run.
    "core.symlinks": "false",
    "core.hooksPath": "/dev/null",
    "core.autocrlf": "false",
    "http.followRedirects": "false",
    "credential.helper": "",
    "protocol.allow": "never",
    "protocol.https.allow": "always",
    "protocol.http.allow": "always",
    "init.defaultBranch": _BEGINNING,
    "advice.defaultBranchName": "false",
}
_CONF_PY = 'project = "API"\nextensions = []\nhtml_theme = "sphinx_rtd_theme"\n'
_INDEX = "API\n===\n\n.. toctree::\n   :maxdepth: 2\n\n"


@dataclass(frozen=True, slots=True)
class Remote:
    """Where to push, and with which token."""

    url: str
    token: str
    user_agent: str


@dataclass(frozen=True, slots=True)
class Change:
    """What a push contains."""

    message: str
    code: Path | None = None
    """Folder whose files replace those below `place`."""
    place: str = ""
    page: str | None = None
    """Documentation in reStructuredText."""
    page_source: str = ""
    """Address from which the name of the page is derived."""


def address(base: str, owner: str, repo: str) -> str:
    """Return the address of a repository at the Git server."""
    return f"{base.rstrip('/')}/{owner}/{repo.removesuffix('.git')}.git"


def push(remote: Remote, change: Change, work: Path, on_progress: Callable[[str], None]) -> str:
    """Push a change as a commit; return the output of git without the token.

    Without a difference nothing is pushed, so that it may be repeated.
    """
    git, clone = _begin(remote, work, on_progress)
    # Names from the server are complete, `refs/heads/…`, and after `--`: none is an option.
    branch = _branch(git.ask_remote("ls-remote", "--symref", "--", remote.url, "HEAD", _OURS))
    if branch is not None:
        git.ask_remote("fetch", "--quiet", "--depth=1", "--", remote.url, branch)
        git.do("checkout", "--quiet", "-B", _BEGINNING, "FETCH_HEAD", "--")
    _write(clone, change)
    git.do("add", "--all", "--", ".")
    if git.run("diff", "--cached", "--quiet", "--exit-code").code == 0:
        return git.said
    git.do("commit", "--quiet", f"--message={change.message}")
    git.ask_remote("push", "--quiet", "--", remote.url, f"HEAD:{branch or _OURS}")
    return git.said


def check_access(remote: Remote, work: Path) -> None:
    """Raise what a push would raise if the server does not accept the token; push nothing."""
    git, _clone = _begin(remote, work, lambda _log: None)
    git.do("commit", "--quiet", "--allow-empty", "--message=Test")
    git.ask_remote("push", "--quiet", "--dry-run", "--", remote.url, f"HEAD:{_TRIED}")


def _begin(remote: Remote, work: Path, on_progress: Callable[[str], None]) -> tuple[_Git, Path]:
    """Make an empty repository in the work folder."""
    program = shutil.which("git")
    if program is None:
        raise Unprocessable(N_("git is not installed on the host of the worker."))
    clone = work / "repository"
    git = _Git(program, remote, work, on_progress)
    git.do("init", "--quiet", "--", str(clone))
    git.clone = clone
    return git, clone


class _Git:
    """Git with a configuration of its own; the token is in its environment."""

    def __init__(
        self, program: str, remote: Remote, work: Path, on_progress: Callable[[str], None]
    ) -> None:
        self.program, self.work, self.on_progress = program, work, on_progress
        self.clone: Path | None = None
        self.said = ""
        credentials = base64.b64encode(f"x-access-token:{remote.token}".encode()).decode()
        self.secrets = (remote.token, credentials)
        given = {
            **_CONFIGURATION,
            "http.userAgent": remote.user_agent,
            f"http.{remote.url}.extraHeader": f"Authorization: Basic {credentials}",
        }
        self.environment = {
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "/bin/false",
            "GIT_CONFIG_COUNT": str(len(given)),
        }
        for number, (name, value) in enumerate(given.items()):
            self.environment[f"GIT_CONFIG_KEY_{number}"] = name
            self.environment[f"GIT_CONFIG_VALUE_{number}"] = value

    def run(self, *arguments: str) -> Outcome:
        """Run git, in the clone as soon as there is one."""
        where = () if self.clone is None else ("-C", str(self.clone))
        outcome = process.run(
            [self.program, *where, *arguments],
            self.work,
            PUSHING,
            environment=self.environment,
            on_progress=lambda log: self.on_progress(self.clean(log)),
        )
        outcome = Outcome(outcome.code, self.clean(outcome.log), outcome.stopped)
        self.said += outcome.log
        return outcome

    def do(self, *arguments: str) -> None:
        """Run a command that fails only by a fault on this side."""
        outcome = self.run(*arguments)
        if not outcome.is_fine:
            raise UnreachableError(f"git {arguments[0]} failed.", outcome.log)

    def ask_remote(self, *arguments: str) -> str:
        """Run a command that connects to the server; return its output."""
        outcome = self.run(*arguments)
        if outcome.is_fine:
            return outcome.log
        if any(sign in outcome.log for sign in _REFUSED):
            raise RefusedError("The Git server refused the token or the repository.", outcome.log)
        raise UnreachableError("The Git server could not be reached.", outcome.log)

    def clean(self, log: str) -> str:
        """Remove the token from a text."""
        for secret in self.secrets:
            log = log.replace(secret, "***")
        return log


def _branch(listed: str) -> str | None:
    """Return the full name of the branch to push to: the server's default, else our own.

    None: the repository is empty. The log has blanks for tabs; no branch name has blanks.
    """
    rows = [line.split() for line in listed.splitlines()]
    heads = {row[1] for row in rows if len(row) == 2}  # noqa: PLR2004 - hash and name
    for row in rows:
        if "HEAD" in heads and row[:1] == ["ref:"] and row[-1] == "HEAD":
            if not _BRANCH.fullmatch(row[1]):
                raise Unprocessable(N_("The default branch of the repository has no usable name."))
            return row[1]
    return _OURS if _OURS in heads else None


def _write(clone: Path, change: Change) -> None:
    if change.code is not None:
        target = clone / change.place
        _make_folder(clone, target.parent)
        _clear(target)
        shutil.copytree(change.code, target)
    if change.page is not None:
        docs = clone / "docs"
        _make_folder(clone, docs)
        # The contract prescribes this form of the name; it is no security measure.
        name = hashlib.md5(change.page_source.encode(), usedforsecurity=False).hexdigest()
        (docs / f"{name}.rst").write_text(change.page, encoding="utf-8")
        for file, text in (("conf.py", _CONF_PY), ("index.rst", _INDEX)):
            if not (docs / file).exists():
                (docs / file).write_text(text, encoding="utf-8")
        index = (docs / "index.rst").read_text(encoding="utf-8", errors="replace")
        if f"   {name}" not in index.splitlines():
            (docs / "index.rst").write_text(f"{index.rstrip()}\n   {name}\n", encoding="utf-8")


def _make_folder(clone: Path, folder: Path) -> None:
    """Make a folder in the clone, in place of files of the same name on the way to it."""
    for path in reversed((folder, *folder.parents)):
        if clone in path.parents and not path.is_dir():
            _clear(path)
            path.mkdir()


def _clear(path: Path) -> None:
    """Remove a file or a whole folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
