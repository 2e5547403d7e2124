"""The rules about publications: what may go to the gateway, and in which order."""

from __future__ import annotations

from idp.publishing.gateway.announcements import announce as announce
from idp.publishing.gateway.service.comparing import compare as compare
from idp.publishing.gateway.service.comparing import compare_all as compare_all
from idp.publishing.gateway.service.comparing import kind as kind
from idp.publishing.gateway.service.describing import Source as Source
from idp.publishing.gateway.service.describing import publish as publish
from idp.publishing.gateway.service.describing import revise as revise
from idp.publishing.gateway.service.drafting import Note as Note
from idp.publishing.gateway.service.drafting import Preview as Preview
from idp.publishing.gateway.service.drafting import carry_out_draft as carry_out_draft
from idp.publishing.gateway.service.drafting import check_draft as check_draft
from idp.publishing.gateway.service.drafting import get_draft as get_draft
from idp.publishing.gateway.service.drafting import preview_draft as preview_draft
from idp.publishing.gateway.service.listing import list_products as list_products
from idp.publishing.gateway.service.listing import list_servers as list_servers
from idp.publishing.gateway.service.listing import select_publications as select_publications
from idp.publishing.gateway.service.listing import select_unpublished as select_unpublished
from idp.publishing.gateway.service.planning import PublishRequest as PublishRequest
from idp.publishing.gateway.service.planning import Switch as Switch
from idp.publishing.gateway.service.planning import add_release as add_release
from idp.publishing.gateway.service.planning import add_version as add_version
from idp.publishing.gateway.service.planning import change_release as change_release
from idp.publishing.gateway.service.planning import get_version as get_version
from idp.publishing.gateway.service.planning import go_online as go_online
from idp.publishing.gateway.service.planning import remove_release as remove_release
from idp.publishing.gateway.service.planning import split as split
from idp.publishing.gateway.service.planning import switch as switch
from idp.publishing.gateway.service.settling import Plan as Plan
from idp.publishing.gateway.service.settling import carry_out as carry_out
from idp.publishing.gateway.service.settling import live as live
from idp.publishing.gateway.service.settling import repair as repair
from idp.publishing.gateway.service.settling import repair_job as repair_job
from idp.publishing.gateway.service.settling import retry_job as retry_job
from idp.publishing.gateway.service.settling import watch as watch
from idp.publishing.gateway.tables import document as document
from idp.publishing.gateway.tables import everything as everything
from idp.publishing.gateway.tables import find as find
from idp.publishing.gateway.tables import find_by_suffix as find_by_suffix
