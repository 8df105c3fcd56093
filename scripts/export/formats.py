"""Writes, describes and runs the file formats of an export."""

import io
import json
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

import onnx
import onnxruntime
import safetensors.torch
import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from scripts.shared.trained import Trained
from src.imports import import_class
from src.inference.portable import Portable
from src.runs.code_state import git_state
from src.runs.provenance import versions

Facts = dict[str, Any]
Run = Callable[[Tensor], Tensor]
BATCH = {"images": {0: Dim("batch", min=1)}}  # any batch size
OPSET = 20  # of ONNX
METADATA = "metadata.json"  # name of the metadata within a .pt2 file
EXPORTERS = ("onnx", "onnxscript", "onnxruntime", "safetensors")


def describe(trained: Trained, shape: Sequence[int]) -> Facts:
    """Return the metadata of an export: inputs, outputs, settings, and how it was trained.

    Args:
        trained: The run.
        shape: Shape of a raw image of the data set, `(channels, rows, columns)`.
    """
    model, data = trained.model, trained.data
    results = trained.results
    settings = {k: v for k, v in model.hparams.items() if not k.startswith("_")}
    return {
        "input": {"name": "images", "type": "uint8", "shape": ["batch", *shape],
                  "values": "raw pixels, 0 to 255; padding and normalisation are inside"},
        "output": {"name": "probabilities", "type": "float32",
                   "shape": ["batch", data.num_classes], "values": "of the classes, in order"},
        "classes": data.class_names,
        "model": f"{type(model).__module__}.{type(model).__qualname__}",
        "settings": settings,
        "pad": data.pad,
        "run": trained.name,
        "checkpoint": trained.path.name,
        "metrics": results.get("metrics", {}),
        "trained": {name: results.get(name) for name in ("seed", "git", "versions")},
        "onnx_opset": OPSET,
        "git": git_state(),
        "versions": versions() | {name: version(name) for name in EXPORTERS},
    }  # fmt: skip


def traced(portable: Portable, facts: Facts) -> ExportedProgram:
    """Trace the network to a graph, without the paths of its source files."""
    example = torch.zeros(2, *facts["input"]["shape"][1:], dtype=torch.uint8)
    program = torch.export.export(portable, (example,), dynamic_shapes=BATCH)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
    return program


def to_onnx(portable: Portable, facts: Facts) -> bytes:
    """Return the content of an ONNX file, validated by ONNX's checker."""
    program = torch.onnx.export(
        traced(portable, facts), input_names=["images"], output_names=["probabilities"],
        dynamic_shapes=BATCH, opset_version=OPSET, dynamo=True, verbose=False,
    )  # fmt: skip
    assert program
    model = program.model_proto
    onnx.helper.set_model_props(model, texts(facts))
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def run_onnx(content: bytes) -> Run:
    """Load an ONNX file as a function, run by onnxruntime with torch's number of threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return lambda x: torch.from_numpy(session.run(None, {"images": x.numpy()})[0])


def to_pt2(portable: Portable, facts: Facts) -> bytes:
    """Return the content of a torch.export file."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "No complete tensor found")  # false for channels_last
        metadata = {METADATA: json.dumps(facts, indent=2)}
        torch.export.save(traced(portable, facts), file, extra_files=metadata)
    return file.getvalue()


def run_pt2(content: bytes) -> Run:
    """Load a torch.export file as a function; loading can run code, so trust the file first."""
    return torch.export.load(io.BytesIO(content)).module()


def to_safetensors(portable: Portable, facts: Facts) -> bytes:
    """Return the content of a safetensors file: weights, normalisation, and the metadata."""
    tensors = {name: value.contiguous() for name, value in portable.state_dict().items()}
    return safetensors.torch.save(tensors, texts(facts))


def run_safetensors(content: bytes) -> Run:
    """Load a safetensors file as a function; the network is built from the metadata alone."""
    size = int.from_bytes(content[:8], "little")  # length of the JSON header
    facts = json.loads(content[8 : 8 + size])["__metadata__"]
    model = import_class(facts["model"])(**json.loads(facts["settings"]))
    tensors = safetensors.torch.load(content)
    portable = Portable(
        model.net, tensors["mean"], tensors["std"], int(facts["pad"]), model.probabilities
    )
    portable.load_state_dict(tensors)
    return portable


def texts(facts: Facts) -> dict[str, str]:
    """Return the metadata as strings: JSON for all values that are not strings."""
    return {
        name: fact if isinstance(fact, str) else json.dumps(fact) for name, fact in facts.items()
    }


FORMATS: dict[str, tuple[Callable[[Portable, Facts], bytes], Callable[[bytes], Run]]] = {
    "model.onnx": (to_onnx, run_onnx),
    "model.pt2": (to_pt2, run_pt2),
    "weights.safetensors": (to_safetensors, run_safetensors),
}
