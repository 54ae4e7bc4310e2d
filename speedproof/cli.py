"""`speedproof`: search, show, recommend, verify, watch, export and mcp, on the local database or a server."""

import csv
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn

import click
from rich.console import Console

from speedproof import show
from speedproof.client import Client
from speedproof.errors import ApiError, NotAllowed, NotFound, NotReachable, SpeedproofError, TooManyRequests

FAILED, USAGE, NOT_FOUND, NOT_ALLOWED, UNREACHABLE, NOT_PASSED, INTERRUPTED = 1, 2, 3, 4, 5, 6, 130
EXITS = """\b
exit status:
  0  done
  1  refused, or it failed; the message says why
  2  wrong usage
  3  there is no such paper, implementation or run
  4  no token, or one that does not allow it
  5  the server does not answer, is busy or broken
  6  a run ended without passing
  130  interrupted
"""
FILTERS = ("family", "modality", "stage", "hardware", "metric", "kind", "training")
EXPORTED = ("papers", "techniques", "claims", "implementations", "runs", "verdicts")


@dataclass
class Session:
    """Where requests go, and how answers are printed."""

    server: str
    token_file: Path | None
    user: str
    as_json: bool

    @contextmanager
    def client(self, *, may_write: bool = False) -> Iterator[Client]:
        token = self._token()
        if self.server:
            with Client(self.server, token) as client:
                yield client
            return
        from speedproof.local import local_client

        with local_client(may_write=may_write, user=self.user) as client:
            yield client

    def _token(self) -> str | None:
        """From a file or the environment, never from an argument: those are seen by everybody on the machine."""
        if self.token_file is None:
            return os.environ.get("SPEEDPROOF_TOKEN", "").strip() or None
        try:
            return self.token_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as fault:
            raise SpeedproofError(f"--token-file {self.token_file}: cannot be read: {fault}") from None

    def tell(self, answer: Any, table: Callable[[Console], None]) -> None:
        if self.as_json or not sys.stdout.isatty():
            click.echo(json.dumps(answer, ensure_ascii=False))
        else:
            table(Console())


@click.group(epilog=EXITS, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--server", envvar="SPEEDPROOF_SERVER", default="", metavar="URL", help="Default: the local database.")
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Holds the token of a server; else SPEEDPROOF_TOKEN does.",
)
@click.option("--user", default="", help="Who asks for runs in the local database. Default: the first operator.")
@click.option("--json", "as_json", is_flag=True, help="JSON also on a terminal; elsewhere it is JSON anyway.")
@click.pass_context
def cli(context: click.Context, server: str, token_file: Path | None, user: str, as_json: bool) -> None:
    """ML-efficiency techniques: what their papers claim, and what was measured.

    \b
    speedproof search "long context" --family kv-cache
    speedproof --server https://speedproof.example show flash-attention-2
    """
    context.obj = Session(server, token_file, user, as_json)


def filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for name in reversed(FILTERS):
        command = click.option(f"--{name}", multiple=True, help=f"Only this {name}; may be repeated.")(command)
    return command


@cli.command()
@click.argument("words", nargs=-1)
@click.option("--like", multiple=True, metavar="PAPER", help="Slug or arXiv id that the answers shall resemble.")
@click.option("--unlike", multiple=True, metavar="PAPER", help="Slug or arXiv id that they shall not resemble.")
@click.option("--exact", is_flag=True, help="Take words as they are typed.")
@click.option("--limit", type=click.IntRange(1, 100), default=10, show_default=True)
@filter_options
@click.pass_obj
def search(session: Session, /, words: tuple[str, ...], **given: Any) -> None:
    """Find papers by words, or by papers that they shall resemble.

    \b
    speedproof search flashattention --stage inference
    speedproof search --like 2307.08691 --unlike some-slug
    """
    if not words and not given["like"]:
        raise click.UsageError("Give words to search for, or --like PAPER.")
    with session.client() as client:
        found = client.search(" ".join(words), **{n: list(v) if isinstance(v, tuple) else v for n, v in given.items()})
        session.tell(found, lambda console: show.search(console, dict(found)))


@cli.command(name="show")
@click.argument("name")
@click.pass_obj
def show_paper(session: Session, name: str) -> None:
    """A paper or implementation by name: what is claimed, and what was measured.

    \b
    speedproof show flash-attention-2
    speedproof show 2307.08691
    """
    with session.client() as client:
        try:
            found = client.paper(name)
        except NotFound:
            found = client.paper(client.implementation(name)["paper"])
        session.tell(found, lambda console: show.paper(console, dict(found)))


@cli.command()
@click.argument("need")
@click.option("--stage", type=click.Choice(["training", "fine-tuning", "inference", "search", "data"]))
@click.option("--gpu", help="Such as 'RTX 4090'.")
@click.option("--gpus", type=int)
@click.option("--model", help="Such as Llama-3-8B.")
@click.option("--batch", type=int)
@click.option("--prompt", type=int, metavar="TOKENS")
@click.option("--new-tokens", type=int, metavar="TOKENS")
@click.option("--seq", type=int, metavar="TOKENS")
@click.option("--training", type=click.Choice(["none", "calibration", "finetune", "pretrain", "any"]))
@click.option("--max-error", type=float)
@click.option("--objective", type=click.Choice(["latency", "throughput", "memory", "cost"]))
@click.option("--limit", type=click.IntRange(1), default=10, show_default=True, help="Answers in the table.")
@click.pass_obj
def recommend(session: Session, /, need: str, limit: int, **given: Any) -> None:
    """Advice for a need in plain words; options win over the words.

    \b
    speedproof recommend "one RTX 4090, Llama-3-8B, 32k prompts, no retraining"
    """
    with session.client() as client:
        found = client.recommend(need, **given)
        session.tell(found, lambda console: show.advice(console, dict(found), limit))


@cli.command()
@click.argument("name")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), help="Default: a GPU where a worker has one.")
@click.option("--mode", type=click.Choice(["run", "sweep", "check"]), default="run", show_default=True)
@click.option("--wait", is_flag=True, help="Follow the run to its end; exit status 6 if it does not pass.")
@click.pass_obj
def verify(session: Session, name: str, device: str | None, mode: str, wait: bool) -> None:
    """Ask for a run of an implementation. A worker has to be running.

    \b
    speedproof verify flash-attention-2 --device cpu --mode check --wait
    """
    with session.client(may_write=True) as client:
        run = client.verify(name, device or "", mode)
        click.echo(f"run {run['id']} of {run['implementation']}: {run['state']}", err=True)
        if wait:
            _follow(client, run["id"])
            run = client.run(run["id"])
        session.tell(run, lambda console: show.run(console, dict(run)))
        if wait:
            _end_as(dict(run))


@cli.command()
@click.argument("run_id", type=click.IntRange(1), metavar="RUN")
@click.pass_obj
def watch(session: Session, run_id: int) -> None:
    """Follow a run to its end: its phases and its log to standard error, its findings to standard output.

    \b
    speedproof watch 42
    """
    with session.client() as client:
        run = client.run(run_id)
        if run["state"] not in ("finished", "failed", "cancelled"):
            _follow(client, run_id)
            run = client.run(run_id)
        session.tell(run, lambda console: show.run(console, dict(run)))
        _end_as(dict(run))


def _follow(client: Client, run_id: int) -> None:
    for event in client.follow(run_id):
        if event.kind == "log":
            click.echo(event.data["text"], err=True, nl=False)
        elif event.kind == "progress" and event.data["phase"]:
            click.echo(f"{event.data['progress']:4.0%} {event.data['phase']}", err=True)
        elif event.kind == "state":
            click.echo(f"run {run_id}: {event.data['state']}", err=True)


def _end_as(run: dict[str, Any]) -> None:
    if run["state"] != "finished" or run["status"] != "PASSED":
        raise SystemExit(NOT_PASSED)


@cli.command()
@click.argument("kind", type=click.Choice(EXPORTED))
@click.option("--format", "form", type=click.Choice(["jsonl", "csv"]), default="jsonl", show_default=True)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Default: standard output.")
@click.option("--fields", default="", metavar="NAMES", help="Only these, with commas between them.")
@click.option("--where", multiple=True, metavar="NAME=VALUE", help="A filter of the API; may be repeated.")
@click.pass_obj
def export(session: Session, kind: str, form: str, out: Path | None, fields: str, where: tuple[str, ...]) -> None:
    """All records of a kind, a line each.

    \b
    speedproof export claims --where metric=speedup --where judged=true --out claims.jsonl
    speedproof export papers --format csv --fields title,year,arxiv_id
    """
    filters: dict[str, Any] = {}
    for one in where:
        name, equals, value = one.partition("=")
        if not equals or not name:
            raise click.UsageError(f"--where {one}: write it like metric=speedup")
        filters.setdefault(name, []).append(value)
    if fields:
        filters["fields"] = fields
    with session.client() as client:
        records = client.records(kind, **filters)
        if out is None:
            _write(records, form, sys.stdout)
            return
        aside = out.with_name(out.name + ".part")  # a file that is there is whole
        try:
            with aside.open("w", encoding="utf-8", newline="") as file:
                count = _write(records, form, file)
            aside.replace(out)
        except OSError as fault:
            raise SpeedproofError(f"--out {out}: cannot be written: {fault.strerror}") from None
        finally:
            aside.unlink(missing_ok=True)
        click.echo(f"{count} {kind} in {out}", err=True)


def _write(records: Iterator[dict[str, Any]], form: str, file: IO[str]) -> int:
    count = 0
    table: Any = None
    for count, record in enumerate(records, 1):  # noqa: B007 - the last one is the number
        if form == "jsonl":
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
            continue
        if table is None:
            table = csv.DictWriter(file, fieldnames=list(record))
            table.writeheader()
        table.writerow({name: _cell(value) for name, value in record.items()})
    return count


def _cell(value: Any) -> Any:
    """Lists and records as JSON; text that a spreadsheet would take for a formula is marked as text."""
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" and value else value


@cli.command()
@click.pass_obj
def mcp(session: Session) -> None:
    """Tools for coding agents, by the Model Context Protocol over standard input and output.

    \b
    {"command": "script/speedproof", "args": ["mcp"]}
    """
    from speedproof.mcp_server import serve

    serve(session)


def main() -> NoReturn:
    """Every fault is one sentence on standard error, and an exit status."""
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Exit as end:
        raise SystemExit(end.exit_code) from None
    except (click.Abort, KeyboardInterrupt):
        _end(INTERRUPTED, "interrupted")
    except click.ClickException as fault:
        fault.show()
        raise SystemExit(USAGE) from None
    except BrokenPipeError:  # as in `speedproof export papers | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
    except SpeedproofError as fault:
        _end(status_of(fault), str(fault))
    raise SystemExit(0)


def status_of(fault: SpeedproofError) -> int:
    if isinstance(fault, NotFound):
        return NOT_FOUND
    if isinstance(fault, NotAllowed):
        return NOT_ALLOWED
    if isinstance(fault, NotReachable | TooManyRequests) or (isinstance(fault, ApiError) and fault.status >= 500):
        return UNREACHABLE
    return FAILED


def _end(status: int, sentence: str) -> NoReturn:
    click.echo(f"speedproof: {sentence}", err=True)
    raise SystemExit(status) from None
