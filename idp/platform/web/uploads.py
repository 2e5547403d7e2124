"""Files that come in multipart forms: limited while they arrive, spooled to disk, closed after."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge
from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header
from werkzeug.wsgi import get_input_stream

from idp.platform.errors import BadRequest, Unavailable
from idp.platform.translation import N_, filled
from idp.platform.web.visit import Environ

OVERHEAD = 64 * 1024
"""What the form may add to the file: boundaries, headers, other fields."""
MAX_PARTS = 20
IN_MEMORY = 256 * 1024


@dataclass(frozen=True, slots=True)
class Received:
    """A file as it came: nothing about it is proven."""

    stream: IO[bytes]
    unverified_name: str
    size: int


@contextmanager
def receive(environ: Environ, field: str, largest: int) -> Iterator[Received]:
    """Read the one file of a form; its temporary copy is gone when the block ends."""
    with ExitStack() as spooled:

        def spool(*_: Any, **__: Any) -> IO[bytes]:
            return spooled.enter_context(SpooledTemporaryFile(IN_MEMORY))

        parser = FormDataParser(
            spool, max_form_memory_size=OVERHEAD, max_form_parts=MAX_PARTS, silent=False
        )
        files = _parse(environ, parser, field, largest).getlist(field)
        if len(files) != 1:
            raise BadRequest.at(field, N_("One file is needed, as multipart/form-data."))
        stream = files[0].stream
        size = stream.seek(0, 2)
        stream.seek(0)
        if size > largest:
            raise _too_large(field, largest)
        yield Received(stream, files[0].filename or "", size)


def _parse(environ: Environ, parser: FormDataParser, field: str, largest: int) -> Any:
    try:
        kind, options = parse_options_header(environ.get("CONTENT_TYPE"))
        stream = get_input_stream(environ, max_content_length=largest + OVERHEAD)
        _, _, files = parser.parse(stream, kind, None, options)
    except RequestEntityTooLarge:
        raise _too_large(field, largest) from None
    except (ClientDisconnected, ValueError):
        raise BadRequest.at(field, N_("The form cannot be read as multipart/form-data.")) from None
    except OSError as error:
        raise Unavailable(N_("There is no room for the file now."), debug=str(error)) from None
    return files


def _too_large(field: str, largest: int) -> BadRequest:
    return BadRequest.at(field, filled(N_("The file may have %(most)s bytes."), most=largest))
