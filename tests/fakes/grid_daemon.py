"""A whole daemon whose further models are the tests' own: `python -m fakes.grid_daemon STATE SOCKET FOLDER MODEL ROOT`.

Runs the real service with an embedder that tests can hold still from outside: the file `hold_from` in FOLDER says from
which batch of this process on it never answers, the file `asked` lists the batches that it was asked for.
"""

import sys
import threading
from concurrent.futures import Future
from pathlib import Path

from fakes.device_models import DIM, vector_of

from dedupd.core.ports import Descriptor, Model
from dedupd.core.records import ModelTag
from dedupd.daemon.log import set_up_logging
from dedupd.daemon.service import RunOptions, run_service
from dedupd.settings.schema import Decode, Models, Settings


class HeldGrid:
    """A whole `Embedder`: the colours of a picture in fields."""

    def __init__(self, name: str, folder: Path) -> None:
        self.model = Model(tag=ModelTag(name), dim=DIM, candidate_similarity=0.9)
        self._folder = folder
        self._batches = 0
        self._lock = threading.Lock()

    def embed(self, batch):
        future: Future = Future()
        with self._lock:
            number, self._batches = self._batches, self._batches + 1
        hold = self._folder / "hold_from"
        is_held = hold.exists() and number >= int(hold.read_text())
        with (self._folder / "asked").open("a") as log:
            log.write(f"{self.model.tag} {number} {len(batch)}\n")
        if not is_held:
            rows = [vector_of(item.small)[None, :] for item in batch]
            future.set_result([Descriptor(stored=row, queries=row) for row in rows])
        return future

    def close(self): ...


def main() -> None:
    state, socket, folder, model, *roots = sys.argv[1:]
    set_up_logging("info")
    settings = Settings(decode=Decode(workers=2), models=Models(use=[model]))
    run_service(
        RunOptions(
            settings=settings,
            roots=tuple(map(Path, roots)),
            state_dir=Path(state),
            socket_path=Path(socket),
            read_again=lambda: (settings, ()),
            make_embedder=lambda name: HeldGrid(name, Path(folder)),
        )
    )


if __name__ == "__main__":
    main()
