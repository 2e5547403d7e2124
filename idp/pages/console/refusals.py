"""What services refuse, beside the fields of a form."""

from __future__ import annotations

from collections.abc import Mapping

from idp.pages.form import Form
from idp.pages.messages import translate
from idp.platform.errors import Problem


def refuse(form: Form, problem: Problem) -> None:
    """Put each reason next to the field that it speaks of, or above the form.

    Of a path such as `redirect_uris[1].redirect_uri` the list is the field.
    """
    if not problem.fields:
        form.refuse(translate(problem.detail))
    for path, texts in problem.fields.items():
        name = path.partition("[")[0]
        for text in texts:
            if name in form:
                form.refuse(translate(text), name)
            else:
                form.refuse(translate(problem.detail if len(texts) == 1 else text))


def add(form: Form, problem: Problem, fields: Mapping[str, str]) -> None:
    """Add a refusal to a form; `fields` has the form's names of the fields of the service."""
    for path, texts in (problem.fields or {"": [problem.detail]}).items():
        name = fields.get(path.partition("[")[0])
        for text in texts:
            form.refuse(translate(text), name if name is not None and name in form else None)
