"""Text of any script in pictures: installed fonts for characters that the default font lacks."""

import textwrap
import warnings
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from unicodedata import east_asian_width

from matplotlib import rcParams
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, findSystemFonts, fontManager, get_font
from matplotlib.text import Text
from matplotlib.textpath import TextPath

TOLD: list[str] = []  # characters that a warning has named


def inches(texts: Iterable[str]) -> float:
    """Return the width of the widest text as drawn in 10 points."""
    return max((_points(drawable(text)) for text in texts), default=0.0) / 72


@cache
def _points(text: str) -> float:
    plain = text.replace("$", "S")  # no formula
    path = TextPath((0, 0), plain, size=10, prop=FontProperties(family=_families(plain)))
    return float(path.get_extents().width) if plain.strip() else 0.0


def wrapped(text: str, width: int) -> str:
    """Return a text with lines of up to `width` letters; those of East Asia count twice."""
    lines = []
    for line in drawable(text).splitlines():
        wide = any(east_asian_width(char) in "WF" for char in line)
        lines += textwrap.wrap(line, width // 2 if wide else width) or [""]
    return "\n".join(lines)


def drawable(text: str) -> str:
    """Return a text with the code points of characters, `\\u732b`, that no font has; warn once."""
    lacking = set() if text.isascii() else _fallback(frozenset(text))[1]
    if lacking:
        _warn_once(lacking)
    return "".join(f"\\u{ord(char):04x}" if char in lacking else char for char in text)


def choose_fonts(figure: Figure) -> None:
    """Let the texts of a figure use fonts that have their characters."""
    for text in figure.findobj(Text):
        if not text.get_text().isascii():
            text.set_fontfamily(_families(text.get_text()))


def _families(text: str) -> list[str]:
    more = [] if text.isascii() else _fallback(frozenset(text))[0]
    return [*rcParams["font.family"], *more]


@cache
def _fallback(characters: frozenset[str]) -> tuple[list[str], set[str]]:
    """Return the names of fonts that have what the default font lacks, and what no font has."""
    lacking = {char for char in characters if not char.isspace()} - _drawn(_default())
    families = []
    while lacking:
        best = max(_installed(), key=lambda path: len(lacking & _drawn(path)), default=None)
        if best is None or not lacking & _drawn(best):
            break
        fontManager.addfont(best)  # Matplotlib's own list may be older than the font
        families.append(FontProperties(fname=best).get_name())
        lacking = lacking - _drawn(best)
    return families, lacking


@cache
def _default() -> str:
    return str(Path(findfont(FontProperties())))


@cache
def _installed() -> list[str]:
    return sorted(findSystemFonts())


@cache
def _drawn(path: str) -> set[str]:
    """Return the characters that a font has; none if the font cannot be used."""
    try:
        return set(map(chr, get_font(path).get_charmap()))
    except (OSError, RuntimeError):  # such as fonts of coloured bitmaps
        return set()


def _warn_once(lacking: set[str]) -> None:
    if TOLD:
        return
    first = "".join(sorted(lacking)[:3])
    TOLD.append(first)
    warnings.warn(
        f"No installed font has the characters {first}: pictures show their code points, such as"
        f" {ord(first[0]):04x}.\nInstall one, for example by: sudo apt install fonts-noto-cjk",
        stacklevel=2,
    )
