"""The one client against a host that misbehaves."""

import gzip
import itertools
from email.utils import formatdate

import httpx
import pytest

from ingest.fetching.bodies import PIECE, pieces
from ingest.fetching.client import Limits, Validators
from ingest.fetching.errors import FetchError, Refused
from ingest.fetching.feed import whole_json, whole_xml
from tests.ingest.fetching.hosts import START, Answer, as_json, packed

PAGE = b'[{"paper": {"id": "2506.00001"}}]' * 3


def test_a_page_comes_with_what_tells_its_version(host, fetcher):
    address = host.on("/page", Answer(body=PAGE, headers={"ETag": '"v1"', "Last-Modified": "yesterday"}))
    got = fetcher.get(address)
    assert (got.body, got.status, got.validators) == (PAGE, 200, Validators('"v1"', "yesterday"))
    assert host.seen[0].headers["user-agent"] == "Speedproof/1 (tests)"


def test_what_is_known_is_not_sent_again(host, fetcher):
    address = host.on("/page", Answer(304))
    got = fetcher.get(address, Validators('"v1"', "Sun, 15 Jun 2025 10:00:00 GMT"))
    assert got.is_unchanged
    assert host.seen[0].headers["if-none-match"] == '"v1"'
    assert host.seen[0].headers["if-modified-since"] == "Sun, 15 Jun 2025 10:00:00 GMT"


@pytest.mark.parametrize(
    ("wait", "asked"),
    [
        pytest.param("37", 37.0, id="seconds"),
        pytest.param(formatdate(START + 61, usegmt=True), 61.0, id="date"),
        pytest.param(formatdate(START - 3600, usegmt=True), 0.0, id="date-that-has-passed"),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_host_that_asks_for_a_pause_gets_it(host, fetcher, clock, status, wait, asked):
    address = host.on("/page", Answer(status, headers={"Retry-After": wait}), Answer(body=PAGE))
    assert fetcher.get(address).body == PAGE
    first, second = host.seen
    assert asked <= second.began - first.began <= asked + 1.0


@pytest.mark.parametrize("wait", ["soon", "-5", "999999999999", ""], ids=["word", "negative", "endless", "blank"])
def test_a_pause_that_makes_no_sense_counts_as_none(host, fetcher, wait):
    address = host.on("/page", Answer(503, headers={"Retry-After": wait}), Answer(body=PAGE))
    assert fetcher.get(address).body == PAGE
    assert host.seen[1].began - host.seen[0].began < 5


def test_a_pause_that_is_too_long_ends_the_fetch_and_keeps_others_away(host, fetcher, clock):
    address = host.on("/page", Answer(429, headers={"Retry-After": "7200"}))
    with pytest.raises(FetchError, match="run this again after 2025-06-15 17:06 UTC") as caught:
        fetcher.get(address)
    assert caught.value.status == 429
    with pytest.raises(FetchError, match="wants quiet"):
        fetcher.get(host.on("/other", Answer(body=PAGE)))
    assert len(host.seen) == 1


def test_errors_of_the_host_are_tried_again_with_growing_pauses(host, fetcher, clock):
    address = host.on("/page", Answer(500), Answer(502), Answer(500), Answer(body=PAGE))
    assert fetcher.get(address).body == PAGE
    starts = [seen.began for seen in host.seen]
    pauses = [b - a for a, b in itertools.pairwise(starts)]
    assert len(pauses) == 3
    assert pauses == sorted(pauses)


def test_after_a_few_tries_the_last_reason_is_told(host, fetcher):
    address = host.on("/page", Answer(500))
    with pytest.raises(FetchError, match=r"status 500\) \(tried 5 times\); try again later") as caught:
        fetcher.get(address)
    assert (len(host.seen), caught.value.status, caught.value.address) == (5, 500, address)


@pytest.mark.parametrize(
    ("status", "words"), [(404, "is not there"), (403, "does not let us"), (400, "not understand")]
)
def test_what_will_not_get_better_is_asked_once(host, fetcher, status, words):
    address = host.on("/page", Answer(status))
    with pytest.raises(FetchError, match=words):
        fetcher.get(address)
    assert len(host.seen) == 1


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(Answer(body=PAGE, cut_at=20), id="shorter-than-announced"),
        pytest.param(Answer(reset=True), id="connection-torn-down"),
        pytest.param(Answer(body=b"no gzip at all", headers={"Content-Encoding": "gzip"}), id="malformed-gzip"),
        pytest.param(Answer(body=gzip.compress(PAGE)[:-9], headers={"Content-Encoding": "gzip"}), id="cut-gzip"),
        pytest.param(
            Answer(body=b"5\r\nhello\r\n", headers={"Transfer-Encoding": "chunked"}, cut_at=10), id="cut-in-chunks"
        ),
    ],
)
def test_a_broken_transfer_is_tried_again(host, fetcher, broken):
    address = host.on("/page", broken, Answer(body=PAGE))
    assert fetcher.get(address).body == PAGE
    assert len(host.seen) == 2


@pytest.mark.parametrize("check", [whole_json, whole_xml])
def test_half_an_answer_is_never_taken_for_a_whole_one(host, fetcher, check):
    whole = b"<feed><entry/></feed>" if check is whole_xml else b'[{"paper": {}}]'
    address = host.on("/page", Answer(body=whole[:-2]), Answer(body=whole))
    assert fetcher.get(address, None, check).body == whole
    with pytest.raises(FetchError, match="is cut"):
        fetcher.get(host.on("/always", Answer(body=whole[:-2])), None, check)


def test_a_document_type_is_no_feed():
    bomb = b'<!DOCTYPE a [<!ENTITY b "cc"><!ENTITY d "&b;&b;">]><a>&d;</a>'
    assert whole_xml(bomb) is not None


def test_a_packed_page_is_unpacked(host, fetcher):
    assert fetcher.get(host.on("/page", packed(PAGE))).body == PAGE
    twice = Answer(body=gzip.compress(b"one") + gzip.compress(b"two"), headers={"Content-Encoding": "gzip"})
    assert fetcher.get(host.on("/twice", twice)).body == b"onetwo"


def test_packing_that_nobody_asked_for_is_refused(host, fetcher):
    with pytest.raises(FetchError, match="'br'"):
        fetcher.get(host.on("/page", Answer(body=PAGE, headers={"Content-Encoding": "br"})))


def test_a_gzip_bomb_is_stopped_while_it_unpacks(host, make_fetcher):
    fetcher = make_fetcher(limits=Limits(max_bytes=2**20))
    address = host.on("/bomb", packed(bytes(200 * 2**20)))
    with pytest.raises(FetchError, match="more than 1 MiB"):
        fetcher.get(address)
    assert len(host.seen) == 1


def test_unpacking_never_holds_more_than_a_piece():
    packed = httpx.Response(
        200, headers={"Content-Encoding": "gzip"}, stream=httpx.ByteStream(gzip.compress(bytes(2**24)))
    )
    sizes = [len(piece) for piece in pieces(packed, "https://host/page", 2**30)]
    assert sum(sizes) == 2**24
    assert max(sizes) <= PIECE


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answer(body=bytes(2**16), endless=True), id="endless"),
        pytest.param(Answer(body=bytes(2**20 + 1)), id="announced"),
    ],
)
def test_a_body_beyond_the_limit_is_refused(host, make_fetcher, answer):
    fetcher = make_fetcher(limits=Limits(max_bytes=2**20))
    with pytest.raises(FetchError, match="more than 1 MiB"):
        fetcher.get(host.on("/page", answer))
    assert len(host.seen) == 1


def test_a_host_that_dribbles_is_left_at_the_wall_limit(host, make_fetcher, clock):
    fetcher = make_fetcher(limits=Limits(wall_s=30, read_s=10))
    address = host.on("/page", Answer(body=PAGE, each_byte=lambda: clock.pass_by(3)))
    with pytest.raises(FetchError, match="within 30 s"):
        fetcher.get(address)
    assert len(host.seen) == 1


def test_a_silent_host_is_left_and_tried_again(host, make_fetcher):
    fetcher = make_fetcher(limits=Limits(read_s=0.05, attempts=2))
    hold: list[int] = []

    def wait() -> None:
        import time

        if not hold:
            hold.append(1)
            time.sleep(0.2)

    address = host.on("/page", Answer(body=PAGE, each_byte=wait), Answer(body=PAGE))
    assert fetcher.get(address).body == PAGE
    assert len(host.seen) == 2


def test_nobody_listens(make_fetcher):
    fetcher = make_fetcher(hosts=("127.0.0.1:1",), limits=Limits(attempts=2))
    with pytest.raises(FetchError, match=r"cannot be reached.*tried 2 times"):
        fetcher.get("http://127.0.0.1:1/page")


# ── where we may go ─────────────────────────────────────────────────────────────────────────────────────────────────
def test_redirects_are_followed_within_the_list(host, other_host, make_fetcher):
    fetcher = make_fetcher(hosts=(host.name, other_host.name))
    target = other_host.on("/there", Answer(body=PAGE))
    address = host.on("/here", Answer(302, headers={"Location": target}))
    got = fetcher.get(address)
    assert (got.body, got.address) == (PAGE, address)


@pytest.mark.parametrize(
    "location",
    [
        pytest.param("http://elsewhere.example.org/", id="another-host"),
        pytest.param("http://127.0.0.1/", id="own-machine"),
        pytest.param("http://127.0.0.1:22/", id="own-machine-odd-port"),
        pytest.param("http://169.254.169.254/latest/meta-data", id="cloud-metadata"),
        pytest.param("http://[::1]/", id="own-machine-ipv6"),
        pytest.param("//elsewhere.example.org/", id="without-scheme"),
        pytest.param("file:///etc/passwd", id="file"),
        pytest.param("ftp://huggingface.co/", id="ftp"),
    ],
)
def test_a_redirect_off_the_list_is_refused(host, fetcher, location):
    address = host.on("/here", Answer(302, headers={"Location": location}))
    with pytest.raises(Refused, match=r"not on the list|only http"):
        fetcher.get(address)
    assert len(host.seen) == 1


def test_a_redirect_to_another_listed_name_on_the_own_machine_is_refused(host, other_host, clock):
    """The list admits both names; the second stands for an address of the own machine."""
    from ingest.fetching.client import Fetcher
    from ingest.fetching.rules import Rules

    class OnlyTheFirst(Rules):
        def why_not_ip(self, text: str) -> str | None:
            return None if asked == ["first.example.org"] else super().why_not_ip(text)

    asked: list[str] = []

    def resolve(name: str, port: int) -> list[str]:
        asked.append(name)
        return ["127.0.0.1"]

    ports = host.name.split(":")[1], other_host.name.split(":")[1]
    rules = OnlyTheFirst([f"first.example.org:{ports[0]}", f"second.example.org:{ports[1]}"])
    host.on("/here", Answer(302, headers={"Location": f"http://second.example.org:{ports[1]}/secret"}))
    other_host.on("/secret", Answer(body=b"secret"))
    with (
        Fetcher(rules, user_agent="x", clock=clock, resolve=resolve) as fetcher,
        pytest.raises(Refused, match=r"127\.0\.0\.1 is an address of the own machine"),
    ):
        fetcher.get(f"http://first.example.org:{ports[0]}/here")
    assert (asked, other_host.seen) == (["first.example.org", "second.example.org"], [])


@pytest.mark.parametrize(
    "ip",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.9", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",  # noqa: S104
        "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
        "64:ff9b::7f00:1", "2002:7f00:1::", "2001:db8::1",
    ],
)  # fmt: skip
def test_a_name_that_means_the_own_network_gets_no_connection(host, make_fetcher, ip):
    """The check is on the address that is connected to, so a name that changes its meaning gains nothing."""
    resolved: list[str] = []

    def rebinding(name: str, port: int) -> list[str]:
        resolved.append(name)
        return [ip]

    fetcher = make_fetcher(hosts=("papers.example.org",), allow_private=False, resolve=rebinding)
    with pytest.raises(Refused, match="own machine or network"):
        fetcher.get("http://papers.example.org/page")
    assert resolved == ["papers.example.org"]


def test_a_name_is_resolved_for_each_connection_and_that_answer_is_used(host, make_fetcher):
    """A public answer for the check and a private one for the connection cannot be: there is one answer."""
    answers = [["93.184.216.34"], ["127.0.0.1"]]
    port = host.name.split(":")[1]
    fetcher = make_fetcher(
        hosts=(f"papers.example.org:{port}",),
        allow_private=False,
        resolve=lambda name, port: answers.pop(),
        limits=Limits(attempts=1),
    )
    with pytest.raises(Refused, match="own machine"):
        fetcher.get(f"http://papers.example.org:{port}/page")
    assert host.seen == []
    assert len(answers) == 1


def test_a_redirect_loop_ends(host, fetcher):
    host.on("/a", Answer(302, headers={"Location": "/b"}))
    host.on("/b", Answer(307, headers={"Location": "/a"}))
    with pytest.raises(FetchError, match="more than 5 times"):
        fetcher.get(f"{host.url}/a")
    assert len(host.seen) == 6


@pytest.mark.parametrize("location", [None, "", "/here"], ids=["none", "blank", "itself"])
def test_a_redirect_to_nowhere_is_told(host, fetcher, location):
    headers = {} if location is None else {"Location": location}
    with pytest.raises(FetchError, match="to nowhere"):
        fetcher.get(host.on("/here", Answer(302, headers=headers)))


@pytest.mark.parametrize(
    ("address", "words"),
    [
        pytest.param("ftp://huggingface.co/x", "only http and https", id="scheme"),
        pytest.param("file:///etc/passwd", "only http and https", id="file"),
        pytest.param("https://user:secret@huggingface.co/x", "user name or password", id="password"),
        pytest.param("https://huggingface.co:8443/x", "usual ports", id="port"),
        pytest.param("https://huggingface.co.evil.example/x", "not on the list", id="longer-name"),
        pytest.param("https://evilhuggingface.co/x", "not on the list", id="name-within"),
        pytest.param("https://2130706433/x", "not on the list", id="number-for-an-ip"),
        pytest.param("https://huggingface.co./x", "not on the list", id="dot-behind"),
        pytest.param("https:///x", "not on the list", id="no-host"),
        pytest.param("https://huggingface.co:many/x", "no address", id="malformed"),
        pytest.param("https://huggingface.co/" + "x" * 3000, "at most 2000", id="long"),
    ],
)
def test_an_address_that_may_not_be_asked_is_named_and_not_asked(make_fetcher, address, words):
    asked: list[str] = []
    fetcher = make_fetcher(
        hosts=("huggingface.co",), resolve=lambda name, port: asked.append(name) or ["93.184.216.34"]
    )
    with pytest.raises(Refused, match=words) as caught:
        fetcher.get(address)
    assert "secret" not in str(caught.value)
    assert asked == []


# ── pace ────────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_between_two_requests_to_a_host_is_its_pause(host, make_fetcher):
    fetcher = make_fetcher(intervals={"127.0.0.1": 3.0})
    address = host.on("/page", Answer(body=PAGE, takes_s=0.5))
    for _ in range(4):
        fetcher.get(address)
    starts = [seen.began for seen in host.seen]
    assert all(b - a >= 3.0 for a, b in itertools.pairwise(starts))
    assert host.connections == 1


def test_a_retry_and_a_redirect_keep_the_pause_as_well(host, make_fetcher):
    fetcher = make_fetcher(intervals={"127.0.0.1": 3.0})
    host.on("/here", Answer(500), Answer(302, headers={"Location": "/there"}))
    host.on("/there", Answer(body=PAGE))
    fetcher.get(f"{host.url}/here")
    starts = [seen.began for seen in host.seen]
    assert len(starts) == 3
    assert all(b - a >= 3.0 for a, b in itertools.pairwise(starts))


def test_json_that_is_whole_passes(host, fetcher):
    assert fetcher.get(host.on("/page", as_json([1])), None, whole_json).body == b"[1]"
