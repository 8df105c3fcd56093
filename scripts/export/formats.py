"""The files of an export: what they tell, how each is made, and how it is run from its bytes."""

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
from src.runs.provenance import git_state, versions

Facts = dict[str, Any]
Run = Callable[[Tensor], Tensor]
BATCH = {"images": {0: Dim("batch", min=1)}}  # of any size
OPSET = 20  # of ONNX
TOLD = "metadata.json"  # in a .pt2
EXPORTERS = ("onnx", "onnxscript", "onnxruntime", "safetensors")


def describe(trained: Trained, shape: Sequence[int]) -> Facts:
    """Return what each file tells: what goes in and comes out, and how it was made.

    Args:
        trained: The run.
        shape: Of an image as it is in the files of the data set.
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
    """Return the network as a graph, without the paths of the source files it came from."""
    example = torch.zeros(2, *facts["input"]["shape"][1:], dtype=torch.uint8)
    program = torch.export.export(portable, (example,), dynamic_shapes=BATCH)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
    return program


def to_onnx(portable: Portable, facts: Facts) -> bytes:
    """Return a model of ONNX in one piece, checked by its checker."""
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
    """Return the model as a function, run by onnxruntime on as many threads as torch has."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return lambda x: torch.from_numpy(session.run(None, {"images": x.numpy()})[0])


def to_pt2(portable: Portable, facts: Facts) -> bytes:
    """Return a program of torch.export."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "No complete tensor found")  # channels_last is complete
        told = {TOLD: json.dumps(facts, indent=2)}
        torch.export.save(traced(portable, facts), file, extra_files=told)
    return file.getvalue()


def run_pt2(content: bytes) -> Run:
    """Return the program as a function; only for bytes made here, since loading can run code."""
    return torch.export.load(io.BytesIO(content)).module()


def to_safetensors(portable: Portable, facts: Facts) -> bytes:
    """Return weights and normalisation, and in the metadata what the network is built from."""
    tensors = {name: value.contiguous() for name, value in portable.state_dict().items()}
    return safetensors.torch.save(tensors, texts(facts))


def run_safetensors(content: bytes) -> Run:
    """Return the network, built from the metadata alone, as a function."""
    size = int.from_bytes(content[:8], "little")  # of the header, which is JSON
    facts = json.loads(content[8 : 8 + size])["__metadata__"]
    model = import_class(facts["model"])(**json.loads(facts["settings"]))
    tensors = safetensors.torch.load(content)
    portable = Portable(
        model.net, tensors["mean"], tensors["std"], int(facts["pad"]), model.probabilities
    )
    portable.load_state_dict(tensors)
    return portable


def texts(facts: Facts) -> dict[str, str]:
    """Return facts as the text that metadata can hold: JSON where they are not text already."""
    return {
        name: fact if isinstance(fact, str) else json.dumps(fact) for name, fact in facts.items()
    }


FORMATS: dict[str, tuple[Callable[[Portable, Facts], bytes], Callable[[bytes], Run]]] = {
    "model.onnx": (to_onnx, run_onnx),
    "model.pt2": (to_pt2, run_pt2),
    "weights.safetensors": (to_safetensors, run_safetensors),
}
