"""Adapts the pages to their backend: a sandbox file, or any Kafka cluster.

A backend reports its capabilities, and whether it is read-only. This module handles both for all pages: a request for a
missing feature gets the reason, a change to a read-only backend is refused, and the forms that would send one are
disabled with the reason. `REQUIRED` names the feature that a page needs.
"""

from collections.abc import Callable
from typing import TypeVar, cast

from flask import Flask, Response, current_app, g, request
from markupsafe import Markup

from sandbox.web import guard
from sandbox.web.backend import Backend
from sandbox.web.responses import ALL, backend, by_htmx, capabilities, data, fragment, page, wants_data

View = TypeVar("View", bound=Callable[..., object])

REQUIRED = {
    "sql": "sql",
    "snapshots": "snapshots",
    "activity": "activity",
    "groups": "groups",
    "schemas": "schema_registry",
    "schemas_changes": "schema_registry",
    "cluster.faults_json": "faults",
    "cluster.inject": "faults",
    "cluster.remove": "faults",
    "cluster.clear": "faults",
    "cluster.ask": "stop_brokers",
    "cluster.ask_json": "stop_brokers",
    "cluster.change": "stop_brokers",
    "cluster.move_leader": "move_leaders",
    "groups.groups_share": "share_groups",
    "groups.groups_alerts": "alerts",
}
"""The feature that a blueprint or an endpoint needs, by its name in `Capabilities`."""
MISSING = "Not here"
READ_ONLY = "Nothing was changed"
_HARMLESS = "_changes_nothing"


def changes_nothing(view: View) -> View:
    """Mark a view that accepts POST but changes nothing in the backend: a preview, or a setting of this browser."""
    setattr(view, _HARMLESS, True)
    return view


def why_not(feature: str) -> str | None:
    """Return why the backend lacks a feature, as a sentence with the way out; None if it has the feature.

    Args:
        feature: a field of `Capabilities`.
    """
    return capabilities().why_not(feature)


def page_reason(name: str) -> str | None:
    """Return why a blueprint's pages, or an endpoint, cannot be shown; None if they can."""
    return why_not(REQUIRED[name]) if name in REQUIRED else None


def trouble() -> str | None:
    """Return the current problem with the file or its disk, with the way out; None if there is none."""
    return backend().trouble


def read_only() -> str | None:
    """Return why changes are refused, as a sentence with the way out; None if they are allowed."""
    return backend().read_only


def default_settings() -> dict[str, str]:
    """Return the default value of each topic setting, read once per request."""
    if "default_settings" not in g:
        g.default_settings = backend().logs.default_settings()
    return cast("dict[str, str]", g.default_settings)


def guard_features(app: Flask, shown: Backend) -> None:
    """Make an application refuse requests for features that its backend lacks, and changes if it is read-only.

    Args:
        app: the application.
        shown: its backend.
    """
    app.jinja_env.globals.update(
        can=capabilities,
        why_not=why_not,
        read_only=read_only,
        changes=changes,
        trouble=trouble,
        default_settings=default_settings,
    )

    @app.before_request
    def check() -> Response | None:
        if request.endpoint is None:
            return None
        missing = page_reason(request.endpoint) or page_reason(request.blueprint or "")
        if missing:
            return _answer(MISSING, missing, "UNSUPPORTED_VERSION", absent=True)
        changing = request.method not in guard.SAFE_METHODS
        if changing and shown.read_only and not hasattr(current_app.view_functions[request.endpoint], _HARMLESS):
            return _answer(READ_ONLY, shown.read_only, "POLICY_VIOLATION", absent=False)
        return None


def _answer(title: str, text: str, code: str, *, absent: bool) -> Response:
    """Answer a page request for a missing feature with a page, and a request for data or a change with an error."""
    refused = 501 if absent else 403
    if wants_data():
        answer = data({"error": code, "message": text})
        answer.status_code = refused
        return answer
    if by_htmx():
        return fragment("shell/_refusal.html", refused, title=title, text=text, code="")
    status = 200 if absent and request.method in guard.SAFE_METHODS else refused
    return page("shell/absent", ALL, status, title=title, text=text)


def changes(says: bool = False, *, caller: Callable[[], Markup]) -> Markup:
    """Return the content of a form that changes something: disabled, with the reason, if the backend is read-only.

    Templates write `{% call changes() %}` around it.

    Args:
        says: the reason is shown below the form. A small form, such as a button in a row, has it in its title only.
        caller: the content.
    """
    reason = read_only()
    if not reason:
        return caller()
    why = Markup('<p class="hint off-why">Off: {}</p>').format(reason) if says else Markup()
    return Markup('<fieldset class="off" disabled title="{}">{}</fieldset>{}').format(reason, caller(), why)
