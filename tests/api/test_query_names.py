"""Unknown query parameters are refused: a misspelled filter must not list everything."""

from __future__ import annotations

import json
import re

import pytest

from idp.api.center.dialect import center as authorization_center
from idp.api.userservice import dialect as user_service
from tests.api import center, userservice

CENTER = [operation for operation in authorization_center.operations if not operation.page]
FIRST, SECOND = (dialect.operations for dialect in user_service.versions())


def address(operation):
    return re.sub(r"<(?:\w+:)?\w+>", "1", operation.path)


@pytest.mark.no_database
def test_each_operation_of_the_authorization_center_refuses_them(client, session):
    root = center.administrator(client, session)
    missed = []
    for operation in CENTER:
        answer = root.send(operation.method, address(operation), {}, nonsense="1")
        if operation.form == "number":  # it tells outcomes by the status alone
            named = answer.status_code == 400
        else:
            named = "Unknown parameter" in answer.get_data(as_text=True)
        if not named:
            missed.append((operation.id, answer.status_code, answer.get_data(as_text=True)[:200]))
    assert missed == []


@pytest.mark.no_database
@pytest.mark.parametrize("operations", [FIRST, SECOND], ids=["V1", "V2"])
def test_each_operation_of_the_user_service_refuses_them(client, session, operations):
    root = userservice.administrator(client, session)
    robot = userservice.machine(client, session)
    missed = []
    for operation in operations:
        path = address(operation).removeprefix("/user")
        caller = root if operation.person else robot
        answer = caller.send(operation.method, path, {}, nonsense="1")
        if "Unknown parameter" not in answer.get_data(as_text=True):
            missed.append((operation.id, answer.status_code, answer.get_data(as_text=True)[:200]))
    assert missed == []


@pytest.mark.no_database
def test_the_refusal_names_those_that_there_are(client, session):
    root = center.administrator(client, session)
    # The names of the contract are spelled exactly so.
    refused = root.refused("GET", "/Client", **{"q.clientId": "web", "culture": "en-US"})
    assert list(refused) == ["q.clientId"]
    assert "q.ClientID, q.ClientName, skip" in refused["q.clientId"][0]
    assert root.data("GET", "/Client", **{"q.ClientID": "web", "culture": "en-US"}) == []
    service = userservice.administrator(client, session, "boss")
    status, _, names = service.refused("GET", "/bundles/bundle-list", nonsense="1", other="2")
    assert (status, names) == (400, ["nonsense", "other"])


@pytest.mark.no_database
def test_a_flood_of_names_makes_no_flood_of_messages(client, session):
    root = center.administrator(client, session)
    names = {f"{'x' * 300}{number}": "1" for number in range(100)}
    refused = root.refused("GET", "/Client", **names)
    assert len(json.dumps(refused)) < 4000


@pytest.mark.no_database
def test_who_may_not_call_learns_no_names(client):
    answer = client.get("/api/Client?nonsense=1")
    assert answer.status_code == 401
    assert "ClientName" not in answer.get_data(as_text=True)
