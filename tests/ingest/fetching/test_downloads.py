"""Large files: gone on with where they broke off, and never half there."""

import pytest

from ingest.fetching.client import Limits, Validators
from ingest.fetching.downloads import Place, download
from ingest.fetching.errors import FetchError
from tests.ingest.fetching.hosts import Answer, with_ranges

DUMP = b"".join(b'{"title": "Paper %d"}\n' % number for number in range(20_000))
LIMITS = Limits(max_bytes=2**20, attempts=2)


def test_a_file_that_breaks_off_is_gone_on_with(host, fetcher, folder):
    host.script["/dump"] = with_ranges(DUMP, '"v1"', cut_at=300_000)
    got = download(fetcher, f"{host.url}/dump", folder, LIMITS)
    assert got.path.read_bytes() == DUMP
    assert got.validators.etag == '"v1"'
    first, second = host.seen
    assert "range" not in first.headers
    assert second.headers["range"] == "bytes=300000-"


def test_a_later_run_goes_on_as_well(host, make_fetcher, folder):
    host.on("/dump", Answer(body=DUMP, headers={"ETag": '"v1"'}, cut_at=123_456))
    once = make_fetcher(limits=Limits(attempts=1))
    with pytest.raises(FetchError, match="connection broke"):
        download(once, f"{host.url}/dump", folder, LIMITS)
    assert not Place(folder, f"{host.url}/dump").whole.exists()
    host.script["/dump"] = with_ranges(DUMP, '"v1"')
    assert download(once, f"{host.url}/dump", folder, LIMITS).path.read_bytes() == DUMP
    assert host.seen[-1].headers["range"] == "bytes=123456-"
    assert host.seen[-1].headers["if-range"] == '"v1"', "else the end of another version would be put behind"


def test_a_file_that_changed_meanwhile_is_read_from_its_beginning(host, make_fetcher, folder):
    host.on("/dump", Answer(body=b"old" * 100_000, headers={"ETag": '"v1"'}, cut_at=1000))
    once = make_fetcher(limits=Limits(attempts=1))
    with pytest.raises(FetchError):
        download(once, f"{host.url}/dump", folder, LIMITS)
    host.script["/dump"] = with_ranges(DUMP, '"v2"')
    assert download(once, f"{host.url}/dump", folder, LIMITS).path.read_bytes() == DUMP


@pytest.mark.parametrize("etag", ["", 'W/"v1"'], ids=["no-version", "weak-version"])
def test_without_a_version_a_file_is_read_from_its_beginning(host, fetcher, folder, etag):
    headers = {"ETag": etag} if etag else {}
    host.on("/dump", Answer(body=DUMP, headers=headers, cut_at=1000), Answer(body=DUMP, headers=headers))
    assert download(fetcher, f"{host.url}/dump", folder, LIMITS).path.read_bytes() == DUMP
    assert "range" not in host.seen[1].headers


def test_a_host_that_answers_with_another_part_is_not_believed(host, fetcher, folder):
    wrong = Answer(206, DUMP[5:], {"Content-Range": f"bytes 5-{len(DUMP) - 1}/{len(DUMP)}"})
    host.on("/dump", Answer(body=DUMP, headers={"ETag": '"v1"'}, cut_at=1000), wrong, Answer(body=DUMP))
    got = download(fetcher, f"{host.url}/dump", folder, LIMITS)
    assert got.path.read_bytes() == DUMP


def test_a_file_that_was_whole_but_not_yet_named_so_is_not_sent_again(host, fetcher, folder):
    address = f"{host.url}/dump"
    place = Place(folder, address)
    folder.mkdir()
    place.part.write_bytes(DUMP)
    place.note(Validators('"v1"'))
    host.script["/dump"] = with_ranges(DUMP, '"v1"')
    assert download(fetcher, address, folder, LIMITS).path.read_bytes() == DUMP
    assert len(host.seen) == 1


def test_a_file_that_nobody_changed_is_not_sent(host, fetcher, folder):
    host.script["/dump"] = with_ranges(DUMP, '"v1"')
    assert download(fetcher, f"{host.url}/dump", folder, LIMITS, Validators('"v1"')).path is None
    assert list(folder.iterdir()) == []


def test_a_file_beyond_the_limit_is_refused(host, fetcher, folder):
    host.on("/dump", Answer(body=bytes(2**16), endless=True))
    with pytest.raises(FetchError, match="more than 1 MiB"):
        download(fetcher, f"{host.url}/dump", folder, LIMITS)
    assert not Place(folder, f"{host.url}/dump").whole.exists()


def test_two_processes_do_not_write_one_file(host, fetcher, folder):
    address = host.on("/dump", Answer(body=DUMP))
    with Place(folder, address).alone(), pytest.raises(FetchError, match="another process"):
        download(fetcher, address, folder, LIMITS)


def test_a_folder_that_cannot_be_written_is_told(host, fetcher, tmp_path):
    (tmp_path / "downloads").write_text("in the way")
    with pytest.raises(FetchError, match="cannot be stored"):
        download(fetcher, host.on("/dump", Answer(body=DUMP)), tmp_path / "downloads", LIMITS)
