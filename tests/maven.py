"""Libraries of others for Java, that Maven gets once for each environment of the tests."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

_POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>tests</groupId>
  <artifactId>tests</artifactId>
  <version>1</version>
  <dependencies>{}</dependencies>
</project>
"""
_DEPENDENCY = """
    <dependency>
      <groupId>{}</groupId>
      <artifactId>{}</artifactId>
      <version>{}</version>
    </dependency>"""
SECONDS = 180


def compiled(source: Path, libraries: Sequence[str]) -> list[str]:
    """Compile a program with libraries named `group:artifact:version`; return what runs it.

    The test is skipped where there is no JDK or no Maven, and where Maven gets nothing.
    """
    missing = [program for program in ("mvn", "javac", "java") if shutil.which(program) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)} (apt-get install maven default-jdk)")
    text = _POM.format("".join(_DEPENDENCY.format(*name.split(":")) for name in libraries))
    wanted = hashlib.sha256(text.encode() + source.read_bytes()).hexdigest()[:16]
    folder = Path(sys.executable).parent.parent / "maven-tools" / wanted
    folder.mkdir(parents=True, exist_ok=True)
    classes = folder / "classes"
    path = f"{folder / 'lib'}/*:{classes}"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            classes.mkdir(exist_ok=True)
            (folder / "pom.xml").write_text(text)
            getting = ["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib"]
            try:
                done = subprocess.run(
                    getting, cwd=folder, capture_output=True, text=True, timeout=SECONDS
                )
            except subprocess.TimeoutExpired:
                pytest.skip("Maven gets no libraries")
            if done.returncode:
                pytest.skip(f"Maven gets no libraries: {done.stdout[-300:]}")
            making = ["javac", "-Xlint:all", "-Werror", "-cp", path, "-d", classes, source]
            done = subprocess.run(making, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            (folder / "done").touch()
    return ["java", "-cp", path, source.stem]
