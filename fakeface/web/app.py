"""The page's server: it keeps nothing of a photo, loads nothing from elsewhere, and says no in one line."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from fakeface.core.cores import available_cores
from fakeface.detector import Detector
from fakeface.photos.images import ImageError
from fakeface.predictor import decode_photo, judge
from fakeface.web.about import About
from fakeface.web.examples import EXAMPLES, example
from fakeface.web.judged import judged
from fakeface.web.words import LANGUAGES, WORDS, Language, preferred_language, reason_in

MAX_BYTES, MAX_PIXELS = 20_000_000, 50_000_000
HERE = Path(__file__).parent
POLICY = ("default-src 'self'", "object-src 'none'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'")
HEADERS = {
    "Content-Security-Policy": "; ".join(POLICY),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
TOO_LARGE, NO_PHOTO, FROM_ELSEWHERE = 413, 422, 403


def new_app(detectors: dict[str, Detector], about: About, allowed_hosts: Sequence[str]) -> Starlette:
    """The detectors should run on one thread each: every core judges a photo of its own."""
    app = Starlette(
        routes=[
            Route("/", page),
            Route("/card", card),
            Route("/judge", judge_photo, methods=["POST"]),
            Route("/examples/{number:int}.jpg", drawn_face),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ],
        middleware=[
            Middleware(BaseHTTPMiddleware, dispatch=guarded),
            Middleware(TrustedHostMiddleware, allowed_hosts=list(allowed_hosts), www_redirect=False),
        ],
    )
    app.state.detectors, app.state.about = detectors, about
    # Threads that last: the face finder's networks belong to a thread, and memory stays flat.
    app.state.executor = ThreadPoolExecutor(available_cores(), "judge")
    app.state.templates = Environment(loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined)
    return app


async def guarded(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """No other site may send photos here through a visitor's browser, nor read, frame or feed this page."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none") and request.method != "GET":
        return JSONResponse({"error": "asked by another site"}, FROM_ELSEWHERE)
    response = await call_next(request)
    response.headers.update(HEADERS)
    return response


async def page(request: Request) -> Response:
    state, language = request.app.state, language_of(request)
    is_sample = any(detector.is_sample for detector in state.detectors.values())
    facts = {"is_sample": is_sample, "examples": range(len(EXAMPLES)), "max_bytes": MAX_BYTES}
    return rendered(request, "page.html.jinja", language, facts)


async def card(request: Request) -> Response:
    """The models' card; nothing in it is taken for HTML but what Markdown makes."""
    html = MarkdownIt("commonmark", {"html": False}).enable("table").render(request.app.state.about.card)
    return rendered(request, "card.html.jinja", language_of(request), {"card": html})


async def drawn_face(request: Request) -> Response:
    number = request.path_params["number"]
    return Response(example(number), media_type="image/jpeg") if number < len(EXAMPLES) else Response(status_code=404)


async def judge_photo(request: Request) -> Response:
    """The photo's bytes as they are -> JSON: the faces in it, or one line that says why there are none."""
    language = language_of(request)
    data = await body_within(request, MAX_BYTES)
    if data is None:
        return refusal(language, f"more than {MAX_BYTES:,} bytes", TOO_LARGE)
    whole = request.query_params.get("whole") == "1"
    work = asyncio.get_running_loop().run_in_executor(
        request.app.state.executor, answer, data, request.app.state, language, whole
    )
    try:
        return JSONResponse(await work)
    except ImageError as error:
        return refusal(language, error.reason, NO_PHOTO)


def answer(data: bytes, state: Any, language: Language, whole: bool) -> dict[str, Any]:  # noqa: FBT001 - by position, in a thread
    photo = decode_photo(data, "photo", MAX_PIXELS)
    return judged(photo, judge(photo, state.detectors, whole=whole), state.detectors, state.about, language)


async def body_within(request: Request, limit: int) -> bytes | None:
    """The body, or None of one that says, or turns out, to be longer: no more of it is read."""
    if int(request.headers.get("content-length", 0)) > limit:
        return None
    data = bytearray()
    try:
        async for chunk in request.stream():
            data += chunk
            if len(data) > limit:
                return None
    except ClientDisconnect:
        return b""
    return bytes(data)


def refusal(language: Language, reason: str, status: int) -> Response:
    return JSONResponse({"error": WORDS[language]["failed"].format(reason=reason_in(language, reason))}, status)


def language_of(request: Request) -> Language:
    return preferred_language(request.query_params, request.headers.get("accept-language", ""))


def rendered(request: Request, template: str, language: Language, facts: dict[str, Any]) -> Response:
    words = {"words": WORDS[language], "language": language, "languages": LANGUAGES}
    html = request.app.state.templates.get_template(template).render(words | facts)
    return HTMLResponse(html, headers={"Content-Language": language, "Vary": "Accept-Language"})
