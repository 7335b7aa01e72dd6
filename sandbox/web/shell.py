"""What surrounds the pages: search, help, theme, and the demo's switch."""

from urllib.parse import urlsplit

from flask import Blueprint, Response, request
from werkzeug.wrappers import Response as AnyResponse

from sandbox.errors import BrokerError
from sandbox.web.page import backend, by_htmx, data, demo, fragment, group_address, page, see

blueprint = Blueprint("shell", __name__)

THEMES = ("auto", "light", "dark")
FOUND_MAX = 50


def theme() -> str:
    """The theme that this browser chose: auto, light or dark."""
    chosen = request.cookies.get("theme", "auto")
    return chosen if chosen in THEMES else "auto"


def _here() -> str:
    """The page that a form was sent from, as a path of this server."""
    address = urlsplit(request.referrer or "/")
    path = "/" + address.path.lstrip("/\\")
    return path + (f"?{address.query}" if address.query else "")


@blueprint.post("/theme")
def choose_theme() -> AnyResponse:
    """Remember a theme."""
    chosen = request.form.get("theme", "auto")
    answer = see(_here())
    answer.set_cookie("theme", chosen if chosen in THEMES else "auto", max_age=31_536_000, samesite="Strict")
    return answer


@blueprint.get("/search")
def search() -> Response:
    """Topics and groups whose name contains what is asked for."""
    wanted = request.args.get("q", "").strip()
    found: list[tuple[str, str, str]] = []
    if wanted:
        low = wanted.lower()
        found = [("topic", t.topic, f"/topics/{t.topic}") for t in backend().topics() if low in t.topic.lower()]
        found += [("group", g.group, group_address(g.group)) for g in backend().groups() if low in g.group.lower()]
    if by_htmx():
        return fragment("shell/_found.html", wanted=wanted, found=found[:FOUND_MAX], more=len(found) - FOUND_MAX)
    return page("shell/search", wanted=wanted, found=found[:FOUND_MAX], more=len(found) - FOUND_MAX)


@blueprint.get("/search.json")
def search_json() -> Response:
    """The same as data."""
    low = request.args.get("q", "").strip().lower()
    topics = [topic.topic for topic in backend().topics() if low in topic.topic.lower()]
    groups = [group.group for group in backend().groups() if low in group.group.lower()]
    return data({"topics": topics, "groups": groups})


@blueprint.get("/help")
def help_page() -> Response:
    """What is the same as Kafka, what is not, keys, and how to connect."""
    return page("shell/help")


@blueprint.post("/demo/<any(on, off, remove):what>")
def switch_demo(what: str) -> AnyResponse:
    """Switch the demo on or off, or remove its topics and groups."""
    switch = demo()
    if switch is None:
        raise BrokerError("RESOURCE_NOT_FOUND", "There is no demo here: start with `sandbox up --demo`.")
    if what == "remove":
        switch.remove()
        return see("/")
    if what == "on":
        switch.switch_on()
    else:
        switch.switch_off()
    return see(_here())
