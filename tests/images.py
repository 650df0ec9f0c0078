"""Where the images of the suite's programs are: each is compiled once, by whoever needs it first."""

from pathlib import Path

CACHE = Path(__file__).resolve().parents[1] / ".build" / "cache"
