"""Opens a drawing page that shows a trained network's predictions live.

    ./scripts/run draw lightning_logs/mnist_lenet/version_0
    ./scripts/run draw lightning_logs/mnist_lenet/version_0 lightning_logs/mnist_logistic/version_0

It shows the class probabilities, the image as the network sees it, and an occlusion map: how much
the probability falls when a patch is hidden (Zeiler and Fergus, 2014). Two runs are shown side by
side. Images can also be opened from files. The page is served on this machine only and requests
nothing from other hosts.
"""

# extra: demo
import argparse
import os
from collections.abc import Sequence
from contextlib import suppress
from tempfile import TemporaryDirectory

import src.libraries  # noqa: F401  (first)

# isort: split
from scripts.shared.extras import extra
from scripts.shared.options import ToolParser
from scripts.shared.trained import Trained, open_run
from src.command.failures import short_errors
from src.errors import UserError


def parse(args: Sequence[str] | None) -> argparse.Namespace:
    parser = ToolParser("draw", __doc__)
    parser.add_run("folder of a run on images, or latest")
    parser.add_argument("other", metavar="RUN2", nargs="?", help="a second run, to compare")
    parser.add_argument("--port", type=int, metavar="N", help="default the first free from 7860")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    options = parser.parse_args(args)
    parser.check_run(options.run)
    if options.port is not None and not 0 <= options.port < 2**16:
        parser.error(f"--port {options.port}: expected 0 to 65535, where 0 is any free port")
    return options


def check_same_data(one: Trained, other: Trained) -> None:
    """Validate that two runs have the same classes and number of channels.

    Raises:
        UserError: If they differ.
    """
    for fact, values in (
        ("classes", [", ".join(run.data.class_names) for run in (one, other)]),
        ("channels", [str(run.data.input_shape[0]) for run in (one, other)]),
    ):
        if values[0] != values[1]:
            raise UserError(
                f"{one.name} and {other.name} cannot be compared: their {fact}\n"
                f"are {values[0]:.100} and {values[1]:.100}.\nGive two runs on the same data set."
            )


def draw(options: argparse.Namespace) -> None:
    folders = [options.run, options.other] if options.other else [options.run]
    runs = [open_run(folder, "draw") for folder in folders]
    check_same_data(runs[0], runs[-1])
    with TemporaryDirectory() as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder  # for uploaded files, deleted at the end
        with extra("demo", "draw"):  # imported late: it takes seconds, and errors come first
            from scripts.draw.page import Page, build
            from scripts.draw.server import serve
        serve(build(Page(runs)), options.port, not options.no_browser)


def main(args: Sequence[str] | None = None) -> None:
    with short_errors(), suppress(KeyboardInterrupt):  # Ctrl-C is the regular way to stop
        draw(parse(args))


if __name__ == "__main__":
    main()
