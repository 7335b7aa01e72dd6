"""The frame around the pages: search, theme, and the demo's switch."""

from urllib.parse import urlsplit

from flask import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from sandbox.kafka.errors import BrokerError
from sandbox.web.capabilities import changes_nothing
from sandbox.web.notices import Notice
from sandbox.web.proxied import outer_path, the_proxy
from sandbox.web.responses import by_htmx, data, demo, fragment, page, see, undo_point
from sandbox.web.shell.search import find

blueprint = Blueprint("shell", __name__)

THEMES = ("auto", "light", "dark")
FOUND_MAX = 50


def theme() -> str:
    """Return this browser's theme: auto, light or dark."""
    chosen = request.cookies.get("theme", "auto")
    return chosen if chosen in THEMES else "auto"


def _here() -> str:
    """Return the path of the page that sent a form, on this server."""
    address = urlsplit(request.referrer or "/")
    path = the_proxy().local_path("/" + address.path.lstrip("/\\"))
    return path + (f"?{address.query}" if address.query else "")


@blueprint.post("/theme")
@changes_nothing
def choose_theme() -> AnyResponse:
    """Store this browser's theme."""
    chosen = request.form.get("theme", "auto")
    answer = see(_here())
    answer.set_cookie("theme", chosen if chosen in THEMES else "auto", max_age=31_536_000, samesite="Strict")
    return answer


@blueprint.get("/search")
def search() -> AnyResponse:
    """The search page; the address of an event redirects to the event."""
    wanted = request.args.get("q", "").strip()
    found = find(wanted)
    if by_htmx():
        return fragment("shell/_found.html", wanted=wanted, found=found[:FOUND_MAX], more=len(found) - FOUND_MAX)
    if found and found[0].kind == "event":
        return redirect(found[0].address)
    return page("shell/search", wanted=wanted, found=found[:FOUND_MAX], more=len(found) - FOUND_MAX)


@blueprint.get("/search.json")
def search_json() -> Response:
    """The search results as JSON."""
    found = find(request.args.get("q", ""))
    return data(
        {
            "topics": [one.name for one in found if one.kind == "topic"],
            "groups": [one.name for one in found if one.kind == "group"],
            "found": [{"kind": one.kind, "name": one.name, "address": outer_path(one.address)} for one in found],
        }
    )


@blueprint.post("/demo/<any(on, off, remove):what>")
def switch_demo(what: str) -> AnyResponse:
    """Switch the demo on or off, or remove its topics and groups."""
    switch = demo()
    if switch is None:
        raise BrokerError("RESOURCE_NOT_FOUND", "There is no demo here: start with `sandbox up --demo`.")
    if what == "remove":
        point = undo_point("remove the demo")
        switch.remove()
        return see("/", Notice("the demo's topics and groups are removed", undo=point.name))
    if what == "on":
        switch.switch_on()
    else:
        switch.switch_off()
    return see(_here())
