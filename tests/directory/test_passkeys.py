"""Passkeys: what is accepted of an authenticator, and what of one that lies."""

from __future__ import annotations

import json
import secrets
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import cbor2
import pytest
from sqlalchemy import select

from idp.directory.factors import passkey_answers, passkeys
from idp.directory.factors.models import Passkey
from idp.directory.factors.passkey_answers import RefusedAnswerError
from idp.directory.factors.passkeys import Claim
from idp.directory.tenants import service as tenants
from idp.platform import clock as wall
from idp.platform.errors import Conflict
from idp.platform.issuer import Issuer
from idp.platform.secrets import b64url, from_b64url
from tests.authenticator import (
    BE,
    BS,
    EDDSA,
    ES256,
    ES384,
    RS256,
    SYNCED,
    UP,
    UV,
    Authenticator,
)
from tests.protocol import add_person, add_tenant

HERE = Issuer(1, "http://localhost:8000", "localhost:8000", "idp")
OWNER = "browser:1"


@pytest.fixture
def ann(session):
    return add_person(session)


def add(session, user, issuer=HERE, **how):
    """Add a passkey of a person; return its authenticator."""
    device = Authenticator(issuer.url, **how)
    options = passkeys.creation_options(session, issuer, user, OWNER)
    passkeys.add(session, issuer, user, Claim(OWNER, device.create(options)), "Laptop")
    session.commit()
    return device


def refusal_to_add(session, user, device=None, owner=OWNER, **lies):
    """Return why a passkey is refused."""
    device = device or Authenticator(HERE.url)
    options = passkeys.creation_options(session, HERE, user, OWNER)
    with pytest.raises(RefusedAnswerError) as refused:
        passkeys.add(session, HERE, user, Claim(owner, device.create(options, **lies)), "x")
    session.rollback()
    return str(refused.value)


def sign_in(session, device, issuer=HERE, owner=OWNER, **lies):
    options = passkeys.request_options(session, issuer, owner)
    return passkeys.prove(session, issuer, Claim(OWNER, device.get(options, **lies)))


def second(session, user, device, **lies):
    options = passkeys.request_options(session, HERE, OWNER, user.id)
    return passkeys.prove(session, HERE, Claim(OWNER, device.get(options, **lies)), user.id)


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://login.acme.example", "login.acme.example"),
        ("https://login.acme.example:8443", "login.acme.example"),
        ("http://localhost:8000", "localhost"),
        ("http://login.acme.example", None),
        ("http://127.0.0.1:8000", None),
        ("https://192.0.2.1", None),
        ("https://[2001:db8::1]:8443", None),
    ],
)
def test_passkeys_need_a_host_name_in_a_secure_context(url, host):
    assert Issuer(1, url, "x", "idp").passkey_host == host


@pytest.mark.parametrize("algorithm", [EDDSA, ES256, RS256])
@pytest.mark.parametrize("fmt", ["none", "packed"])
def test_every_algorithm_that_is_asked_for_registers_and_signs_in(session, ann, algorithm, fmt):
    device = Authenticator(HERE.url, algorithm)
    options = passkeys.creation_options(session, HERE, ann, OWNER)
    assert [one["alg"] for one in options["pubKeyCredParams"]] == [EDDSA, ES256, RS256]
    assert options["authenticatorSelection"]["userVerification"] == "required"
    passkeys.add(session, HERE, ann, Claim(OWNER, device.create(options, fmt=fmt)), "Laptop")
    found = sign_in(session, device)
    assert (found.passkey.user_id, found.reason, found.is_verified) == (ann.id, None, True)
    assert found.passkey.transports == ["internal"]
    assert str(ann.id).encode() not in found.passkey.user_handle


# Attack 76: an authenticator that lies, when a passkey is added and when it signs in.


@pytest.mark.parametrize(
    ("lies", "reason"),
    [
        ({"client": {"origin": "https://evil.example"}}, "origin"),
        ({"client": {"origin": "http://localhost:9000"}}, "origin"),
        ({"rp_id": "evil.example"}, "RP ID"),
        ({"client": {"type": "webauthn.get"}}, "type"),
        ({"client": {"challenge": b64url(b"x" * 16)}}, "challenge of another ceremony"),
        ({"client": {"crossOrigin": True}}, "cross-origin"),
        ({"client": {"crossOrigin": "no"}}, "cross-origin"),
        ({"client": {"topOrigin": "https://evil.example"}}, "cross-origin"),
        ({"flags": UP}, "verified"),
        ({"flags": UV}, "presence"),
        ({"flags": UP | UV | BS}, "backed up"),
        ({"fmt": "fido-u2f", "statement": {"sig": b"x", "x5c": [b"x"]}}, "attestation"),
        ({"fmt": "packed", "statement": {"alg": ES256, "sig": b"x", "x5c": []}}, "attestation"),
        ({"fmt": "packed", "statement": {"alg": ES256, "sig": b"x"}}, "signature"),
        ({"fmt": "tpm", "statement": {"ver": "2.0"}}, "attestation"),
        ({"credential_id": b"other"}, "credential id"),
        ({"credential_id": b"x" * 1024, "named": b"x" * 1024}, "too long"),
        ({"public_key": cbor2.dumps({1: 2, 3: ES256, -1: 1, -2: b"x" * 32, -3: b"y" * 32})}, ""),
        ({"public_key": b"\xff"}, ""),
    ],
)
def test_a_registration_that_lies_is_refused(session, ann, lies, reason):
    assert reason.lower() in refusal_to_add(session, ann, **lies).lower()
    assert passkeys.list_of(session, ann.id) == []


def test_an_algorithm_that_was_not_asked_for_is_refused(session, ann):
    assert "alg" in refusal_to_add(session, ann, Authenticator(HERE.url, ES384))


def test_a_key_that_would_take_long_to_check_is_refused(session, ann):
    huge = cbor2.dumps({1: 3, 3: RS256, -1: b"\xff" * 2048, -2: b"\x01\x00\x01"})
    assert "too long" in refusal_to_add(session, ann, public_key=huge)


def test_a_challenge_registers_once_for_its_owner_and_in_its_time(session, ann, clock):
    device = Authenticator(HERE.url)
    options = passkeys.creation_options(session, HERE, ann, OWNER)
    with pytest.raises(RefusedAnswerError, match="another ceremony"):
        passkeys.add(session, HERE, ann, Claim("browser:2", device.create(options)), "x")
    passkeys.add(session, HERE, ann, Claim(OWNER, device.create(options)), "x")
    again = Authenticator(HERE.url).create(options)
    with pytest.raises(RefusedAnswerError, match="before"):
        passkeys.add(session, HERE, ann, Claim(OWNER, again), "x")
    options = passkeys.creation_options(session, HERE, ann, OWNER)
    clock.shift(601)
    late = Authenticator(HERE.url).create(options)
    with pytest.raises(RefusedAnswerError, match="expired"):
        passkeys.add(session, HERE, ann, Claim(OWNER, late), "x")


def test_a_challenge_serves_its_purpose_alone(session, ann):
    device = add(session, ann)
    to_sign_in = passkeys.request_options(session, HERE, OWNER)
    to_add = passkeys.creation_options(session, HERE, ann, OWNER)
    answer = device.get({**to_sign_in, "challenge": to_add["challenge"]})
    assert "another ceremony" in passkeys.prove(session, HERE, Claim(OWNER, answer)).reason
    answer = device.get(to_sign_in)
    assert "another" in passkeys.prove(session, HERE, Claim(OWNER, answer), ann.id).reason
    other = Issuer(2, HERE.url, HERE.host, "other")
    answer = device.get(passkeys.request_options(session, other, OWNER))
    assert "another" in passkeys.prove(session, HERE, Claim(OWNER, answer)).reason


def test_the_credential_of_another_person_is_not_added_again(session, ann):
    device = add(session, ann)
    eve = add_person(session, "eve")
    assert "known already" in refusal_to_add(session, eve, device)
    assert sign_in(session, device).passkey.user_id == ann.id


def test_a_person_has_twenty_passkeys_at_most(session, ann):
    for _ in range(passkeys.MOST):
        add(session, ann)
    options = passkeys.creation_options(session, HERE, ann, OWNER)
    assert len(options["excludeCredentials"]) == passkeys.MOST
    answer = Authenticator(HERE.url).create(options)
    with pytest.raises(Conflict):
        passkeys.add(session, HERE, ann, Claim(OWNER, answer), "x")


@pytest.mark.parametrize(
    ("lies", "reason"),
    [
        ({"client": {"origin": "https://evil.example"}}, "origin"),
        ({"rp_id": "evil.example"}, "RP ID"),
        ({"client": {"type": "webauthn.create"}}, "type"),
        ({"client": {"challenge": b64url(b"x" * 16)}}, "challenge of another ceremony"),
        ({"client": {"crossOrigin": True}}, "cross-origin"),
        ({"client": {"topOrigin": "https://evil.example"}}, "cross-origin"),
        ({"flags": UP}, "verified"),
        ({"flags": UV}, "present"),
        ({"flags": UP | UV | BE}, "backup eligibility"),
        ({"flags": UP | UV | SYNCED}, "backup eligibility"),
        ({"signature": b"x" * 70}, "signature"),
        ({"user_handle": b"somebody else"}, "user handle"),
        ({"user_handle": None}, "user handle"),
    ],
)
def test_a_sign_in_that_lies_is_refused_and_changes_nothing(session, ann, lies, reason):
    device = add(session, ann)
    found = sign_in(session, device, **lies)
    assert found.passkey.user_id == ann.id
    assert reason.lower() in found.reason.lower()
    assert not found.is_suspended
    assert found.passkey.last_used_at is None
    assert sign_in(session, device).reason is None


def test_the_key_of_another_authenticator_does_not_sign_in(session, ann):
    device = add(session, ann)
    thief = Authenticator(HERE.url, credential_id=device.credential_id)
    thief.user_handle = device.user_handle
    assert "signature" in sign_in(session, thief).reason.lower()
    assert sign_in(session, Authenticator(HERE.url)).passkey is None


def test_a_further_proof_is_that_of_the_known_person_and_needs_no_verification(session, ann):
    device = add(session, ann)
    eve = add_person(session, "eve")
    add(session, eve)
    assert second(session, eve, device).passkey is None
    found = second(session, ann, device, flags=UP, user_handle=None)
    assert (found.reason, found.is_verified) == (None, False)
    assert "user handle" in second(session, ann, device, user_handle=b"eve").reason


def test_a_synced_passkey_may_lose_its_copies_and_stays_eligible(session, ann):
    device = add(session, ann, flags=UP | UV | SYNCED)
    assert sign_in(session, device, flags=UP | UV | BE).reason is None
    session.expire_all()
    (row,) = passkeys.list_of(session, ann.id)
    assert (row.backup_eligible, row.backed_up) == (True, False)
    assert "backup eligibility" in sign_in(session, device, flags=UP | UV).reason


@pytest.mark.parametrize("went_to", [5, 4, 0])
def test_a_counter_that_went_back_suspends_the_passkey(session, ann, went_to):
    device = add(session, ann, count=4, counts=True)
    assert sign_in(session, device).reason is None
    found = sign_in(session, device, count=went_to)
    assert (found.reason, found.is_suspended) == ("counter", True)
    session.commit()
    session.expire_all()
    found = sign_in(session, device, count=100)
    assert (found.reason, found.is_suspended) == ("suspended", False)
    assert passkeys.usable(session, HERE, ann.id) == []
    assert passkeys.has_any(session, ann.id)


def test_a_signature_is_accepted_once_and_its_replay_suspends_nothing(session, ann):
    device = add(session, ann, counts=True)
    options = passkeys.request_options(session, HERE, OWNER)
    claim = Claim(OWNER, device.get(options))
    assert passkeys.prove(session, HERE, claim).reason is None
    session.commit()
    found = passkeys.prove(session, HERE, claim)
    assert (found.reason, found.is_suspended) == ("challenge answered before", False)


def test_fifty_equal_answers_at_once_count_once(session, runtime, ann):
    device = add(session, ann)
    claim = Claim(OWNER, device.get(passkeys.request_options(session, HERE, OWNER)))
    session.commit()

    def attempt(_number):
        with runtime.sessions() as own:
            found = passkeys.prove(own, HERE, claim)
            own.commit()
            return found.reason

    with ThreadPoolExecutor(10) as pool:
        reasons = list(pool.map(attempt, range(50)))
    assert reasons.count(None) == 1
    assert set(reasons) == {None, "challenge answered before"}


def test_options_name_nobody_before_anybody_is_proven(session, ann):
    add(session, ann)
    options = passkeys.request_options(session, HERE, OWNER)
    assert options["allowCredentials"] == []
    assert options["userVerification"] == "required"
    known = passkeys.request_options(session, HERE, OWNER, ann.id)
    assert len(known["allowCredentials"]) == 1
    assert known["userVerification"] == "preferred"
    nobody = add_person(session, "bob")
    assert passkeys.request_options(session, HERE, OWNER, nobody.id) is None


def test_a_passkey_belongs_to_its_issuer(session, ann):
    tenant_id = add_tenant(session, hosts=["login.acme.example"])
    acme = Issuer(tenant_id, "https://login.acme.example", "login.acme.example", "Acme")
    device = add(session, ann)
    device.origin = acme.url
    assert sign_in(session, device, issuer=acme).passkey is None
    assert passkeys.usable(session, acme, ann.id) == []
    (row,) = passkeys.list_of(session, ann.id)
    assert not passkeys.rename(session, acme, ann.id, row.id, "x")
    assert not passkeys.remove(session, acme, ann.id, row.id)
    assert passkeys.remove(session, HERE, ann.id, row.id)


def test_passkeys_outlive_a_new_host_while_the_old_one_is_kept(session, ann):
    tenant_id = add_tenant(session, hosts=["old.example"])
    old = Issuer(tenant_id, "https://old.example", "old.example", "Acme")
    device = add(session, ann, old)
    tenant = tenants.get(session, tenant_id)
    tenants.set_hosts(session, tenant, ["old.example", "new.example:8443"], "new.example:8443")
    new = Issuer(tenant_id, "https://new.example:8443", "new.example:8443", "Acme")
    assert passkeys.rp_id_of(session, new) == "old.example"
    device.origin = new.url
    assert sign_in(session, device, issuer=new).reason is None
    device.origin = old.url
    assert "origin" in sign_in(session, device, issuer=new).reason
    tenants.set_hosts(session, tenant, ["new.example:8443"])
    assert passkeys.rp_id_of(session, new) == "new.example"
    assert passkeys.usable(session, new, ann.id) == []


def test_browsers_are_told_of_the_passkeys_that_are_accepted(session, ann):
    device = add(session, ann)
    (row,) = passkeys.list_of(session, ann.id)
    known = passkeys.signals(session, HERE, ann, [row])
    assert known["allAcceptedCredentialIds"] == [b64url(device.credential_id)]
    assert known["userId"] == b64url(device.user_handle)
    passkeys.remove(session, HERE, ann.id, row.id)
    gone = passkeys.signals(session, HERE, ann, [])
    assert (gone["allAcceptedCredentialIds"], gone["userId"]) == ([], known["userId"])
    claim = Claim(OWNER, device.get(passkeys.request_options(session, HERE, OWNER)))
    named = {"rpId": "localhost", "credentialId": b64url(device.credential_id)}
    assert passkeys.unknown_credential(session, HERE, claim) == named
    assert passkeys.unknown_credential(session, HERE, Claim(OWNER, "{}")) is None


BAD = [
    *("", "x", "[]", "null", "1", '"x"', "{}", '{"response": 1}', "\0", "é"),
    *('{"rawId": "!", "response": {}}', '{"rawId": "AA", "response": {}}', "[" * 10_000),
    "x" * (passkey_answers.LONGEST + 1),
]


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_answer_is_refused(session, ann, text):
    assert passkeys.prove(session, HERE, Claim(OWNER, text)).reason
    with pytest.raises(RefusedAnswerError):
        passkeys.add(session, HERE, ann, Claim(OWNER, text), "x")


def test_an_answer_with_any_member_changed_is_refused_and_never_an_error(session, ann):
    device = add(session, ann)
    whole = json.loads(device.get(passkeys.request_options(session, HERE, OWNER)))
    made = json.loads(
        Authenticator(HERE.url).create(passkeys.creation_options(session, HERE, ann, OWNER))
    )
    values = [None, 1, [], {}, "", "!", "AA", b64url(secrets.token_bytes(40)), "é"]
    for answer in (whole, made):
        for place, name in [(None, key) for key in answer] + [
            ("response", key) for key in answer["response"]
        ]:
            if name in {"clientExtensionResults", "transports"}:
                continue
            for value in values:
                changed = json.loads(json.dumps(answer))
                (changed if place is None else changed[place])[name] = value
                claim = Claim(OWNER, json.dumps(changed))
                assert passkeys.prove(session, HERE, claim).reason, (name, value)
                with pytest.raises(RefusedAnswerError):
                    passkeys.add(session, HERE, ann, claim, "x")
    assert len(passkeys.list_of(session, ann.id)) == 1


def test_bytes_that_were_cut_or_flipped_are_refused_and_never_an_error(session, ann):
    device = add(session, ann)
    options = passkeys.creation_options(session, HERE, ann, OWNER)
    made = json.loads(Authenticator(HERE.url).create(options, fmt="packed"))
    used = json.loads(device.get(passkeys.request_options(session, HERE, OWNER)))
    for answer, name in ((made, "attestationObject"), (used, "authenticatorData")):
        whole = from_b64url(answer["response"][name])
        cut = [whole[:size] for size in range(0, len(whole), 7)]
        flipped = [
            whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :] for at in range(len(whole))
        ]
        for changed in [*cut, *flipped]:
            answer["response"][name] = b64url(changed)
            claim = Claim(OWNER, json.dumps(answer))
            assert passkeys.prove(session, HERE, claim).reason
            with pytest.raises(RefusedAnswerError):
                passkeys.add(session, HERE, ann, claim, "x")
    assert len(passkeys.list_of(session, ann.id)) == 1


def test_the_last_use_is_kept(session, ann, clock):
    device = add(session, ann)
    clock.shift(60)
    assert sign_in(session, device).reason is None
    session.expire_all()
    (row,) = session.scalars(select(Passkey))
    assert row.last_used_at == wall.now()
    assert row.created_at == wall.now() - timedelta(seconds=60)
