"""`make run`: show dedupd at work on a folder.

Without an argument it makes an example library (photographs that come with scikit-image, and copies of them as people
have them), scans it, watches it, puts one more copy in to show the alert, and ends with the plan of a clean-up, which
touches nothing. With a folder it scans that, and then
watches it until Ctrl-C; nothing is ever written into a folder of yours.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

HERE = Path("run").resolve()
EXAMPLE = HERE / "example-library"
STATE = HERE / "state"
SOCKET = HERE / "dedupd.sock"
REPORT = HERE / "duplicates.html"
BIN = Path(sys.executable).parent
ELSEWHERE = {"brick": "Backup/old laptop", "grass": "Phone/WhatsApp"}  # folders that hold more than copies
PHOTOS = ("astronaut", "chelsea", "coffee", "rocket", "immunohistochemistry", "retina", "brick", "camera", "grass")


def make_example() -> Path:
    """The example library: nine photographs, and copies of five of them."""
    from PIL import Image, ImageOps  # noqa: PLC0415 - only the example needs it
    from skimage import data  # noqa: PLC0415

    shutil.rmtree(EXAMPLE, ignore_errors=True)
    photos: dict[str, Image.Image] = {}
    for name in PHOTOS:
        try:
            photos[name] = Image.fromarray(getattr(data, name)()).convert("RGB")
        except Exception as error:  # noqa: BLE001 - a picture that this release would have to download
            print(f"  (without {name}: {type(error).__name__})")
    for number, (name, photo) in enumerate(photos.items()):
        folder = ELSEWHERE.get(name, "2024/Holiday")
        keep(photo, f"{folder}/IMG_{number:04}_{name}.jpg", quality=92)

    names = list(photos)
    original = next((EXAMPLE / "2024/Holiday").glob(f"*_{names[0]}.jpg"))
    copy = EXAMPLE / "Backup/old laptop" / original.name
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(original, copy)
    keep(photos[names[0]].resize((256, 256)), "Phone/WhatsApp/IMG-20240712-WA0003.jpg", quality=60)
    keep(photos[names[1]].rotate(90, expand=True), "Phone/turned.jpg", quality=90)
    keep(ImageOps.expand(photos[names[2]], 40, "white"), "Prints/with border.png")
    keep(ImageOps.grayscale(photos[names[3]]), "Prints/grey.jpg", quality=85)
    width, height = photos[names[4]].size
    keep(photos[names[4]].crop((width // 10, height // 10, width, height)), "Prints/cropped.jpg", quality=90)
    (EXAMPLE / "2024/Holiday/notes.jpg").write_text("not every .jpg is a picture\n")
    then = time.time() - 86_400
    for path in EXAMPLE.rglob("*.*"):
        os.utime(path, (then, then))
    return EXAMPLE


def keep(image, name: str, **options: object) -> None:  # noqa: ANN001 - PIL is imported where it is needed
    """Save a picture in the example library."""
    path = EXAMPLE / name
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)


def scan(folder: Path) -> None:
    """Find what is there twice."""
    title(f"dedupd scan {folder} --report {REPORT}")
    subprocess.run([BIN / "dedupd", "scan", folder, "--state-dir", STATE, "--report", REPORT], check=True)


def watch(folder: Path, *, is_example: bool) -> None:
    """Watch the folder; in the example, put a copy in and show that it is told."""
    title(f"dedupd run {folder}")
    with (HERE / "dedupd.log").open("wb") as log:
        daemon = subprocess.Popen(
            [BIN / "dedupd", "run", folder, "--state-dir", STATE, "--socket", SOCKET],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_until_it_answers(daemon)
        control("status")
        title("dedupctl events --follow")
        events = subprocess.Popen(
            [BIN / "dedupctl", "--socket", SOCKET, "events", "--follow", "--after", newest_event()],
            stdout=subprocess.PIPE,
            text=True,
        )
        if is_example:
            show_an_arrival(folder, events)
        else:
            print("Watching. Put a photo in that you have already; Ctrl-C ends.\n", flush=True)
            for line in events.stdout or ():
                print(line, end="", flush=True)
    except KeyboardInterrupt:
        pass
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(20)


def show_an_arrival(folder: Path, events: subprocess.Popen[str]) -> None:
    """Write a smaller copy, as a phone backup would, and print what dedupd says."""
    from PIL import Image  # noqa: PLC0415

    original = sorted((folder / "2024/Holiday").glob("IMG_*.jpg"))[1]
    arriving = folder / "Phone/WhatsApp/IMG-20240801-WA0011.jpg"
    with Image.open(original) as photo:
        small = photo.resize((photo.width * 2 // 3, photo.height * 2 // 3))
    print(f"(a phone backup writes {arriving.relative_to(folder)})", flush=True)
    small.save(arriving, quality=70)
    began = time.monotonic()
    watchdog = threading.Timer(60, events.kill)
    watchdog.start()
    told = next((line for line in events.stdout or () if arriving.name in line), None)
    watchdog.cancel()
    events.kill()
    if told is None:
        sys.exit(f"The copy was not announced. The log is {HERE / 'dedupd.log'}.")
    print(told.strip())
    print(f"(announced {time.monotonic() - began:.1f} s after it was written)")
    title("dedupctl explain")
    control("explain", str(original), str(arriving))
    title("dedupctl plan --min-age 0")
    control("plan", "--min-age", "0")
    print(f"\nA page with pictures: {REPORT}")


def wait_until_it_answers(daemon: subprocess.Popen[bytes]) -> None:
    """Until the socket answers; ends the demonstration when the daemon has ended."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if daemon.poll() is not None:
            sys.exit((HERE / "dedupd.log").read_text())
        asked = subprocess.run([BIN / "dedupctl", "--socket", SOCKET, "status"], capture_output=True, check=False)
        if asked.returncode == 0:
            return
        time.sleep(0.2)
    sys.exit(f"The daemon does not answer. The log is {HERE / 'dedupd.log'}.")


def newest_event() -> str:
    """The number of the newest event, so that only what comes now is shown."""
    listed = subprocess.run(
        [BIN / "dedupctl", "--socket", SOCKET, "events"], capture_output=True, text=True, check=True
    ).stdout.split("\n")
    numbers = [line.split()[0] for line in listed if line.split()[:1] and line.split()[0].isdigit()]
    return numbers[-1] if numbers else "0"


def control(*arguments: str) -> None:
    """Run dedupctl and show what it says."""
    subprocess.run([BIN / "dedupctl", "--socket", SOCKET, *arguments], check=False)


def title(command: str) -> None:
    """Show the command that comes."""
    print(f"\n\033[1m$ {command}\033[0m" if sys.stdout.isatty() else f"\n$ {command}", flush=True)


def main() -> None:
    """Run the demonstration."""
    HERE.mkdir(exist_ok=True)
    named = sys.argv[1:]
    if named:
        scan(Path(named[0]).expanduser())
        watch(Path(named[0]).expanduser(), is_example=False)
        return
    print(f"Making an example library in {EXAMPLE}")
    make_example()
    shutil.rmtree(STATE, ignore_errors=True)
    scan(EXAMPLE)
    watch(EXAMPLE, is_example=True)


if __name__ == "__main__":
    main()
