"""Makes torchvision importable beside a torch of another build.

Lightning imports torchmetrics, which imports torchvision wherever it is installed, and a
torchvision built for another torch (e.g. the CUDA build beside a CPU-only torch) makes all three
imports fail. Nothing is changed where the import works.
"""

import importlib
import re

import torch

# The two operators that torchvision describes to torch at import and that its C++ library, which
# cannot be loaded then, should have defined. They stay uncallable: this project never calls them.
_SIGNATURES = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}
_LIBRARY: list[torch.library.Library] = []  # an operator goes when its Library object goes


def import_torchvision() -> None:
    """Import torchvision; on "operator torchvision::X does not exist", declare X and try again."""
    for _ in range(len(_SIGNATURES) + 1):
        try:
            importlib.import_module("torchvision")
            return
        except RuntimeError as error:
            missing = re.fullmatch(r"operator torchvision::(\w+) does not exist", str(error))
            if missing is None or missing[1] not in _SIGNATURES:
                raise
            if not _LIBRARY:
                _LIBRARY.append(torch.library.Library("torchvision", "FRAGMENT"))
            _LIBRARY[0].define(_SIGNATURES[missing[1]])
