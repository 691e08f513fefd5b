"""What checkpoints cost: seconds for trees of 100, 10,000 and 100,000 files, as ratios to
`os.walk` with `lstat` on the same tree, or to reading all of its files, in the same run."""

import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))

from autoagent.checkpoints.checkpoint import Checkpoints
from autoagent.checkpoints.objects import Objects

SIZES = (100, 10_000, 100_000)
ROUNDS = 5
FILES_IN_A_FOLDER = 50


def seconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def grow(root: Path, files: int) -> None:
    """Files of 0 to 8 kB of text, 50 in a folder."""
    chance = random.Random(files)
    words = [f"{chance.getrandbits(40):x}" for _ in range(2000)]
    for number in range(files):
        folder = root / f"{number // FILES_IN_A_FOLDER // 40}/{number // FILES_IN_A_FOLDER}"
        if number % FILES_IN_A_FOLDER == 0:
            folder.mkdir(parents=True)
        (folder / f"{number}.txt").write_text(" ".join(chance.choices(words, k=number % 800)))


def walked(root: Path) -> None:
    for folder, _, names in os.walk(root):
        for name in names:
            os.lstat(f"{folder}/{name}")


def read_all(root: Path) -> None:
    for folder, _, names in os.walk(root):
        for name in names:
            Path(folder, name).read_bytes()


def measure(root: Path, store: Path, files: int) -> None:
    grow(root, files)
    os.sync()
    time.sleep(0.1)  # a tick of the file system's clock, so that no file is read twice
    objects = Objects(store)
    checkpoints = Checkpoints(root, objects)
    reading = median(seconds(lambda: read_all(root)) for _ in range(3))
    first = seconds(checkpoints.take)
    changing = iter(range(ROUNDS))

    def change_one() -> None:
        Path(root, "0/0/1.txt").write_text(f"changed {next(changing)}")

    walks, unchanged, changed = [], [], []
    for _ in range(ROUNDS):
        walks.append(seconds(lambda: walked(root)))
        unchanged.append(seconds(checkpoints.take))
        change_one()
        changed.append(seconds(checkpoints.take))
    walk = median(walks)
    opened = seconds(lambda: Checkpoints(root, objects).take())
    objects.close()
    size = sum(path.stat().st_size for path in store.rglob("*") if path.is_file())
    content = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    print(f"{files:,} files, {content / 1e6:.1f} MB; the store has {size / 1e6:.1f} MB")
    print(f"  walk and lstat alone  {walk * 1000:8.1f} ms; reading all {reading * 1000:.1f} ms")
    print(f"  first                 {first * 1000:8.1f} ms  {first / reading:.2f} x reading all")
    for name, one in (
        ("unchanged", median(unchanged)),
        ("one file changed", median(changed)),
        ("in a new process", opened),
    ):
        print(f"  {name:20}  {one * 1000:8.1f} ms  {one / walk:.2f} x walk and lstat")


def main() -> None:
    for files in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder, "tree")
            root.mkdir()
            measure(root, Path(folder, "store"), files)


if __name__ == "__main__":
    main()
