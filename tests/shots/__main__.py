"""Draws the pictures of README.md (`make shots`): what commands and the dashboard say of the demo's own batch."""

from __future__ import annotations

from pathlib import Path

from shots import pages
from shots.drawing import drawn, private
from shots.palette import reduced
from shots.scene import Scene
from shots.terminal import last_picture, said, top

FOLDER = Path(__file__).resolve().parents[2] / "docs/shots"


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with Scene() as scene:
        # Those first that show how something moves.
        watched = ("watch", scene.batch)
        pictures = {
            "top": top(scene.environment),
            "watch": drawn(watched, last_picture(said(scene.environment, *watched, seconds=3.0))),
        }
        for name, words in {
            "show": ("show", scene.batch), "explain": ("explain", scene.waiting), "ls": ("ls",),
        }.items():  # fmt: skip
            pictures[name] = drawn(words, said(scene.environment, *words))
        photographs = pages.pictures(scene.environment, scene.batch)
    for name, picture in pictures.items():
        private(name, picture)
        (FOLDER / f"{name}.svg").write_text(picture, encoding="utf-8")
        print(f"docs/shots/{name}.svg")
    for name, photograph in photographs.items():
        (FOLDER / f"{name}.png").write_bytes(reduced(photograph))
        print(f"docs/shots/{name}.png")


main()
