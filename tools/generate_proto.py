"""Generate the Python of the public contract from `proto/`.

python tools/generate_proto.py                 everything, and the descriptor set
python tools/generate_proto.py billing_event   one domain only, while working on it
python tools/generate_proto.py --check         fail when the committed code is out of date
"""

import argparse
import filecmp
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
PROTO: Final = ROOT / "proto"
THIRD_PARTY: Final = PROTO / "third_party"
TARGET: Final = ROOT / "libs" / "throughline-proto" / "src"
PACKAGES: Final = ("throughline", "buf")
DESCRIPTOR_SET: Final = Path("throughline", "descriptor_set.binpb")
# google.api comes with googleapis-common-protos; buf.validate is published for no runtime of ours.
GENERATED_THIRD_PARTY: Final = (THIRD_PARTY / "buf" / "validate" / "validate.proto",)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("domains", nargs="*", help="only these folders of proto/throughline")
    parser.add_argument("--check", action="store_true", help="compare, change nothing")
    options = parser.parse_args(arguments)
    if options.check:
        return _check()
    if options.domains:
        for domain in options.domains:
            _compile(sorted((PROTO / "throughline" / domain).rglob("*.proto")), TARGET)
        _add_packages(TARGET / "throughline")
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        _generate(Path(scratch))
        _replace(Path(scratch))
    return 0


def _replace(fresh: Path) -> None:
    """Bring the committed tree to `fresh`, touching only what differs."""
    for path in _drifted(fresh):
        (TARGET / path).unlink(missing_ok=True)
        if (fresh / path).exists():
            (TARGET / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(fresh / path, TARGET / path)


def _drifted(fresh: Path) -> list[Path]:
    wanted, present = (
        {
            path.relative_to(root)
            for package in PACKAGES
            for path in (root / package).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        for root in (fresh, TARGET)
    )
    return sorted(
        path
        for path in wanted | present
        if path not in wanted
        or path not in present
        or not filecmp.cmp(fresh / path, TARGET / path, shallow=False)
    )


def _generate(target: Path) -> None:
    """Write the whole tree below the empty folder `target`."""
    sources = sorted((PROTO / "throughline").rglob("*.proto"))
    _compile([*sources, *GENERATED_THIRD_PARTY], target)
    for package in PACKAGES:
        _add_packages(target / package)
    _protoc(
        [
            f"--descriptor_set_out={target / DESCRIPTOR_SET}",
            "--include_imports",
            "--include_source_info",
            *map(str, sources),
        ]
    )


def _compile(sources: Sequence[Path], target: Path) -> None:
    _protoc(
        [
            f"--python_out={target}",
            f"--mypy_out=quiet:{target}",
            f"--grpc_python_out={target}",
            f"--mypy_grpc_out=quiet:{target}",
            *map(str, sources),
        ]
    )
    _drop_empty_services(target)


def _protoc(arguments: Sequence[str]) -> None:
    tools = Path(sys.executable).parent
    well_known = files("grpc_tools") / "_proto"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "grpc_tools.protoc",
            f"--plugin=protoc-gen-mypy={tools / 'protoc-gen-mypy'}",
            f"--plugin=protoc-gen-mypy_grpc={tools / 'protoc-gen-mypy_grpc'}",
            # First, as it lies inside the other root: the first root that fits names a file.
            f"-I{THIRD_PARTY}",
            f"-I{PROTO}",
            f"-I{well_known}",
            *arguments,
        ],
        check=True,
    )


def _drop_empty_services(target: Path) -> None:
    """Remove the gRPC modules protoc writes for files that declare no service."""
    for module in target.rglob("*_pb2_grpc.py"):
        if "Servicer" not in module.read_text():
            module.unlink()
            module.with_suffix(".pyi").unlink(missing_ok=True)


def _add_packages(root: Path) -> None:
    for folder in [root, *(path for path in root.rglob("*") if path.is_dir())]:
        if folder.name != "__pycache__":
            (folder / "__init__.py").touch()
            (folder / "__init__.pyi").unlink(missing_ok=True)
    (root / "py.typed").touch()


def _check() -> int:
    with tempfile.TemporaryDirectory() as scratch:
        _generate(Path(scratch))
        drifted = _drifted(Path(scratch))
    for path in drifted:
        print(f"out of date: {(TARGET / path).relative_to(ROOT)}")
    if drifted:
        print("run `make proto` and commit what it writes")
    return 1 if drifted else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
