"""The rules about APIs, their scopes and secrets, and identity resources."""

from __future__ import annotations

from idp.directory.resources.service.apis import NewApi as NewApi
from idp.directory.resources.service.apis import add_api as add_api
from idp.directory.resources.service.apis import add_scope as add_scope
from idp.directory.resources.service.apis import add_secret as add_secret
from idp.directory.resources.service.apis import change_api as change_api
from idp.directory.resources.service.apis import create_api as create_api
from idp.directory.resources.service.apis import delete_api as delete_api
from idp.directory.resources.service.apis import find_api as find_api
from idp.directory.resources.service.apis import get_api as get_api
from idp.directory.resources.service.apis import in_reach as in_reach
from idp.directory.resources.service.apis import link_owner as link_owner
from idp.directory.resources.service.apis import published_scopes as published_scopes
from idp.directory.resources.service.apis import replace_api as replace_api
from idp.directory.resources.service.apis import scopes_for_clients as scopes_for_clients
from idp.directory.resources.service.apis import select_apis as select_apis
from idp.directory.resources.service.apis import set_properties as set_properties
from idp.directory.resources.service.apis import spec_of as spec_of
from idp.directory.resources.service.identities import add_identity as add_identity
from idp.directory.resources.service.identities import create_identity as create_identity
from idp.directory.resources.service.identities import delete_identity as delete_identity
from idp.directory.resources.service.identities import get_identity as get_identity
from idp.directory.resources.service.identities import replace_identity as replace_identity
from idp.directory.resources.service.identities import select_identities as select_identities
from idp.directory.resources.service.writing import NewScope as NewScope
