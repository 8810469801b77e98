"""Kill -9 while a plan is applied, undone and expired: the next actor settles it, and nothing is lost."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from fakes.cleanup_bench import Bench, name_of

from dedupd.cleanup.plan_file import encode_plan
from dedupd.core.cleanup_plan import Action
from dedupd.core.errors import NotFoundError

FILES = 40
ACTIONS = (Action.QUARANTINE, Action.HARDLINK, Action.SORT, Action.TRASH)

ACTOR = r"""
import sys
from contextlib import suppress
from pathlib import Path
from dedupd.cleanup.file_calls import FileCalls
from dedupd.cleanup.local_actor import LocalActor
from dedupd.cleanup.plan_file import decode_plan
directory, what, plan_id = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
now_ns = int(sys.argv[4])
actor = LocalActor(directory / "journal", FileCalls(), lambda: now_ns, data_home=bytes(directory / "home"))
tell = lambda outcome: print(outcome.sequence, flush=True)
if what == "apply":
    actor.apply(plan_id, decode_plan((directory / "plan").read_bytes(), plan_id), tell)
elif what == "undo":
    actor.undo(plan_id, None, tell)
else:
    actor.expire(now_ns + 1, plan_id, tell)
"""


def killed_after(bench: Bench, what: str, plan: str, outcomes: int) -> None:
    """Let an actor do something and kill it once it has told so many outcomes, or let it end before."""
    arguments = [sys.executable, "-c", ACTOR, str(bench.directory), what, plan, str(bench.now_ns)]
    bench.close()
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
        for _ in range(outcomes):
            process.stdout.readline()
        process.kill()


def test_an_actor_that_is_killed_anywhere_loses_nothing(tmp_path):
    rng = random.Random(11)
    for round_, action in enumerate(ACTIONS * 2):
        (tmp_path / str(round_)).mkdir()
        bench = Bench(tmp_path / str(round_))
        (bench.directory / "home").mkdir()
        contents = {}
        for number in range(FILES):
            contents[number] = b"picture %d" % number * 40
            bench.write(f"keep/{number}.jpg", contents[number])
            bench.write(f"copies/{number}.jpg", contents[number])
        before = bench.everything()
        items = [bench.pair(n + 1, f"keep/{n}.jpg", f"copies/{n}.jpg") for n in range(FILES)]
        plan = bench.plan(*items, action=action)
        (bench.directory / "plan").write_bytes(encode_plan(plan))

        killed_after(bench, "apply", name_of(plan), rng.randrange(1, FILES))
        told = bench.actor().outcomes(0, 10_000)
        away = {os.fsdecode(o.path): Path(os.fsdecode(o.now_at)) for o in told if o.now_at != o.path}
        assert len(told) > 0
        for number in range(FILES):
            path = bench.root / f"copies/{number}.jpg"
            place = away.get(str(path), path)
            assert place.read_bytes() == contents[number], "a file is neither here nor where the journal says"

        killed_after(bench, "undo", name_of(plan), rng.randrange(1, 10))
        if round_ % 2:
            killed_after(bench, "expire", name_of(plan), rng.randrange(1, 5))
            bench.actor()
            assert set(contents.values()) <= set(bench.everything().values()), "a last copy is gone"
        else:
            bench.actor()
            with suppress(NotFoundError):  # all of it was undone before the kill
                bench.undo(plan)
            assert bench.everything() == before
        bench.close()
