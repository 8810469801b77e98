"""A directory's fingerprint is of its names and stats, whatever their order, and is the same in every version."""

from hypothesis import example, given
from hypothesis import strategies as st

from dedupd.core.stat_key import PACKED_BYTES, fingerprint, pack_fields, unpack

names = st.binary(min_size=1, max_size=3).map(lambda name: name.replace(b"/", b"-"))
packed = st.lists(st.sampled_from([b"/", b"a", b"\0"]), min_size=PACKED_BYTES, max_size=PACKED_BYTES).map(b"".join)
directories = st.dictionaries(names, packed, max_size=3)


@given(directories, directories)
def test_two_directories_have_one_fingerprint_only_if_they_are_the_same(one, other):
    assert (fingerprint(one) == fingerprint(other)) == (one == other)


@given(directories)
def test_the_order_is_no_matter(directory):
    assert fingerprint(dict(reversed(directory.items()))) == fingerprint(directory)


def test_it_is_what_stores_hold():
    stats = {b"b.jpg": bytes(40), b"a.jpg": bytes(range(40))}
    assert fingerprint(stats).hex() == "50d0cb9beefcff8179cd261d3eea9a74"


def test_times_beyond_64_bits_of_nanoseconds_are_cut_and_no_error():
    year_2400_ns = 13_569_465_600_000_000_000
    stat = unpack(pack_fields(1, 2, 3, year_2400_ns, -year_2400_ns))
    assert (stat.dev, stat.ino, stat.size_bytes) == (1, 2, 3)
    assert (stat.mtime_ns, stat.ctime_ns) == (2**63 - 1, -(2**63))


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
@example(-(2**63), 2**63 - 1)
def test_times_within_64_bits_are_kept_as_they_are(mtime_ns, ctime_ns):
    stat = unpack(pack_fields(1, 2, 3, mtime_ns, ctime_ns))
    assert (stat.mtime_ns, stat.ctime_ns) == (mtime_ns, ctime_ns)
