"""Contents in a bucket, by obstore, which is an extra."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import IO, Any
from urllib.parse import parse_qsl, urlsplit

from obstore.exceptions import BaseError
from obstore.store import ObjectStore, from_url

from idp.config import SettingsError
from idp.platform.errors import NotFound
from idp.publishing.files.storage import failed

BUCKET_SECONDS = timedelta(seconds=30)
_ERRORS = (BaseError, OSError)


@dataclass(frozen=True, slots=True)
class Bucket:
    """Objects of an S3, GCS or Azure bucket."""

    store: ObjectStore

    @classmethod
    def at(cls, url: str) -> Bucket:
        """Open a bucket; the part after `?` is configuration of obstore."""
        parts = urlsplit(url)
        config: Any = dict(parse_qsl(parts.query))
        is_plain = config.get("endpoint", "").startswith("http://")
        try:
            store = from_url(
                parts._replace(query="").geturl(),
                config=config,
                client_options={"timeout": BUCKET_SECONDS, "allow_http": is_plain},
                retry_config={"max_retries": 2, "retry_timeout": BUCKET_SECONDS},
            )
        except Exception as error:  # noqa: BLE001 - it says what it cannot use in many ways
            message = f"IDP_FILES_URL cannot be used ({type(error).__name__})"
            raise SettingsError(message) from None
        return cls(store)

    def put(self, name: str, stream: IO[bytes], headers: dict[str, str]) -> None:
        """Send an object in one request, so that there is never a part of it."""
        try:
            self.store.put(name, stream, attributes=headers, use_multipart=False)
        except _ERRORS as error:
            raise failed(error) from None

    def read(self, name: str) -> bytes:
        """Fetch an object."""
        try:
            return self.store.get(name).bytes().to_bytes()
        except FileNotFoundError:
            raise NotFound from None
        except _ERRORS as error:
            raise failed(error) from None

    def delete(self, name: str) -> None:
        """Remove an object."""
        try:
            self.store.delete(name)
        except FileNotFoundError:
            return
        except _ERRORS as error:
            raise failed(error) from None
