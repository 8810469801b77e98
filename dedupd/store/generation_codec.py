"""Keys and values of further models' generations: a record a model, and vectors by (model, content). Pure.

Fields are only ever appended, with a default. Owns no state.
"""

from __future__ import annotations

import msgspec

from dedupd.core.generation import Generation
from dedupd.core.records import ContentId, ModelTag
from dedupd.store import frame, keys
from dedupd.store.codec import decoded, encode, stored_text

MODEL_BYTES = 2


class _GenerationRow(msgspec.Struct, array_like=True, frozen=True):
    name: str
    dim: int
    candidate_similarity: float
    was_complete: bool
    contents: int


_decoder = msgspec.msgpack.Decoder(_GenerationRow)


def generation_body(generation: Generation) -> bytes:
    """The body of a generation's value; its tag is known by the number that is the key."""
    return encode(
        _GenerationRow(
            name=stored_text(generation.name),
            dim=generation.dim,
            candidate_similarity=generation.candidate_similarity,
            was_complete=generation.was_complete,
            contents=generation.contents,
        )
    )


def generation_from(key: bytes, body: bytes, tag: ModelTag) -> Generation:
    """The generation of a body; `tag` is the model that its key stands for."""
    row = decoded(_decoder, "generations", key, body)
    return Generation(
        tag=tag,
        name=row.name,
        dim=row.dim,
        candidate_similarity=row.candidate_similarity,
        was_complete=row.was_complete,
        contents=row.contents,
    )


def vectors_key(model: int, content: ContentId) -> bytes:
    """Key of one content's vectors of one model."""
    return frame.model_key(model) + keys.content_key(content)


def content_of(key: bytes) -> ContentId:
    """The content of such a key."""
    return keys.content_of(key, MODEL_BYTES)
