"""Versions of files on servers: which differ and which are the same, by RFC 9110; servers are real ones."""

import pytest

from tests.media.fetching.http_server import serve
from tools.base.versions import Version, server_version


@pytest.mark.parametrize(
    ("one", "other", "differs", "same"),
    [
        (Version('"a"', "Mon", 3), Version('"a"', "Mon", 3), False, True),
        (Version('"a"'), Version('"b"'), True, False),
        (Version('W/"a"'), Version('"a"'), False, True),  # weak comparison (RFC 9110, 8.8.3.2)
        (Version('"a"', "Mon", 3), Version('"a"', "Tue", 4), False, True),  # the ETag says it
        (Version('"a"', "Mon", 3), Version(None, "Mon", 3), False, True),
        (Version(None, "Mon", 3), Version(None, "Tue", 3), True, False),
        (Version(None, "Mon", 3), Version(None, "Mon", 4), True, False),
        (Version('"a"'), Version(None, "Mon"), False, False),  # nothing that both say
        (Version(size=3), Version(size=3), False, False),  # other bytes may have the same length
        (Version(size=3), Version(size=4), True, False),
        (Version(), Version(), False, False),
        (Version('"a"', None, 3), Version(), False, False),
    ],
)
def test_versions_differ_and_are_the_same_only_where_servers_say_so(one, other, differs, same):
    for first, second in ((one, other), (other, one)):
        assert first.differs(second) == differs
        assert first.is_same(second) == same


def test_times_of_copies_tell_versions_apart_as_their_validators_do():
    assert Version('"a"', "Mon", 3).time_ns == Version('W/"a"', "Tue", 4).time_ns
    numbers = {
        Version('"a"').time_ns,
        Version('"b"').time_ns,
        Version(None, "Mon").time_ns,
        Version().time_ns,
    }
    assert len(numbers) == 4
    assert min(numbers) >= 0
    assert max(numbers) < 2**62  # of nanoseconds that a file system stores


def test_a_strong_validator_is_for_ranges():
    assert Version('"a"', "Mon").for_range == '"a"'
    assert Version('W/"a"', "Mon").for_range is None
    assert Version(None, "Mon").for_range == "Mon"


@pytest.mark.parametrize(
    "value", [None, [], ["a", None], ["a", None, 1, 2], [1, None, None], ["a", "b", "3"]]
)
def test_what_was_read_from_a_damaged_file_is_no_version(value):
    with pytest.raises(ValueError, match="not the version"):
        Version.from_json(value)


def test_objects_of_storages_have_versions_under_their_own_names():
    s3 = {"Key": "b/a", "ETag": '"9b2c"', "LastModified": "2026-01-02", "size": 7, "Size": 7}
    assert Version.from_info(s3) == ('"9b2c"', "2026-01-02", 7)
    assert Version.from_info({"name": "a", "size": 7, "updated": "2026"}) == (None, "2026", 7)
    assert Version.from_info({"name": "a", "size": None}) == (None, None, None)


@pytest.mark.parametrize("ranges", [True, False])
def test_a_server_is_asked_with_a_request_for_one_byte(monkeypatch, ranges):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serve({"/v.mkv": b"x" * 1000, "/empty": b""}) as server:
        server.ranges, server.modified = ranges, "Thu, 26 Nov 2026 10:00:00 GMT"
        version = server_version(f"{server.url}/v.mkv")
        assert version == ('"1"', server.modified, 1000)
        assert server_version(f"{server.url}/v.mkv", known=version) == version  # answered with 304
        server.etag = '"2"'
        assert server_version(f"{server.url}/v.mkv", known=version) == ('"2"', server.modified, 1000)
        empty = server_version(f"{server.url}/empty")
        assert empty is not None and empty.size == 0
        assert server_version(f"{server.url}/nothing") is None
        assert server.seen == ["bytes=0-0"] * 5
    assert server_version(f"{server.url}/v.mkv") is None  # the server is gone
    assert server_version("http://") is None
