"""The application as `flask db` needs it, which writes migrations; no server loads Alembic."""

from __future__ import annotations

from flask_migrate import Migrate

from idp.app import create_app
from idp.early_app import db
from idp.platform.files import migrations_dir

app = create_app()
Migrate(app, db, directory=str(migrations_dir()))
