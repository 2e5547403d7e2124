"""Claims of the scopes profile, email, phone and address (OpenID Connect Core 5.1)."""

from __future__ import annotations

from idp.claims.subject import Subject
from idp.directory.users import names


def name(subject: Subject) -> str:
    """Full name for display."""
    return names.displayed(subject.user)


def given_name(subject: Subject) -> str | None:
    """Given name."""
    return subject.user.given_name


def family_name(subject: Subject) -> str | None:
    """Family name."""
    return subject.user.family_name


def middle_name(subject: Subject) -> str | None:
    """Middle name."""
    return subject.user.middle_name


def nickname(subject: Subject) -> str | None:
    """Casual name."""
    return subject.user.nick_name


def preferred_username(subject: Subject) -> str:
    """Name the person signs in with."""
    return subject.user.username


def profile(subject: Subject) -> str | None:
    """Address of a page about the person."""
    return subject.user.profile


def website(subject: Subject) -> str | None:
    """Address of the person's own site."""
    return subject.user.website


def picture(subject: Subject) -> str | None:
    """Address of the portrait."""
    return subject.user.avatar


def gender(subject: Subject) -> str | None:
    """Gender as entered by the person."""
    return subject.user.gender


def birthdate(subject: Subject) -> str | None:
    """Birthday as YYYY-MM-DD."""
    return subject.user.birthday.isoformat() if subject.user.birthday else None


def zoneinfo(subject: Subject) -> str | None:
    """Time zone of the tz database."""
    return subject.user.zoneinfo


def locale(subject: Subject) -> str | None:
    """Language tag."""
    return subject.user.locale


def updated_at(subject: Subject) -> int:
    """Seconds since the epoch of the last change."""
    return int(subject.user.updated_at.timestamp())


def email(subject: Subject) -> str | None:
    """E-mail address."""
    return subject.user.email


def email_verified(subject: Subject) -> bool | None:
    """Whether the address was verified."""
    return subject.user.email_verified if subject.user.email else None


def phone_number(subject: Subject) -> str | None:
    """Mobile number in E.164."""
    return subject.user.mobile


def phone_number_verified(subject: Subject) -> bool | None:
    """Whether the number was verified."""
    return subject.user.mobile_verified if subject.user.mobile else None


def address(subject: Subject) -> dict[str, str] | None:
    """Postal address (OpenID Connect Core 5.1.1)."""
    return {"formatted": subject.user.address} if subject.user.address else None
