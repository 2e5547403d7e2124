"""Programs that log people in: second factors, and passwords that must be changed."""

from __future__ import annotations

import pytest

from idp.api.userservice.codes import Code
from idp.directory.clients import service as clients
from idp.directory.factors import enrolment
from idp.directory.policies.models import Policy
from idp.directory.users import passwords
from idp.platform.audit.tags import Tag
from tests.api import userservice
from tests.pages.browsing import events
from tests.protocol import PASSWORD, add_authenticator, add_person, require

RIGHT = {"authenticationType": "PASSWORD", "principal": "ann", "certificate": PASSWORD}
WRONG = {**RIGHT, "certificate": "not the password"}


@pytest.fixture
def robot(client, session):
    return userservice.machine(client, session)


@pytest.mark.parametrize("path", ["/login", "/authentication"])
def test_a_program_logs_nobody_in_who_has_a_second_factor(robot, session, path):
    ann = add_person(session)
    assert robot.second("POST", path, RIGHT)["isSuccess"]
    add_authenticator(session, ann)
    assert robot.code("POST", path, RIGHT) is Code.second_factor_required
    assert robot.refused("POST", path, RIGHT) == (400, "second_factor_required", [])
    # Nobody learns it without the password.
    assert robot.code("POST", path, WRONG) is Code.bad_credential
    reasons = [event.details["reason"] for event in events(session, Tag.SIGN_IN_REFUSED)]
    assert reasons == ["second factor required"] * 2 + ["wrong password"]


@pytest.mark.settings(second_factor="required")
def test_a_program_logs_nobody_in_where_everybody_must_have_one(robot, session):
    add_person(session)
    assert robot.code("POST", "/login", RIGHT) is Code.second_factor_required


@pytest.mark.parametrize(
    "is_required",
    [pytest.param(True, marks=pytest.mark.settings(second_factor="required")), False],
)
def test_codes_that_are_sent_are_no_way_round_for_programs(robot, session, is_required):
    session.add(Policy(tenant_id=1, factors=["totp", "mail"]))
    columns = {"email": "ann@example.org", "email_verified": True}
    add_person(session, **columns)
    code = robot.code("POST", "/login", RIGHT)
    assert (code is Code.second_factor_required) is is_required


@pytest.mark.parametrize("path", ["/login", "/authentication"])
def test_an_exempt_client_logs_people_in_past_their_second_factor(robot, session, path):
    add_authenticator(session, add_person(session))
    clients.update(session, clients.get(session, "robot"), {"second_factor_exempt": True})
    session.commit()
    assert robot.second("POST", path, RIGHT)["isSuccess"]
    assert robot.code("POST", path, WRONG) is Code.bad_credential
    (event,) = events(session, Tag.ACCOUNT_AUTHENTICATED)
    assert event.details["second_factor"] == "exempt client"


def test_a_program_logs_nobody_in_who_needs_an_enrolment_code(robot, session):
    enrolment.issue(session, add_person(session).id)
    session.commit()
    assert robot.code("POST", "/login", RIGHT) is Code.second_factor_required


@pytest.mark.parametrize("path", ["/login", "/authentication"])
def test_a_program_logs_nobody_in_whose_password_must_be_changed(robot, session, path):
    add_person(session).must_change_password = True
    session.commit()
    assert robot.code("POST", path, RIGHT) is Code.password_change_required
    assert robot.refused("POST", path, RIGHT) == (400, "password_change_required", [])
    assert robot.code("POST", path, WRONG) is Code.bad_credential
    reasons = [event.details["reason"] for event in events(session, Tag.SIGN_IN_REFUSED)]
    assert reasons == ["new password required"] * 2 + ["wrong password"]


@pytest.mark.parametrize("path", ["/login", "/authentication"])
def test_a_program_logs_nobody_in_with_a_stolen_password_where_a_policy_wants_another(
    robot, session, path
):
    user = add_person(session)
    user.password_hash = passwords.make_hash("iloveyou1")
    require(session, 1, breached_at_sign_in="force")
    weak = {**RIGHT, "certificate": "iloveyou1"}
    assert robot.code("POST", path, weak) is Code.password_change_required
    require(session, 1, breached_at_sign_in="warn")
    assert robot.second("POST", path, weak)["isSuccess"]
