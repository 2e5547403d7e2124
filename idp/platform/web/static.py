"""Our own files: sent compressed as they lie there, to clients that accept it."""

from __future__ import annotations

import mimetypes
from functools import cache
from pathlib import Path

from flask import Flask, Response, current_app, request, send_from_directory

ENCODINGS = (("br", ".br"), ("gzip", ".gz"))
"""Content codings (RFC 9110 8.4.1) and the ends of their files, the shorter ones first."""


def setup(app: Flask) -> None:
    """Answer the endpoint `static`; copies are made by `make static`."""
    app.view_functions["static"] = send


def send(filename: str) -> Response:
    """Return a file of ours in the best coding that the caller takes."""
    folder = str(current_app.static_folder)
    max_age = current_app.get_send_file_max_age(filename)
    for coding, suffix in ENCODINGS:
        if request.accept_encodings[coding] > 0 and filename + suffix in _copies(Path(folder)):
            kind = mimetypes.guess_type(filename)[0]
            response = send_from_directory(
                folder, filename + suffix, mimetype=kind, max_age=max_age
            )
            response.headers["Content-Encoding"] = coding
            break
    else:
        response = send_from_directory(folder, filename, max_age=max_age)
    response.vary.add("Accept-Encoding")
    return response


@cache
def _copies(folder: Path) -> frozenset[str]:
    ends = tuple(suffix for _, suffix in ENCODINGS)
    return frozenset(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.suffix in ends
    )
