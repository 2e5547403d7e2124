"""The life of signing keys: next, active, retired, gone; or revoked.

Every function here may run on two nodes at once. Unique partial indexes allow one active and one
next key of an algorithm; each change of state is one conditional UPDATE, and who loses it does
nothing. Writers raise the configuration version first: its row is where they queue.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from sqlalchemy import Update, func, select, update
from sqlalchemy.orm import Session

from idp.platform import clock, runtime
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.db import bump_configuration, insert
from idp.platform.errors import BadRequest, Conflict, NotFound, Unprocessable
from idp.platform.secrets import Keyring, UnknownKeyError
from idp.platform.signing.algorithms import (
    ALGORITHMS,
    PrivateKey,
    WeakKeyError,
    algorithm_of,
    dump_private,
    load_pem,
    public_jwk,
    thumbprint,
)
from idp.platform.signing.models import SigningKey
from idp.platform.translation import N_, filled

PURPOSE = "signing key"

PUBLISH_SECONDS = 30 * 24 * 3600
"""How long a retired key stays in the JWKS unless the caller names a time."""

ANNOUNCE_SECONDS = 24 * 3600
"""How long a key is in the JWKS before rotation by age may activate it."""

ROTATIONS_PER_HOUR = 10
"""Of those by hand: each leaves a key that is published for a month."""

IMPORTS_PER_HOUR = 10
MOST_PEM_BYTES = 8_192
MOST_RSA_BITS = 4_096
"""A larger key would make every token slow to sign."""

_LEEWAY = timedelta(minutes=5)
_PER_IMPORT = 2

BEING_CHANGED = N_("The signing keys are being changed by another process; try again.")


def ensure(session: Session) -> None:
    """Make what is missing: one active and one next key of every algorithm."""
    for alg in ALGORITHMS:
        found = {
            status
            for status in session.scalars(select(SigningKey.status).where(SigningKey.alg == alg))
            if status in {"active", "next"}
        }
        if "active" not in found and not ("next" in found and _activate_next(session, alg)):
            _add(session, alg, "active", ALGORITHMS[alg].generate())
        if found != {"active", "next"}:
            _add(session, alg, "next", ALGORITHMS[alg].generate())


def list_keys(session: Session) -> list[SigningKey]:
    """List all keys, the newest of each algorithm first, those without a private part too."""
    query = select(SigningKey).order_by(SigningKey.alg, SigningKey.id.desc())
    return list(session.scalars(query.execution_options(populate_existing=True)))


def list_page(
    session: Session, *, status: str | None = None, before_id: int | None = None, limit: int = 100
) -> list[SigningKey]:
    """Return a page of keys, the newest first; those that are gone or revoked too."""
    query = select(SigningKey).order_by(SigningKey.id.desc()).limit(limit)
    if status is not None:
        query = query.where(SigningKey.status == status)
    if before_id is not None:
        query = query.where(SigningKey.id < before_id)
    return list(session.scalars(query.execution_options(populate_existing=True)))


def get(session: Session, kid: str) -> SigningKey:
    """Return a key by its id."""
    query = select(SigningKey).where(SigningKey.kid == kid)
    key = session.scalar(query.execution_options(populate_existing=True))
    if key is None:
        raise NotFound(filled(N_("There is no signing key %(kid)s."), kid=kid))
    return key


def unreadable(session: Session, keyring: Keyring) -> list[SigningKey]:
    """List the keys with a private part that no secret of `IDP_SECRET_KEY` opens."""
    query = select(SigningKey).where(SigningKey.private_encrypted.is_not(None))
    return [
        key
        for key in session.scalars(query)
        if not keyring.opens(PURPOSE, key.private_encrypted or "")
    ]


def check_readable(session: Session, keyring: Keyring) -> None:
    """Refuse root secrets that leave an active key closed: nothing could be signed by it."""
    closed = [key.alg for key in unreadable(session, keyring) if key.status == "active"]
    if closed:
        raise Unprocessable(
            f"IDP_SECRET_KEY does not open the active signing keys ({', '.join(sorted(closed))}):"
            " set the secret that this database was set up with, after a change as `new,old`. If it"
            " is lost, `idp keys list` names the keys and `idp keys revoke KID` replaces one."
        )


def rotate(session: Session, alg: str, *, keep_seconds: int = PUBLISH_SECONDS) -> str:
    """Activate the next key, retire the active one and publish a new next; return the active kid.

    `keep_seconds` is the longest life of a token signed so far: as long, the retired key stays in
    the JWKS.
    """
    if alg not in ALGORITHMS:
        raise Unprocessable(filled(N_("There is no signing algorithm %(alg)s."), alg=alg))
    retiring = _find(session, alg, "active")
    successor = ALGORITHMS[alg].generate()  # slow for RSA: before others have to queue
    bump_configuration(session)
    if retiring is not None and _retire(session, retiring, keep_seconds):
        if not _activate_next(session, alg):
            _add(session, alg, "active", successor)
            successor = ALGORITHMS[alg].generate()
        _add(session, alg, "next", successor)
        audit.record(session, Tag.KEY_ROTATED, target=f"key:{retiring.kid}", details={"alg": alg})
    # Else another node was faster: what it made stands.
    ensure(session)
    active = _find(session, alg, "active")
    if active is None:
        raise Conflict(BEING_CHANGED)
    return active.kid


def rotate_now(
    session: Session, alg: str | None = None, *, newest_id: int | None = None
) -> list[SigningKey]:
    """Rotate one algorithm or all, a few times an hour at most; return the keys that sign now.

    Raise Conflict where `newest_id` is given and another key is newer: keys were changed meanwhile.
    """
    runtime.of(session).throttle.hit("key rotation", "all", ROTATIONS_PER_HOUR, 3600)
    if newest_id is not None:
        bump_configuration(session)
        if session.scalar(select(func.max(SigningKey.id))) != newest_id:
            raise Conflict(N_("The keys were changed meanwhile. Nothing was rotated."))
    names = [*ALGORITHMS] if alg is None else [alg]
    return [get(session, rotate(session, name)) for name in names]


def is_on_former_secret(session: Session, key: SigningKey) -> bool:
    """Return whether an older root secret protects the private part of a key."""
    stored = key.private_encrypted
    return stored is not None and not runtime.of(session).keyring.is_current(stored)


def rotation_due_at(session: Session, key: SigningKey) -> datetime:
    """Return when an active key is old enough to be replaced."""
    days = runtime.of(session).settings.key_rotation_days
    return (key.activated_at or key.created_at) + timedelta(days=days)


@dataclass(frozen=True, slots=True)
class Age:
    """How old the active key of an algorithm is, and whether the next one may follow it."""

    seconds: float
    next_is_ready: bool


def ages(session: Session) -> dict[str, Age]:
    """Return the age of each active key, by algorithm."""
    now = clock.now()
    query = select(
        SigningKey.alg, SigningKey.status, SigningKey.activated_at, SigningKey.created_at
    ).where(SigningKey.status.in_(("active", "next")))
    active, announced = dict[str, float](), set[str]()
    for alg, status, activated_at, created_at in session.execute(query):
        if status == "active":
            active[alg] = (now - (activated_at or created_at)).total_seconds()
        elif created_at <= now - timedelta(seconds=ANNOUNCE_SECONDS):
            announced.add(alg)
    return {alg: Age(seconds, alg in announced) for alg, seconds in active.items()}


def rotate_due(session: Session, *, keep_seconds: int = PUBLISH_SECONDS) -> list[str]:
    """Replace old keys, erase retired ones that no token needs; return the new kids."""
    now = clock.now()
    _erase_expired(session, now)
    ensure(session)
    rotated = []
    for alg in ALGORITHMS:
        active, following = _find(session, alg, "active"), _find(session, alg, "next")
        if active is None or following is None:
            continue
        is_due = rotation_due_at(session, active) <= now
        if is_due and following.created_at <= now - timedelta(seconds=ANNOUNCE_SECONDS):
            rotated.append(rotate(session, alg, keep_seconds=keep_seconds))
    return rotated


def revoke(session: Session, kid: str) -> None:
    """Take a stolen key out of use at once; a successor takes over. Revoking twice is harmless."""
    bump_configuration(session)
    alg = get(session, kid).alg
    revoked = _changed(
        session,
        update(SigningKey)
        .where(SigningKey.kid == kid, SigningKey.status != "revoked")
        .values(status="revoked", private_encrypted=None, retired_at=clock.now()),
    )
    if revoked:
        audit.record(session, Tag.KEY_REVOKED, target=f"key:{kid}", details={"alg": alg})
    ensure(session)


def import_pem(session: Session, folder: Path) -> list[str]:
    """Import the private keys of a folder's `*.pem` files; return the kids that are new.

    A key becomes active when its algorithm has no active key, else next, in place of a generated
    one. An RSA key signs by RS256, unless the name of its file starts with `ps256`. A key that
    was ever known, even one that is gone or revoked, is left alone.
    """
    imported: dict[str, list[str]] = {}
    for path in sorted(folder.glob("*.pem")):
        try:
            key = load_pem(path.read_bytes())
        except WeakKeyError as problem:
            raise Unprocessable(f"{path.name} cannot be imported: {problem}.") from None
        kid = thumbprint(public_jwk(key))
        if _is_known(session, kid):
            continue
        bump_configuration(session)
        if _is_known(session, kid):  # another node imported the same folder while we queued
            continue
        alg = algorithm_of(key)
        if alg == "RS256" and path.name.lower().startswith("ps256"):
            alg = "PS256"
        if len(imported.setdefault(alg, [])) == _PER_IMPORT:
            raise Unprocessable(
                f"{path.name} cannot be imported: two new keys for {alg} came before it, and more"
                " than an active and a next one are not kept."
            )
        imported[alg].append(kid)
        _import(session, alg, kid, key)
    return [kid for kids in imported.values() for kid in kids]


def import_one(session: Session, pem: bytes, alg: str | None = None) -> SigningKey:
    """Make a private key the next one of its algorithm; it signs after the next rotation.

    `alg` chooses between RS256 and PS256 for an RSA key; None: the algorithm of the key's type. A
    key that was ever known, even one that is gone or revoked, is refused. The generated next key
    that it displaces has signed nothing.
    """
    runtime.of(session).throttle.hit("key import", "all", IMPORTS_PER_HOUR, 3600)
    key = _readable_key(pem)
    chosen = alg or algorithm_of(key)
    if chosen not in ALGORITHMS or not isinstance(key, ALGORITHMS[chosen].key_type):
        raise Unprocessable.at("alg", N_("A key of this type cannot sign by this algorithm."))
    kid = thumbprint(public_jwk(key))
    ensure(session)  # with an active key there, this one can only become the next
    bump_configuration(session)
    if _is_known(session, kid):
        raise Conflict.at("pem", N_("This key is known already; a key is imported only once."))
    _import(session, chosen, kid, key)
    return get(session, kid)


def _readable_key(pem: bytes) -> PrivateKey:
    """Read a private key that somebody sent; the refusal repeats nothing of it."""
    if len(pem) > MOST_PEM_BYTES:
        raise BadRequest.at("pem", N_("The file is too large for a private key."))
    try:
        key: PrivateKey | None = load_pem(pem)
    except WeakKeyError:
        key = None
    if key is None or (isinstance(key, RSAPrivateKey) and key.key_size > MOST_RSA_BITS):
        raise BadRequest.at(
            "pem",
            N_(
                "Choose a private key in PEM form without a passphrase:"
                " RSA of 2048 to 4096 bits, P-256 or Ed25519."
            ),
        )
    return key


def rewrap(session: Session) -> int:
    """Encrypt private keys again that an older root secret protects; return their number."""
    keyring = runtime.of(session).keyring
    rows = session.execute(
        select(SigningKey.id, SigningKey.kid, SigningKey.private_encrypted).where(
            SigningKey.private_encrypted.is_not(None)
        )
    )
    count = 0
    for id_, kid, stored in rows.all():
        if stored is None or keyring.is_current(stored):
            continue
        try:
            clear = keyring.decrypt(PURPOSE, stored)
        except UnknownKeyError:
            raise Unprocessable(
                f"Signing key {kid} was encrypted under a root secret that IDP_SECRET_KEY does not"
                " hold; add the old secret after the new one, separated by a comma."
            ) from None
        count += _changed(
            session,
            update(SigningKey)
            .where(SigningKey.id == id_, SigningKey.private_encrypted == stored)
            .values(private_encrypted=keyring.encrypt(PURPOSE, clear)),
        )
    if count:
        bump_configuration(session)
        audit.record(session, Tag.KEY_REWRAPPED, details={"count": count})
    return count


def replace_unreadable(session: Session) -> list[str]:
    """Replace the keys that no root secret opens; return their ids.

    They stay in the JWKS until what they signed has expired: a lost secret is not a stolen one.
    """
    bump_configuration(session)
    lost = unreadable(session, runtime.of(session).keyring)
    for key in lost:
        _erase(session, key.kid, "next")
        _retire(session, key, PUBLISH_SECONDS)
        _changed(
            session,
            update(SigningKey).where(SigningKey.id == key.id).values(private_encrypted=None),
        )
    ensure(session)
    return [key.kid for key in lost]


def _is_known(session: Session, kid: str) -> bool:
    return session.scalar(select(SigningKey.id).where(SigningKey.kid == kid)) is not None


def _find(session: Session, alg: str, status: str) -> SigningKey | None:
    query = select(SigningKey).where(SigningKey.alg == alg, SigningKey.status == status)
    return session.scalar(query.execution_options(populate_existing=True))


def _changed(session: Session, statement: Update) -> bool:
    """Execute a conditional change of one key; return whether it hit."""
    return session.connection().execute(statement).rowcount > 0


def _add(session: Session, alg: str, status: str, key: PrivateKey) -> bool:
    """Insert a key unless another node has filled its place."""
    jwk = public_jwk(key)
    kid = thumbprint(jwk)
    bump_configuration(session)
    now = clock.now()
    statement = (
        insert(session, SigningKey)
        .values(
            kid=kid,
            alg=alg,
            status=status,
            public_jwk=jwk,
            private_encrypted=runtime.of(session).keyring.encrypt(PURPOSE, dump_private(key)),
            created_at=now,
            activated_at=now if status == "active" else None,
        )
        .on_conflict_do_nothing()
        .returning(SigningKey.id)
    )
    # psycopg counts no rows of an INSERT that returns some; the row itself is the evidence.
    added = session.connection().execute(statement).first() is not None
    if added:
        audit.record(
            session,
            Tag.KEY_CREATED,
            target=f"key:{kid}",
            details={"alg": alg, "status": status},
        )
    return added


def _import(session: Session, alg: str, kid: str, key: PrivateKey) -> None:
    if _find(session, alg, "active") is not None or not _add(session, alg, "active", key):
        displaced = _find(session, alg, "next")
        if displaced is not None:  # published, but nothing was ever signed with it
            _erase(session, displaced.kid, "next")
        if not _add(session, alg, "next", key):
            raise Conflict(BEING_CHANGED)
    audit.record(session, Tag.KEY_IMPORTED, target=f"key:{kid}", details={"alg": alg})


def _activate_next(session: Session, alg: str) -> bool:
    bump_configuration(session)
    following = _find(session, alg, "next")
    if following is None:
        return False
    activated = _changed(
        session,
        update(SigningKey)
        .where(SigningKey.id == following.id, SigningKey.status == "next")
        .values(status="active", activated_at=clock.now()),
    )
    if activated:
        audit.record(
            session, Tag.KEY_ACTIVATED, target=f"key:{following.kid}", details={"alg": alg}
        )
    return activated


def _retire(session: Session, key: SigningKey, keep_seconds: int) -> bool:
    now = clock.now()
    return _changed(
        session,
        update(SigningKey)
        .where(SigningKey.id == key.id, SigningKey.status == "active")
        .values(
            status="retired",
            retired_at=now,
            publish_until=now + timedelta(seconds=keep_seconds) + _LEEWAY,
        ),
    )


def _erase_expired(session: Session, now: datetime) -> None:
    """Erase retired keys whose last token has expired."""
    expired = session.scalars(
        select(SigningKey.kid).where(
            SigningKey.status == "retired", SigningKey.publish_until <= now
        )
    ).all()
    for kid in expired:
        _erase(session, kid, "retired")


def _erase(session: Session, kid: str, status: str) -> None:
    bump_configuration(session)
    erased = _changed(
        session,
        update(SigningKey)
        .where(SigningKey.kid == kid, SigningKey.status == status)
        .values(status="gone", private_encrypted=None),
    )
    if erased:
        audit.record(session, Tag.KEY_ERASED, target=f"key:{kid}")
