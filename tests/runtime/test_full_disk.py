"""A full disk leaves the old state intact, says so, and the same command goes on when there is space again."""

import resource
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from tiny_stages import Make, make, new_run

from burnish.artifacts import DatasetArtifact, Draft, Measurement, Store
from burnish.errors import BurnishError
from burnish.runtime import Workdir

# A file system of 1 MiB in a mount namespace of its own, so that no privilege is needed and nothing is left behind.
ON_A_SMALL_DISK = ["unshare", "--user", "--map-root-user", "--mount"]


@dataclass(frozen=True)
class Fill:
    num_bytes: int = 4 << 20


def fill_disk(out: Workdir, small: DatasetArtifact, *, config: Fill) -> Draft[DatasetArtifact]:
    (out.snapshots / "state").write_text("kept")
    with (out / "big.bin").open("wb") as file:
        for _ in range(0, config.num_bytes, 4096):
            file.write(bytes(4096))
    return Draft(DatasetArtifact, (Measurement("num_bytes", config.num_bytes, "bytes", 1),), "Zeros.")


def _has_namespaces() -> bool:
    if shutil.which("unshare") is None:
        return False
    command = [*ON_A_SMALL_DISK, "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", "/mnt"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_full_disk import Fill, fill_disk
from tiny_stages import Make, make, new_run
from burnish.artifacts import Store
from burnish.errors import BurnishError
store = Path(sys.argv[1]) / "store"
run = new_run(store)
small = run(make, config=Make())
for attempt in range(2):
    try:
        run(fill_disk, small, config=Fill())
    except BurnishError as error:
        print(error)
opened = Store(store)
print("sealed:", [artifact.stage for artifact in opened.all()], opened.open(small.digest).digest == small.digest)
print("half made:", [str(path) for path in store.glob("work/*/payload")])
print("done:", run(fill_disk, small, config=Fill(num_bytes=4096)).is_sealed)
"""


@pytest.mark.skipif(not _has_namespaces(), reason="this system gives no mount namespaces to a user")
def test_a_full_disk(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "script.py").write_text(SCRIPT)
    mount = f"mount -t tmpfs -o size=1m tmpfs {tmp_path}/disk"
    command = f"{mount} && exec {sys.executable} {tmp_path}/script.py {tmp_path}/disk {Path(__file__).parent}"
    done = subprocess.run([*ON_A_SMALL_DISK, "sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    first, second, sealed, half, last = done.stdout.splitlines()
    for message in (first, second):
        assert message.startswith(f"no space left in {tmp_path}/disk/store (")
        assert "nothing sealed was touched. Free some space, or choose another store with --store" in message
    assert sealed == "sealed: ['tiny_stages.make'] True"
    assert half == "half made: []"
    assert last == "done: True"


def test_a_limit_on_file_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same through the limit that a process may set itself, which needs no privilege anywhere."""
    run = new_run(tmp_path / "store")
    small = run(make, config=Make())
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    try:
        with pytest.raises(BurnishError, match=r"cannot write in .*File too large; nothing sealed was touched"):
            run(fill_disk, small, config=Fill())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert [artifact.digest for artifact in Store(tmp_path / "store").all()] == [small.digest]
    assert list((tmp_path / "store" / "work").glob("*/payload")) == []
    assert run(fill_disk, small, config=Fill()).is_sealed


def test_space_that_ends_while_sealing_keeps_the_snapshots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = new_run(tmp_path / "store")
    small = run(make, config=Make())

    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", no_space)
        with pytest.raises(BurnishError, match=r"no space left in .* MiB free"):
            run(fill_disk, small, config=Fill(4096))
    assert [path.read_text() for path in (tmp_path / "store" / "work").glob("*.snapshots/state")] == ["kept"]
    assert run(fill_disk, small, config=Fill(4096)).is_sealed
