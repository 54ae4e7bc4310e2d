"""Asks about many papers, some at once: threads wait for the endpoint, and one alone speaks to the database."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from ingest.endpoint import services
from ingest.endpoint.client import MOST_ATTEMPTS, Answer, EndpointClient
from ingest.endpoint.config import EndpointConfig
from ingest.endpoint.configured import endpoint_config
from ingest.endpoint.errors import EndpointError, Fault
from ingest.endpoint.prompt import PROMPT_VERSION, text_hash
from ingest.endpoint.usage import Usage
from ingest.models.endpoint import unread
from papers.models import Paper

MOST_FAULTS_IN_A_ROW = 5
KNOWN_WITHIN_S = 0.05


@dataclass
class RunReport:
    """What a run did. `stopped` says why it ended before its papers did; `failed` names papers and reasons."""

    read: int = 0
    already_read: int = 0
    taken_elsewhere: int = 0
    agreed_claims: int = 0
    agreed_fields: int = 0
    differing: int = 0
    proposals: int = 0
    opened: int = 0
    refused: int = 0
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    failed: list[dict[str, str]] = field(default_factory=list)
    stopped: str = ""
    interrupted: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def count(self, counted: services.Effect | Usage) -> None:
        for name, number in counted._asdict().items():
            setattr(self, name, getattr(self, name) + number)


class _Asked(NamedTuple):
    paper: Paper
    hash: str
    allowance: services.Allowance


OnPaper = Callable[[Paper, str], None]


class _Run:
    """The state of one run; `stop` ends the pauses of requests that are on their way."""

    def __init__(self, config: EndpointConfig, papers: Iterator[Paper], *, again: bool, on_paper: OnPaper) -> None:
        self.config, self.papers, self.again, self.on_paper = config, papers, again, on_paper
        self.report, self.stop = RunReport(), threading.Event()
        self.waiting: dict[Future[Answer], _Asked] = {}
        self.taken: Paper | None = None  # taken by this run, not yet asked about
        self.held: Paper | None = None  # drawn from `papers`, waiting for requests of the day to come free
        self.at_end, self.faults = False, 0

    @property
    def is_stopping(self) -> bool:
        return bool(self.report.stopped) or self.report.interrupted

    def step(self, client: EndpointClient, pool: ThreadPoolExecutor) -> bool:
        """Ask about as many papers as may be asked at once, and take in what came; False when all is done."""
        while not (self.is_stopping or self.at_end) and len(self.waiting) < self.config.concurrency:
            if not self._ask_next(client, pool):
                break
        if not self.waiting:
            return not (self.is_stopping or self.at_end)
        for future in wait(self.waiting, return_when=FIRST_COMPLETED).done:
            self._take_in(future)
        return True

    def _ask_next(self, client: EndpointClient, pool: ThreadPoolExecutor) -> bool:
        """False where the next paper has to wait for one that is being asked about, or there is none."""
        self.held = self.held or next(self.papers, None)
        if self.held is None:
            self.at_end = True
            return False
        paper = self.held
        if not self.again and services.is_current(paper, self.config):
            services.confirm_reading(paper)
            return self._pass_over(paper, "already read", "already_read")
        allowance = services.reserve_requests(MOST_ATTEMPTS, self.config.daily_limit)
        if not allowance.requests:
            if not self.waiting:
                limit = self.config.daily_limit
                self.report.stopped = f"the limit of {limit} requests a day is reached (ENDPOINT_DAILY_LIMIT)"
            return False
        if not services.take(paper, self.config):
            services.settle(allowance, Usage())
            return self._pass_over(paper, "being read by another process", "taken_elsewhere")
        self.taken, self.held = paper, None
        asked, known = _Asked(paper, text_hash(paper.title, paper.abstract), allowance), threading.Event()
        self.waiting[pool.submit(self._read_once_known, known, client, asked)] = asked
        self.taken = None
        known.set()
        return True

    def _read_once_known(self, known: threading.Event, client: EndpointClient, asked: _Asked) -> Answer:
        """Asks only once the run waits for the answer: an interrupt just before must not lose one that is paid for."""
        while not known.wait(KNOWN_WITHIN_S):
            if self.stop.is_set():
                raise EndpointError(Fault.UNAVAILABLE, "interrupted before it was asked about")
        return client.read(asked.paper.title, asked.paper.abstract, asked.allowance.requests)

    def _pass_over(self, paper: Paper, why: str, counter: str) -> bool:
        self.held = None
        setattr(self.report, counter, getattr(self.report, counter) + 1)
        self.on_paper(paper, why)
        return True

    def _take_in(self, future: Future[Answer]) -> None:
        """Store what came of one paper. Interrupted half-way, it is stored by the next step."""
        asked = self.waiting[future]
        try:
            answer = future.result()
        except EndpointError as fault:
            self._take_in_fault(asked, fault)
            usage = fault.usage
        else:
            usage = answer.usage
            try:
                effect = services.store_answer(asked.paper.pk, asked.hash, self.config, answer.record, usage)
            except services.TextChanged:
                self.on_paper(asked.paper, "its text changed meanwhile; it stays unread")
            else:
                self.faults = 0
                self.report.read += 1
                self.report.count(effect)
                self.on_paper(asked.paper, "read")
        del self.waiting[future]
        self.report.count(usage)
        services.settle(asked.allowance, usage)

    def _take_in_fault(self, asked: _Asked, fault: EndpointError) -> None:
        if self.report.interrupted:
            services.release(asked.paper.pk)
            return
        services.store_failure(asked.paper.pk, asked.hash, self.config, fault)
        self.report.failed.append({"paper": asked.paper.slug, "fault": str(fault.fault), "reason": fault.message})
        self.on_paper(asked.paper, fault.message)
        self.faults = 0 if fault.fault == Fault.MALFORMED else self.faults + 1
        if fault.stops_all:
            self.report.stopped = fault.message
        elif self.faults >= MOST_FAULTS_IN_A_ROW:
            self.report.stopped = f"{self.faults} papers in a row got no answer; the last: {fault.message}"

    def interrupt(self) -> None:
        self.report.interrupted = True
        self.stop.set()

    def abandon(self) -> None:
        for paper in (*(asked.paper for asked in self.waiting.values()), *filter(None, [self.taken])):
            services.release(paper.pk)


def read_papers(
    papers: Iterable[Paper],
    config: EndpointConfig,
    *,
    again: bool = False,
    on_paper: OnPaper = lambda paper, what: None,
    on_interrupt: Callable[[int], None] = lambda on_the_way: None,
) -> RunReport:
    """Ask about papers that this model has not read in their present text; `again` asks about all of them.

    An interrupt (Ctrl-C) asks about no more, stores what is on its way, and returns; `on_interrupt` is told how many
    answers that are. A second one drops them. `on_paper` is told of each paper and what came of it.

    Raises: EndpointError where the endpoint is off or wrongly set.
    """
    run = _Run(config, iter(papers), again=again, on_paper=on_paper)
    client, pool = EndpointClient(config, run.stop), ThreadPoolExecutor(config.concurrency, "endpoint")
    try:
        going = True
        while going:
            try:
                going = run.step(client, pool)
            except KeyboardInterrupt:
                if run.report.interrupted:
                    raise
                run.interrupt()
                on_interrupt(len(run.waiting))
    finally:
        run.stop.set()
        run.abandon()
        pool.shutdown(wait=False, cancel_futures=True)
        client.close()
    return run.report


def read_one(paper_id: int) -> RunReport:
    """Ask about one paper, unless it was read, was given up, or is no longer there."""
    config = endpoint_config()
    wanted = unread(Paper.objects.filter(pk=paper_id), config.model, PROMPT_VERSION)
    return read_papers(list(wanted), config)
