"""What a network costs on a processor: torch in float32 and bfloat16 against ONNX Runtime in float32 and int8.

    python -m benchmarks.cpu_engines [--make siglip2-base-224 dinov2-small …] [--threads 1] [--rounds 5] [--json FILE]

The network alone, in CPU time, on made-up inputs, without decoding or resizing. All four take turns in every round, so
that the ratios are of one run on a machine that is never quiet. Needs torch, transformers, onnx, onnxscript and
onnxruntime, which dedupd itself does not; decides docs/decisions/0015.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.common import Result, Row, median, run_alone
from benchmarks.made_models import MAKERS, make_model

QUICK = ("--make", "efficientnet-b0", "--rounds", "2")
SIDE_PX = 224
BASE = "torch float32"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--make", nargs="+", default=["siglip2-base-224", "dinov2-small", "convnext-tiny"],
                        choices=sorted(MAKERS), metavar="NAME", help="models with square inputs")  # fmt: skip
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=4, help="pictures at once")
    parser.add_argument("--rounds", type=int, default=5)


def run(arguments: argparse.Namespace) -> Result:
    import torch  # noqa: PLC0415 - optional, and slow to import

    torch.set_num_threads(arguments.threads)
    result: Result = {"threads": arguments.threads, "batch": arguments.batch, "rounds": arguments.rounds, "models": {}}
    for name in arguments.make:
        with tempfile.TemporaryDirectory() as temporary:
            result["models"][name] = compared(name, Path(temporary), arguments)
    return result


def compared(name: str, folder: Path, arguments: argparse.Namespace) -> Result:
    engines, cosines = made(name, folder, arguments)
    samples: dict[str, list[float]] = {engine: [] for engine in engines}
    for number in range(arguments.rounds + 1):
        for engine, compute in engines.items():
            began_s = time.process_time()
            compute()
            samples[engine] += [(time.process_time() - began_s) * 1000 / arguments.batch] if number else []
    return {
        engine: {
            "cpu_ms_per_picture": median(samples[engine]),
            "times_as_fast": median([base / own for base, own in zip(samples[BASE], samples[engine], strict=True)]),
            "cosine": round(cosines[engine], 5),
        }
        for engine in engines
    }


def made(
    name: str, folder: Path, arguments: argparse.Namespace
) -> tuple[dict[str, Callable[[], Any]], dict[str, float]]:
    """Each engine with the network loaded, and how near its vectors are to float32's (the farthest of the batch)."""
    import numpy as np  # noqa: PLC0415 - as torch, which must come first
    import onnxruntime  # noqa: PLC0415
    import torch  # noqa: PLC0415
    from onnxruntime.quantization import quant_pre_process, quantize_dynamic  # noqa: PLC0415

    network = Pooled(make_model(name, folder)).module
    pixels = torch.randn(arguments.batch, 3, SIDE_PX, SIDE_PX)
    exported, prepared, small = (str(folder / f"{step}.onnx") for step in ("float32", "prepared", "int8"))
    with torch.inference_mode():
        torch.onnx.export(network, (pixels,), exported, input_names=["pixels"], dynamo=True, external_data=False)
    quant_pre_process(exported, prepared, skip_symbolic_shape=True)
    quantize_dynamic(prepared, small, op_types_to_quantize=["MatMul", "Gemm"])  # its int8 convolutions are slow

    def session(path: str) -> Callable[[], Any]:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = arguments.threads
        options.log_severity_level = 3
        opened = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return lambda: opened.run(None, {"pixels": pixels.numpy()})[0]

    def torch_run(dtype: Any) -> Callable[[], Any]:
        import copy  # noqa: PLC0415 - beside its one use

        own, own_pixels = copy.deepcopy(network).to(dtype), pixels.to(dtype)

        def compute() -> Any:
            with torch.inference_mode():
                return own(own_pixels).float().numpy()

        return compute

    engines = {
        BASE: torch_run(torch.float32),
        "torch bfloat16": torch_run(torch.bfloat16),
        "ONNX Runtime float32": session(exported),
        "ONNX Runtime int8": session(small),
    }
    vectors = {engine: compute().reshape(arguments.batch, -1) for engine, compute in engines.items()}
    unit = {engine: rows / np.linalg.norm(rows, axis=1, keepdims=True) for engine, rows in vectors.items()}
    return engines, {engine: float((unit[BASE] * own).sum(axis=1).min()) for engine, own in unit.items()}


class Pooled:
    """A network that gives nothing but the embedding."""

    def __init__(self, tower: Any) -> None:
        import torch  # noqa: PLC0415 - see run

        class Module(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.tower = tower

            def forward(self, pixels: Any) -> Any:
                return self.tower(pixel_values=pixels).pooler_output

        self.module = Module().eval()


def rows(result: Result) -> list[Row]:
    return [
        Row(
            what=f"{name}, {engine} (cosine {figure['cosine']:.4f})",
            value=f"{figure['cpu_ms_per_picture']:.1f} CPU-ms/picture, {figure['times_as_fast']:.2f}×",
        )
        for name, engines in result["models"].items()
        for engine, figure in engines.items()
    ]


if __name__ == "__main__":
    run_alone(sys.modules["__main__"])
