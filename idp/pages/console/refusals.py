"""Refusals of services in forms: each sentence beside its field, or above the form."""

from __future__ import annotations

from collections.abc import Mapping

from idp.pages import messages
from idp.pages.form import Form
from idp.platform.errors import Problem


def add(form: Form, problem: Problem, fields: Mapping[str, str]) -> None:
    """Add a refusal to a form; `fields` has the form's names of the fields of the service."""
    for path, texts in (problem.fields or {"": [problem.detail]}).items():
        name = fields.get(path.partition("[")[0])
        for text in texts:
            form.refuse(
                messages.translate(text), name if name is not None and name in form else None
            )
