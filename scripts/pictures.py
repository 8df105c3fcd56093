"""Draws the README's pictures from real runs, into .github/images/.

    ./scripts/run pictures

The runs are trained in lightning_logs/pictures/; existing runs are reused.
"""

import os
from pathlib import Path

from PIL import Image

from scripts.results import trained
from scripts.shared.options import ToolParser
from scripts.shared.tables import PROJECT

LOGS = Path("lightning_logs", "pictures")
CONFIGS = {  # the config of each picture
    "loss_surface": "line", "first_layer": "mnist_logistic", "worst_mistakes": "mnist_lenet",
}  # fmt: skip
HEIGHT = 400  # pixels


def main() -> None:
    ToolParser("pictures", __doc__).parse_args()
    place = PROJECT / ".github" / "images"
    place.mkdir(parents=True, exist_ok=True)
    for name, config in CONFIGS.items():
        trained(config, seeds=1, logs=LOGS)
        newest = max(LOGS.glob(f"seeds/*/{config}/*/figures/{name}.png"), key=os.path.getmtime)
        picture = Image.open(newest).convert("RGB")
        picture.thumbnail((10 * HEIGHT, HEIGHT))
        picture.save(place / f"{name}.png", optimize=True)
        print(f"{name}: {newest}")


if __name__ == "__main__":
    main()
