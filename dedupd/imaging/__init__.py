"""Everything that touches the bytes of a picture: reading, decoding, digests, metadata, comparing.

Untrusted bytes are only ever parsed in worker processes (`worker`), which `decode_pool` owns. Knows no store, no index.
"""
