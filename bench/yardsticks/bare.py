"""A server like ours around next to nothing: `bare.py flask|wsgi|sqlalchemy PORT WORKERS`.

The same processes, connections and bridge, as many workers and threads; only the application
differs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import partial
from socket import socket
from typing import Any

from idp.platform.web.requests import read_all
from idp.platform.web.visit import Request, Sent
from idp.server import listeners
from idp.server.bridge import Bridge
from idp.server.process import Ready, Server, serve

THREADS = 8
BODY = b'{"status":"ok","message":"as little as an application can answer"}'


def work(kind: str, listener: socket, ready: Ready) -> None:
    """Build the application and serve, in a worker process."""
    application = {"flask": flask, "sqlalchemy": sqlalchemy, "wsgi": lambda: wsgi}[kind]()
    serve(Bridge(OnThreads(application), threads=THREADS, storage=no_storage), listener, ready)


class OnThreads:
    """A WSGI application as the bridge serves one: every request on a thread."""

    def __init__(self, application: Any) -> None:
        self._application = application

    def start(self, _request: Request, _storage: Any) -> None:
        """Return None: nothing is answered on the loop."""

    def answer_on_thread(self, _request: Request, environ: dict[str, Any]) -> Sent:
        """Answer a request."""
        answer: list[Any] = []

        def start_response(line: str, headers: Any, _error: Any = None) -> None:
            answer[:] = [int(line[:3]), headers]

        body = read_all(self._application(environ, start_response))
        status, headers = answer
        return status, headers, body


def no_storage(_threads: Any) -> Any:
    """Return no storage: nothing is answered on the loop."""


def wsgi(_environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer JSON, without any framework."""
    start_response(
        "200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(BODY)))]
    )
    return (BODY,)


def flask() -> Any:
    """Make a Flask application with one view."""
    from flask import Flask, jsonify

    app = Flask("bare")

    @app.get("/")
    def view() -> Any:
        return jsonify(status="ok", message="as little as an application can answer")

    return app


def sqlalchemy() -> Any:
    """Make a Flask application with SQLAlchemy and one table."""
    from flask import Flask, jsonify
    from flask_sqlalchemy import SQLAlchemy
    from sqlalchemy import Column, Integer, Table, select
    from sqlalchemy.orm import DeclarativeBase

    class Base(DeclarativeBase):
        pass

    class Thing(Base):
        __table__ = Table("thing", Base.metadata, Column("id", Integer, primary_key=True))

    app = Flask("bare")
    app.config["SQLALCHEMY_DATABASE_URI"] = sys.argv[4]
    db = SQLAlchemy(app, model_class=Base)
    with app.app_context():
        db.create_all()

    @app.get("/")
    def view() -> Any:
        return jsonify(count=len(db.session.scalars(select(Thing)).all()))

    return app.wsgi_app


if __name__ == "__main__":
    port, workers = int(sys.argv[2]), int(sys.argv[3])
    sockets = listeners.listen(
        "127.0.0.1", port, workers, overlap=False, otherwise="choose another"
    )
    sys.exit(Server(sockets, partial(work, sys.argv[1])).run())
