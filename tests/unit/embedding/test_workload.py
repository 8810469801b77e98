"""What waits and what is on devices: each picture is answered once, whatever happens on the way."""

from __future__ import annotations

import random
from concurrent.futures import CancelledError

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dedupd.embedding.workload import Claim, Job, Workload


def job_of(count, first=0):
    pictures = [np.full((1, 1, 3), (first + n) % 256, np.uint8) for n in range(count)]
    return Job(pictures, [bytes([first + n]) * 32 for n in range(count)], dim=1)


def finish(portion):
    """Answer every picture by its colour; returns the jobs that are done by it."""
    for job, at in portion.places:
        job.embedded(at, np.float32([job.pictures[at][0, 0, 0]]))
    done = [job for job in dict.fromkeys(place.job for place in portion.places) if job.is_done]
    for job in done:
        job.resolve()
    return done


@settings(deadline=None, max_examples=200)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(0, 2**32 - 1))
def test_every_picture_is_answered_once_whoever_dies(sizes, seed):
    chance = random.Random(seed)
    workload = Workload()
    jobs = [job_of(size, 10 * number) for number, size in enumerate(sizes)]
    for job in jobs:
        workload.add(job)
    claims = [Claim("a", takes_suspects=False, is_alone=False), Claim("b", is_alone=False)]
    taken = []
    while workload.waiting or taken:
        claim = chance.choice(claims)
        portion = workload.take(claim, chance.randint(1, 5))
        if portion is not None:
            taken.append((portion, claim.device))
        if taken and (portion is None or chance.random() < 0.5):
            portion, device = taken.pop(chance.randrange(len(taken)))
            fate = chance.choice(["done", "done", "died", "put back"])
            if fate == "done":
                finish(portion)
            elif fate == "put back":
                workload.put_back(portion)
            else:
                workload.died(portion, device)
    for number, job in enumerate(jobs):
        values = [int(descriptor.stored[0, 0]) for descriptor in job.future.result(0)]
        assert values == [10 * number + at for at in range(len(job.pictures))]


def test_pictures_of_several_jobs_go_together_in_the_order_they_came():
    workload = Workload()
    first, second = job_of(3), job_of(3, 10)
    workload.add(first)
    workload.add(second)
    portion = workload.take(Claim("a"), 5)
    assert [(place.job, place.at) for place in portion.places] == [
        (first, 0), (first, 1), (first, 2), (second, 0), (second, 1),
    ]  # fmt: skip
    assert finish(portion) == [first]
    assert not second.future.done()
    assert finish(workload.take(Claim("a"), 5)) == [second]


def test_what_a_worker_ended_on_goes_to_another_device_picture_by_picture():
    workload = Workload()
    workload.add(job_of(3))
    workload.died(workload.take(Claim("a"), 3), "a")
    assert not workload.has_for(Claim("a", is_alone=False))
    portions = [workload.take(Claim("b", is_alone=False), 9) for _ in range(3)]
    assert [(len(portion.places), portion.deaths) for portion in portions] == [(1, 1)] * 3


def test_what_ended_two_workers_waits_for_who_takes_suspects():
    workload = Workload()
    workload.add(job_of(1))
    workload.died(workload.take(Claim("a"), 1), "a")
    workload.died(workload.take(Claim("b"), 1), "b")
    fresh = job_of(1)
    workload.add(fresh)
    assert [place.job for place in workload.take(Claim("a", takes_suspects=False), 9).places] == [fresh]
    assert workload.take(Claim("a", takes_suspects=False), 9) is None
    reserve = Claim("cpu", takes_fresh=False)
    assert workload.has_for(reserve)
    assert workload.take(reserve, 9).deaths == 2
    assert not workload.has_for(reserve)


def test_who_cancelled_in_time_gets_nothing_and_who_is_served_cannot_cancel():
    workload = Workload()
    cancelled, kept = job_of(4), job_of(2)
    workload.add(cancelled)
    workload.add(kept)
    assert cancelled.future.cancel()
    portion = workload.take(Claim("a"), 9)
    assert [place.job for place in portion.places] == [kept, kept]
    assert not kept.future.cancel()
    with pytest.raises(CancelledError):
        cancelled.future.result(0)
    cancelled.give_up(RuntimeError("too late"))


def test_a_job_says_which_picture_failed_and_how_many_more():
    job = job_of(3)
    job.failed(2, "odd")
    job.embedded(0, np.float32([1]))
    assert not job.is_done
    job.failed(1, "odder")
    job.future.set_running_or_notify_cancel()
    job.resolve()
    named = "the model failed on content 0101010101010101 (and on 1 more of the batch): odder"
    assert str(job.future.exception(0)) == named


def test_what_is_dropped_is_named_once():
    workload = Workload()
    jobs = [job_of(3), job_of(2)]
    for job in jobs:
        workload.add(job)
    workload.put_back(workload.take(Claim("a"), 2))
    assert sorted(map(id, workload.drop_all())) == sorted(map(id, jobs))
    assert workload.waiting == 0
