"""The Flask application: one blueprint per object type, and what all responses have in common."""

import json
from collections.abc import Collection
from contextlib import ExitStack
from typing import Any
from urllib.parse import quote

from flask import Flask, Response, current_app, g, request
from htmx_flask import Htmx
from werkzeug.exceptions import HTTPException
from werkzeug.local import LocalProxy

from sandbox.kafka.errors import BrokerError, ClusterAway
from sandbox.model.cancellation import Cancelled
from sandbox.model.proxy import NO_PROXY, Proxy
from sandbox.model.registry import TYPE_NAMES
from sandbox.version import __version__
from sandbox.web import activity, capabilities, compression, guard, notices, programs, rows, zone
from sandbox.web import formats as words
from sandbox.web import responses as page
from sandbox.web.activity import mark_text, rebalance_text
from sandbox.web.assets import Assets, asset_folder
from sandbox.web.backend import Backend
from sandbox.web.cluster import views as cluster
from sandbox.web.decoding import decoded_key, decoded_value
from sandbox.web.groups import views as groups
from sandbox.web.groups.listing import firing_count, group_status
from sandbox.web.help import views as help
from sandbox.web.lanes import BODY_MAX_BYTES
from sandbox.web.map import views as topology
from sandbox.web.messages import copies as messages_copies
from sandbox.web.messages import event as messages_event
from sandbox.web.messages import views as messages
from sandbox.web.messages.table import MARKS_MAX, cells_of
from sandbox.web.payload import describe, header_name
from sandbox.web.playground import views as playground
from sandbox.web.produce import generators
from sandbox.web.produce import many as produce_many
from sandbox.web.produce import views as produce
from sandbox.web.schemas import changes as schemas_changes
from sandbox.web.schemas import views as schemas
from sandbox.web.shell import views as shell
from sandbox.web.snapshots import views as snapshots
from sandbox.web.sql import views as sql
from sandbox.web.topics import cleaning as topics_cleaning
from sandbox.web.topics import deserializers
from sandbox.web.topics import selected as topics_selected
from sandbox.web.topics import settings as topics_settings
from sandbox.web.topics import views as topics

AWAY_RETRY_S = 2
PATH_SHOWN_MAX = 200
NOT_FOUND = ("UNKNOWN_TOPIC_OR_PARTITION", "GROUP_ID_NOT_FOUND", "OFFSET_OUT_OF_RANGE", "RESOURCE_NOT_FOUND")


def create_app(
    backend: Backend, *, hosts: Collection[str] = (), token: str | None = None, proxy: Proxy = NO_PROXY
) -> Flask:
    """Create the application.

    Args:
        backend: the sandbox to show.
        hosts: addresses that the server listens on, in addition to loopback.
        token: the token that every request must carry, None if no token is required.
        proxy: the reverse proxy between browsers and the page.
    """
    static = asset_folder("static")
    app = Flask("sandbox", template_folder=str(asset_folder("templates")), static_folder=str(static))
    app.config.update(
        MAX_CONTENT_LENGTH=BODY_MAX_BYTES, MAX_FORM_MEMORY_SIZE=BODY_MAX_BYTES, SEND_FILE_MAX_AGE_DEFAULT=86400
    )
    app.extensions.update(backend=backend, token=token, proxy=proxy, assets=Assets(static, hosts, token, proxy))
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    Htmx(app)
    for noun in (
        topics,
        topics_settings,
        topics_cleaning,
        deserializers,
        topics_selected,
        messages,
        messages_event,
        messages_copies,
        produce,
        produce_many,
        generators,
        groups,
        playground,
        cluster,
        topology,
        schemas,
        schemas_changes,
        sql,
        activity,
        snapshots,
        help,
        shell,
    ):
        app.register_blueprint(noun.blueprint)
    compression.compress_answers(app)
    guard.guard_access(app, hosts, token, proxy)
    capabilities.guard_features(app, backend)
    _one_view(app, backend)
    _valid_text(app)
    _other_formats(app)
    rows.keep_rows(app)
    notices.keep_notices(app)
    _words(app)
    app.register_error_handler(BrokerError, _refused)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(RecursionError, _too_deep)
    app.register_error_handler(Cancelled, _stopped)
    app.register_error_handler(Exception, _failed)
    return app


def _other_formats(app: Flask) -> None:
    """Treat `?format=json` as `.json` after the path, if that is a separate route."""
    pages = {rule.rule: rule.endpoint for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ())}

    @app.before_request
    def twin() -> Any:
        if request.url_rule is None or request.method not in guard.SAFE_METHODS:
            return None
        ending = page.wanted_format()
        rule = "/topics" if request.url_rule.rule == "/" else request.url_rule.rule
        endpoint = pages.get(f"{rule}.{ending}") if ending is not None else None
        return None if endpoint is None else app.ensure_sync(app.view_functions[endpoint])(**request.view_args or {})


def _valid_text(app: Flask) -> None:
    """Refuse JSON with half of a surrogate pair: it is no Unicode, and can be neither stored nor shown."""

    @app.before_request
    def check() -> Response | None:
        if not request.is_json or b"\\ud" not in request.get_data().lower():
            return None
        try:
            json.dumps(request.get_json(silent=True), ensure_ascii=False).encode()
        except UnicodeEncodeError:
            answer = page.data({"error": "INVALID_REQUEST", "message": "A text of the JSON is not valid Unicode."})
            answer.status_code = 400
            return answer
        return None


def _one_view(app: Flask, backend: Backend) -> None:
    """Read all figures of a page in one read transaction."""

    @app.before_request
    def begin() -> None:
        zone.choose(request.cookies.get(zone.COOKIE, ""))
        if request.method in guard.SAFE_METHODS and not request.path.startswith("/static/"):
            g.view = ExitStack()
            g.view.enter_context(backend.one_view())
        if page.is_live():
            rows.keep_pieces()

    @app.teardown_request
    def end(error: BaseException | None) -> None:
        if "view" in g:
            g.pop("view").close()


def _words(app: Flask) -> None:
    for function in (
        words.number,
        words.size,
        words.at,
        words.clock,
        words.to_second,
        words.ago,
        words.duration,
        words.plural,
        words.percent,
        words.rate,
        mark_text,
        rebalance_text,
    ):
        app.jinja_env.filters[function.__name__] = function
    app.jinja_env.filters["payload"] = describe
    app.jinja_env.filters["cells"] = cells_of
    app.jinja_env.filters["decoded_key"] = decoded_key
    app.jinja_env.filters["decoded_value"] = decoded_value
    app.jinja_env.filters["header_name"] = lambda name: describe(header_name(name))
    app.jinja_env.globals.update(
        type_names=TYPE_NAMES,
        asset=app.extensions["assets"].address,
        data_address=page.data_address,
        excel_address=page.excel_address,
        demo=page.demo,
        faults_in_force=page.faults_in_force,
        alerts_firing=firing_count,
        group_address=page.group_address,
        group_status=group_status,
        marks_max=MARKS_MAX,
        path_base=app.extensions["proxy"].base,
        snippet=programs.snippet,
        programs=programs.programs,
        undo_notice=snapshots.undo_notice,
        version=__version__,
        zone=LocalProxy(zone.label),
        zone_name=zone.chosen,
        theme=shell.theme,
    )


def _answer(status: int, title: str, text: str, code: str = "", **more: Any) -> Response:
    if page.wants_data():
        answer = page.data({"error": code or title, "message": text})
        answer.status_code = status
        return answer
    if page.by_htmx() and not page.is_live():
        return page.fragment("shell/_refusal.html", status, title=title, text=text, code=code)
    return page.page("shell/error", page.ALL, status, title=title, text=text, code=code, **more)


def _refused(error: BrokerError) -> Response:
    if isinstance(error, ClusterAway):
        return _away(error)
    name = error.error.name
    if name == "KAFKA_STORAGE_ERROR":
        return _storage_failed(error)
    missing = name in NOT_FOUND
    status = 404 if missing else 409 if name in ("TOPIC_ALREADY_EXISTS", "NON_EMPTY_GROUP") else 400
    return _answer(status, error.error.text.rstrip("."), error.detail, name)


def _storage_failed(error: BrokerError) -> Response:
    try:
        return _answer(503, "The file cannot be used now", error.detail, error.error.name)
    except BrokerError:
        # The file can't be read either, and an error page would read it.
        return Response(f"{error.detail}\n", 503, content_type="text/plain; charset=utf-8")


def _away(error: ClusterAway) -> Response:
    """Answer that the cluster is away. An open tab retries by itself; a page loaded meanwhile reloads itself."""
    answer = _answer(503, "The cluster does not answer", error.detail)
    g.interest = page.Interest(None, None, AWAY_RETRY_S)
    if not page.is_live() and request.method in guard.SAFE_METHODS:
        answer.headers["Refresh"] = str(AWAY_RETRY_S)
    return answer


def _http_error(error: HTTPException) -> Response:
    status = error.code or 500
    if status in range(300, 400):
        return Response("", status, headers=list(error.get_headers()))
    titles = {404: "There is no such page", 413: "That is too large", 405: "That is not done here"}
    path = quote(request.path)[:PATH_SHOWN_MAX]
    texts = {
        404: f"There is no page at {path}. Start from Topics or Groups, or search for a name.",
        413: f"The page takes at most {words.size(BODY_MAX_BYTES)} at once. Use the command line for larger input.",
        405: f"{path} does not take {request.method}.",
    }
    return _answer(status, titles.get(status, error.name), texts.get(status, error.description or error.name))


def _too_deep(error: RecursionError) -> Response:
    return _answer(400, "That is nested too deeply", "JSON may have some hundred levels here.", "INVALID_REQUEST")


def _stopped(error: Cancelled) -> Response:
    """Answer a request that was cancelled: its client has gone, or the sandbox is closing. Plain text, because a page
    would read the file again.
    """
    return Response(f"{error}\n", 503, content_type="text/plain; charset=utf-8")


def _failed(error: Exception) -> Response:
    cause = f"{type(error).__name__}: {error}"
    current_app.logger.exception("the page %r failed", request.path)
    try:
        return _answer(500, "The page failed", f"This is a defect of the sandbox, not of your program. {cause}")
    except Exception:
        return Response(f"The sandbox cannot be read: {cause}\n", 500, content_type="text/plain; charset=utf-8")
