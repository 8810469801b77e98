"""The stand-ins of the pipeline's bench, for the suites of the ports that they stand behind.

They live beside their bench in `tests/integration/pipeline/conftest.py`, which no test can import by name.
"""

import importlib.util
import sys
from pathlib import Path

_PLACE = Path(__file__).parents[1] / "integration" / "pipeline" / "conftest.py"
_spec = importlib.util.spec_from_file_location("fakes_of_the_pipeline_bench", _PLACE)
_bench = sys.modules[_spec.name] = importlib.util.module_from_spec(_spec)  # its dataclasses look their module up
_spec.loader.exec_module(_bench)

DIM = _bench.DIM
FlowBench = _bench.Bench  # the whole flow in the test's own thread
PlayedEmbedder = _bench.PlayedEmbedder  # a whole `Embedder`, but for a batch without pixels and for closing
PlayedReader = _bench.PlayedReader  # the `read` and `compare` of an `ImageReader`
ScriptedChanges = _bench.ScriptedChanges  # the `take` of a `ChangeSource`, without waiting
VeiledLister = _bench.VeiledLister  # a whole `Lister` while nothing is veiled
encoded = _bench.encoded  # a played picture's bytes
PlayedModel = _bench.PlayedModel  # the same of a model beside the built-in descriptor
played_small = _bench._small  # a played picture's small image
