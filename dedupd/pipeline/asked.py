"""What is asked of the decode pool for a batch of pairs: given up as one, and glances before looks.

Owns no more than the futures of one call.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from itertools import chain, compress
from typing import Any, TypeVar

from dedupd.core.ports import EvidenceSide, ImageReader, Priority
from dedupd.core.records import ContentId, Problem
from dedupd.pipeline.candidates import Pair

_log = logging.getLogger(__name__)

_PAIRS_A_GLANCE = 32  # some 8 ms of a worker's time: far more than a message costs, and work for several workers
_LOOK_UP_S = 0.02  # how long a look goes on before it is asked whether to give up

_Answer = TypeVar("_Answer")


class GaveUpError(Exception):
    """A look was given up because something more urgent came; nothing came of it."""


class Asked:
    """What was asked of the pool for one call, so that it can be given up."""

    def __init__(self, gives_up: Callable[[], bool]) -> None:
        self._gives_up = gives_up
        self._futures: list[Future[Any]] = []

    def remember(self, future: Future[_Answer]) -> Future[_Answer]:
        """Note what was asked; returns it."""
        self._futures.append(future)
        return future

    def answer(self, future: Future[_Answer]) -> _Answer:
        """Wait for one; GaveUpError when it should be waited for no longer."""
        while True:
            if self._gives_up():
                raise GaveUpError
            if wait((future,), timeout=_LOOK_UP_S).done:
                return future.result()

    def cancel(self) -> None:
        """Take back what the pool has not begun."""
        for future in self._futures:
            future.cancel()


def promising_pairs(
    reader: ImageReader,
    pairs: Sequence[Pair],
    sides: Mapping[ContentId, EvidenceSide],
    priority: Priority,
    asked: Asked,
) -> set[Pair]:
    """Which of some pairs to look at closely; of the others a look would show nothing. Many are asked at once.

    Raises:
        GaveUpError: as `Asked.answer`.
    """
    if len(pairs) < 2:
        return set(pairs)  # the look itself begins so
    begun: list[tuple[list[Pair], Future[tuple[bool, ...] | Problem]]] = []
    in_order = sorted(pairs, key=lambda pair: (pair[1], pair[0]))  # a picture's candidates together
    for start in range(0, len(in_order), _PAIRS_A_GLANCE):
        some = in_order[start : start + _PAIRS_A_GLANCE]
        places = {content: place for place, content in enumerate(dict.fromkeys(chain.from_iterable(some)))}
        previews = [sides[content].preview for content in places]
        by_places = [(places[a], places[b]) for a, b in some]
        begun.append((some, asked.remember(reader.glance(previews, by_places, priority=priority))))
    promising: set[Pair] = set()
    for some, future in begun:
        answers = asked.answer(future)
        if isinstance(answers, Problem):  # of one of many pictures: the looks will show of which
            _log.warning("compare.glance_failed code=%s detail=%r", answers.code.value, answers.detail)
            promising.update(some)
        else:
            promising.update(compress(some, answers))
    return promising
