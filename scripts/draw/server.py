"""Serves the drawing page on localhost, and blocks its other requests."""

import os
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from threading import Thread
from typing import Any
from webbrowser import open_new_tab

import gradio as gr
import uvicorn
from fastapi import FastAPI
from starlette.middleware.trustedhost import TrustedHostMiddleware

from scripts.draw.answers import UPLOAD
from src.errors import UserError

HOST, FIRST, LAST = "127.0.0.1", 7860, 7959
# Gradio evaluates the page's scripts, so unsafe-eval is needed; other hosts are not allowed.
POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:"
FONTS = ["system-ui", "sans-serif"]
Message = MutableMapping[str, Any]


class OwnHostOnly:
    """ASGI middleware that adds a Content-Security-Policy to every response."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(
        self, scope: Any, receive: Any, send: Callable[..., Awaitable[None]]
    ) -> None:
        async def with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                policy = (b"content-security-policy", POLICY.encode())
                message["headers"] = [*message.get("headers", []), policy]
            await send(message)

        await self.app(scope, receive, with_policy)


def application(page: gr.Blocks) -> FastAPI:
    """Return the page as an ASGI application."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(OwnHostOnly)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST])  # against DNS rebinding
    return gr.mount_gradio_app(
        app, page, path="/", server_name=HOST, footer_links=[], run_history=False, ssr_mode=False,
        max_file_size=UPLOAD, enable_monitoring=False, pwa=False, mcp_server=False,
        css=Path(__file__).with_name("page.css").read_text(encoding="utf-8"),
        theme=gr.themes.Default(font=FONTS, font_mono=["monospace"]),
    )  # fmt: skip


def listening(port: int | None) -> socket.socket:
    """Return a socket that listens on localhost, on the first free port if none is given."""
    for number in [port] if port is not None else range(FIRST, LAST + 1):
        try:
            return socket.create_server((HOST, number))
        except OSError as error:
            reason = os.strerror(error.errno or 0)
    place = f"--port {port}" if port is not None else f"Ports {FIRST} to {LAST}"
    raise UserError(f"{place} cannot be used: {reason}.\nGive another number with --port.")


def serve(page: gr.Blocks, port: int | None, browser: bool) -> None:
    """Serve the page until Ctrl-C."""
    with listening(port) as listener:
        address = f"http://{HOST}:{listener.getsockname()[1]}"
        print(f"Draw at {address}; press Ctrl-C to stop.", flush=True)
        if browser:
            Thread(target=open_new_tab, args=[address], daemon=True).start()
        quiet: Any = {"log_level": "critical", "timeout_graceful_shutdown": 1}
        uvicorn.Server(uvicorn.Config(application(page), **quiet)).run(sockets=[listener])
