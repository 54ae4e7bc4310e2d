"""The tools as a coding agent sees them: a real client of the protocol, in this process and over standard input."""

import asyncio
import json
import os
import sys
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.core.cache import cache
from mcp import Client as McpClient
from mcp import StdioServerParameters

from speedproof import Client
from speedproof.mcp_server import build
from tests.conftest import ROOT
from tests.factories import make_implementation, make_measurement, make_run, make_verdict


class Canned:
    """A server that knows one paper; nothing of it is asked in another thread's database."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers

    @contextmanager
    def client(self, *, may_write: bool = False) -> Any:
        def answer(request: httpx.Request) -> httpx.Response:
            body = self.answers.get(request.url.path)
            return httpx.Response(200, json=body) if body else httpx.Response(404, json={"detail": "No such thing."})

        with Client("http://x", transport=httpx.MockTransport(answer)) as made:
            yield made


def wait_for(answer: Coroutine[Any, Any, Any]) -> Any:
    """In a thread of its own: while a browser is open, this one's event loop runs already."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(asyncio.run, answer).result()


def call(server: Any, tool: str, /, **given: Any) -> Any:
    async def ask() -> Any:
        async with McpClient(server) as client:
            return await client.call_tool(tool, given)

    return wait_for(ask())


def tools_of(server: Any) -> dict[str, Any]:
    async def ask() -> Any:
        async with McpClient(server) as client:
            return await client.list_tools()

    return {tool.name: tool for tool in wait_for(ask()).tools}


def answers_for_a_paper() -> dict[str, Any]:
    from rest_framework.test import APIClient

    cache.clear()
    implementation = make_implementation()
    run = make_run(implementation)
    make_measurement(run)
    make_verdict(implementation.paper.claims.get(), run)
    paths = [
        f"/api/v1/papers/{implementation.paper.slug}",
        f"/api/v1/implementations/{implementation.name}/measured",
        f"/api/v1/implementations/{implementation.name}",
    ]
    return {path: APIClient().get(path).json() for path in paths}


def test_the_tools_say_what_they_take() -> None:
    tools = tools_of(build(Canned({})))
    assert set(tools) == {"search", "show", "recommend", "verify"}
    assert tools["search"].input_schema["properties"]["limit"]["maximum"] == 50
    assert tools["verify"].annotations.read_only_hint is False
    assert tools["show"].annotations.read_only_hint is True


@pytest.mark.django_db
def test_figures_say_what_kind_of_evidence_they_are() -> None:
    answers = answers_for_a_paper()
    paper = next(iter(answers.values()))
    told = call(build(Canned(answers)), "show", name=paper["slug"]).structured_content
    claim = told["claims"][0]
    assert (claim["evidence"], claim["verdict"]["evidence"]) == ("claimed", "measured")
    assert told["measured"][0]["evidence"] == "measured"
    assert told["measured"][0]["decides_claims"] is True


def test_bad_input_and_unknown_names_are_errors_that_the_agent_can_read() -> None:
    server = build(Canned({}))
    assert call(server, "search", words="x", limit=1000).is_error
    unknown = call(server, "show", name="nothing")
    assert unknown.is_error
    assert "No such thing" in unknown.content[0].text


def test_it_speaks_over_standard_input_and_output(tmp_path: Path) -> None:
    """The command itself, as an agent starts it; its server is not there, and it says so instead of dying."""
    environment = {**os.environ, "SPEEDPROOF_SERVER": "http://127.0.0.1:9", "SPEEDPROOF_TOKEN": "sp_secret"}
    parameters = StdioServerParameters(
        command=sys.executable, args=["-m", "speedproof", "mcp"], env=environment, cwd=str(ROOT)
    )
    assert set(tools_of(parameters)) == {"search", "show", "recommend", "verify"}
    refused = call(parameters, "verify", implementation="x")
    assert refused.is_error
    assert "does not answer" in refused.content[0].text
    assert "sp_secret" not in json.dumps(refused.content[0].text)
