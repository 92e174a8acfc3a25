"""The torch backend: without Triton, with its kernels interpreted, compiled, and on a CUDA device."""

import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from libraries import plain_reading, same_bits, to_torch, torch
from strategies import by_night, examples, products

from mpimpy import DAC, Device, Engine, Format, Gaussian, Tile, WriteVerify, backends, noise

if torch is None:
    pytest.skip("needs torch", allow_module_level=True)

from mpimpy.backends import Draw, choice, reference
from mpimpy.backends.cuda import torch_cuda

HERE = pathlib.Path(__file__).parents[1]
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
ENGINES = {
    "int8 grid": Engine(Device(var=0), seed=1),
    "int16 grid": Engine(seed=1),
    "noise": Engine(Device(write_var=0.1, stuck_HGS=0.05, stuck_LGS=0.05), DAC(vnoise=0.05), seed=1),
    "int32 grid": Engine(Device(var=0.005), seed=1),
    "snap": Engine(Device(var=0.02), seed=1).replace(adc={"snap": True}),
    "no saturation": Engine(seed=1).replace(adc={"saturate": False, "radc": (17, 256, 300, 9)}),
    "ADC errors": Engine(seed=1).replace(adc={"noise_lsb": 0.5, "offset_lsb": 0.5, "gain_error": 0.01}),
    "13 bits": Engine(Device(g_level=32), DAC(32), seed=1).replace(
        inputs=Format((1, 1, 2, 4, 5)), weights=Format((1, 1, 2, 4, 5))
    ),
    "long tiles": Engine(Device(var=0.02), tile=Tile(200, 64), seed=1),
    "a law per level": Engine(
        Device(
            levels=np.geomspace(1e-7, 1e-5, 16),
            var=Gaussian(1e-7),
            write_var=[0.02 + 0.01 * level for level in range(16)],
            verify=WriteVerify(3e-7, 3),
            stuck_LGS=0.05,
        ),
        seed=1,
    ),
}


@pytest.mark.slow
def test_interpreted_kernels():
    pytest.importorskip("triton")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        str(pathlib.Path(__file__).with_name("test_triton.py")),
    ]
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=HERE.parent)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert re.search(r"^\d+ passed", done.stdout, re.MULTILINE), done.stdout[-2000:]
    assert "skipped" not in done.stdout


class Compiler:
    """Stands for the module of kernels: what would be launched is compiled for cards that are not here."""

    def __init__(self, kernels, cards):
        self.triton, self.cards, self.found = kernels.triton, cards, []
        self.tl, self.MAGIC_BITS = kernels.tl, kernels.MAGIC_BITS
        for name in ("perturb", "perturb_levels", "subtract", "apply_stuck_cells", "read"):
            setattr(self, name, self.launcher(name, getattr(kernels, name)))

    def launcher(self, name, kernel):
        def launch(*arguments, **options):
            names = kernel.arg_names
            constants = {key: options.pop(key) for key in list(options) if key in names}
            signature, aligned = {}, {}
            for index, (key, value) in enumerate(zip(names, arguments, strict=False)):
                free = not kernel.params[index].do_not_specialize
                if isinstance(value, torch.Tensor):
                    kind = str(value.dtype).removeprefix("torch.").replace("float", "fp").replace("int", "i")
                    signature[key], aligned[(index,)] = f"*{kind}", [["tt.divisibility", 16]]
                elif value == 1 and free:  # as Triton does when it launches
                    constants[key] = 1
                else:
                    signature[key] = "i32" if -(2**31) <= value < 2**31 else "i64"
                    if free and value % 16 == 0:
                        aligned[(index,)] = [["tt.divisibility", 16]]
            where = {(names.index(key),): value for key, value in constants.items()}
            signature |= dict.fromkeys(constants, "constexpr")
            source = self.triton.compiler.ASTSource(kernel, {key: signature[key] for key in names}, where, aligned)
            for card in self.cards:
                target = self.triton.backends.compiler.GPUTarget("cuda", card, 32)
                self.found.append((name, self.triton.compile(source, target=target, options=options)))

        return _Grid(launch)


class _Grid:
    def __init__(self, launch):
        self.launch = launch

    def __getitem__(self, grid):
        return self.launch


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """Folder of what Triton has compiled: kernels that two engines share are compiled once."""
    return tmp_path_factory.mktemp("triton")


@pytest.mark.slow
@pytest.mark.skipif(INTERPRETED, reason="Triton interprets in this process")
@pytest.mark.parametrize("name", ENGINES)
def test_kernels_compile_for_cuda_without_fusing(name, monkeypatch, compiled, rng):
    pytest.importorskip("triton")
    from mpimpy.backends.cuda import _triton

    monkeypatch.setenv("TRITON_CACHE_DIR", str(compiled))
    # for either generation of cards, in turn
    cards = (80, 90) if by_night() else ((80, 90)[list(ENGINES).index(name) % 2],)
    compiler = Compiler(_triton, cards)
    monkeypatch.setattr(torch_cuda, "_usable", lambda kind, index: compiler)
    x, w = rng.standard_normal((3 if name == "int8 grid" else 70, 256)), rng.standard_normal((256, 64))
    engine = Engine.from_config(ENGINES[name].config, seed=1, backend="torch")
    engine.program(to_torch(w)).read(to_torch(x), read=0)
    kinds = {kind for kind, _ in compiler.found}
    assert "read" in kinds
    assert ("perturb_levels" in kinds) == (name in ("a law per level", "ADC errors"))
    for kind, code in compiler.found:
        ptx = code.asm["ptx"]
        assert not re.search(r"\bfma\.", ptx)
        assert not code.metadata.enable_fp_fusion  # what makes ptxas leave them apart too
        if kind == "read":
            assert "s32.s8.s8" in ptx  # the int8 tensor cores, of either generation


@pytest.mark.skipif(INTERPRETED, reason="Triton interprets in this process")
@pytest.mark.parametrize("name", ENGINES)
def test_launches_give_kernels_every_argument_once(name, monkeypatch, rng):
    # compiling the kernels takes long: here nothing runs, and what they would get is looked at
    pytest.importorskip("triton")
    from mpimpy.backends.cuda import _triton

    found = []

    class Kernels:
        tl, MAGIC_BITS = _triton.tl, _triton.MAGIC_BITS

        def __getattr__(self, kernel):
            return Grid(kernel, getattr(_triton, kernel).arg_names)

    class Grid:
        def __init__(self, kernel, names):
            self.kernel, self.names = kernel, names

        def __getitem__(self, grid):
            def launch(*arguments, num_warps, enable_fp_fusion, **constants):
                assert sorted([*self.names[: len(arguments)], *constants]) == sorted(self.names)
                assert not enable_fp_fusion
                assert num_warps in (4, 8)
                assert all(isinstance(number, int) and number > 0 for number in grid)
                tensors = [value for value in arguments if isinstance(value, torch.Tensor)]
                assert all(tensor.is_contiguous() for tensor in tensors)
                assert all(-(2**31) <= value < 2**32 for value in arguments if isinstance(value, int))
                found.append((self.kernel, grid, dict(zip(self.names, arguments, strict=False)) | constants))

            return launch

    monkeypatch.setattr(torch_cuda, "_usable", lambda kind, index: Kernels())
    # 17 tiles of 64 rows, or 6 of 200: two panels, or one
    x, w = rng.standard_normal((3, 17 * 64)), rng.standard_normal((17 * 64, 70))
    engine = Engine.from_config(ENGINES[name].config, seed=1, backend="torch")
    engine.program(to_torch(w)).read(to_torch(x), read=0)
    kinds = [kernel for kernel, *_ in found]
    assert ("perturb_levels" in kinds) == (name in ("a law per level", "ADC errors"))
    assert ("apply_stuck_cells" in kinds) == (name in ("noise", "a law per level"))
    grids = [grid for kernel, grid, _ in found if kernel == "read"]
    tiles = 6 if name == "long tiles" else 17
    blocks = 2  # of 64 columns
    assert grids == [(blocks, -(-tiles // 16))]
    given = next(arguments for kernel, _, arguments in found if kernel == "read")
    assert (given["height"], given["depth"], given["width"], given["tiles"]) == (3, 17 * 64, 70, tiles)
    assert given["SATURATE"] == (name != "no saturation")
    assert given["SNAP"] == (name == "snap")
    assert given["NOISE"] == given["GAIN"] == given["OFFSET"] == (name == "ADC errors")


@given(products(ideal=False))
@settings(max_examples=examples(20))
def test_torch_settings_change_nothing(case):
    config, x, w = case
    expected = Engine.from_config(config, seed=3).program(w).read(x, read=1)
    x, w = to_torch(x), to_torch(w)
    default, tf32 = torch.get_default_dtype(), torch.backends.cuda.matmul.allow_tf32
    try:
        for dtype in (torch.float16, torch.float64):
            torch.set_default_dtype(dtype)
            torch.backends.cuda.matmul.allow_tf32 = not torch.backends.cuda.matmul.allow_tf32
            W = Engine.from_config(config, seed=3, backend="torch").program(w)
            result = W.read(x, read=1)
            assert result.dtype == (torch.float32 if expected.dtype == np.float32 else torch.float64)
            assert same_bits(result, expected)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                result = W.read(x, read=1)
            # autocast is the one that counts: torch casts inputs of a product, but not float64
            if x.dtype == torch.float64:
                assert same_bits(result, expected)
            else:
                assert result.dtype == torch.bfloat16
                assert torch.equal(result, W.read(x.to(torch.bfloat16), read=1).to(torch.bfloat16))
    finally:
        torch.set_default_dtype(default)
        torch.backends.cuda.matmul.allow_tf32 = tf32


def test_who_gets_the_backend():
    tensor = torch.ones(2)
    assert backends.select(tensor).NAME == "numba"
    assert backends.select(tensor, "torch") is torch_cuda
    with pytest.raises(ValueError, match=r"backend 'torch' takes torch tensors.*, not numpy.ndarray: use backend=None"):
        backends.select(np.ones(2), "torch")


def test_a_tensor_on_cuda_is_chosen_for(monkeypatch):
    monkeypatch.setattr(choice, "in_cpu_memory", lambda array: False)
    tensor = torch.ones(2)
    assert choice._name_for(tensor) == "reference"

    class OnCuda(torch.Tensor):
        device = torch.device("cuda", 0)

    assert choice._name_for(tensor.as_subclass(OnCuda)) == "torch"


def test_constants_are_made_once_and_the_oldest_go(monkeypatch):
    monkeypatch.setattr(torch_cuda, "KEPT", 2)
    monkeypatch.setattr(torch_cuda, "_constants", {})
    cpu = torch.device("cpu")
    first = torch_cuda._constant((1, 2), torch.int32, cpu)
    assert torch_cuda._constant((1, 2), torch.int32, cpu) is first
    assert torch_cuda._constant((1.0, 2.0), torch.float64, cpu).dtype is torch.float64
    assert torch_cuda._constant((1, 2), torch.int32, cpu) is first  # asked for again: not the oldest
    torch_cuda._constant((3,), torch.int32, cpu)
    assert torch_cuda._constant((1, 2), torch.int32, cpu) is first
    table = noise.lognormal_table(0.3)
    assert torch_cuda._constant(table, torch.int32, cpu).tolist() == noise.table_values(table)
    assert len(torch_cuda._constants) == 2
    monkeypatch.setattr(torch_cuda, "KEPT_BYTES", 300_000)  # large tables go before there are too many
    torch_cuda._constant(noise.lognormal_table(0.4), torch.int32, cpu)
    assert len(torch_cuda._constants) == 1


def test_a_triton_that_cannot_launch_is_said_and_plain_torch_runs(monkeypatch):
    triton = pytest.importorskip("triton")
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: (9, 0))

    class Active:
        @property
        def active(self):
            raise RuntimeError("Failed to find C compiler")

    monkeypatch.setattr(triton.runtime, "driver", Active())
    with pytest.warns(RuntimeWarning, match=r"slower plain torch runs instead: Failed to find C compiler"):
        assert torch_cuda._usable.__wrapped__("cuda", 0) is None
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: (7, 5))
    assert torch_cuda._usable.__wrapped__("cuda", 0) is None
    assert torch_cuda._usable.__wrapped__("cpu", None) is None


def test_a_card_without_triton_says_what_to_install(monkeypatch):
    import mpimpy.backends.cuda as package

    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: (9, 0))
    monkeypatch.delattr(package, "_triton", raising=False)
    monkeypatch.delitem(sys.modules, "mpimpy.backends.cuda._triton", raising=False)
    monkeypatch.setitem(sys.modules, "triton", None)
    with pytest.warns(RuntimeWarning, match=r"slower plain torch runs on the card instead: pip install triton"):
        assert torch_cuda._usable.__wrapped__("cuda", 0) is None


def test_a_backend_whose_package_is_missing_says_what_to_install(monkeypatch):
    def missing(name, package):
        raise ImportError("No module named 'numba'")

    monkeypatch.setattr(choice.importlib, "import_module", missing)
    monkeypatch.setattr(choice.importlib.util, "find_spec", lambda name: None)
    choice._module.cache_clear()
    try:
        with pytest.raises(
            ImportError, match=r"'numba', which takes NumPy .*, cannot run: Numba is not .*install numba"
        ):
            backends.select(np.ones(2))
        monkeypatch.setattr(choice.importlib.util, "find_spec", lambda name: name)
        with pytest.raises(ImportError, match=r"'torch', which takes torch .*, cannot run: No module named 'numba'"):
            backends.select(torch.ones(2), "torch")
    finally:
        choice._module.cache_clear()


def on_cuda(array):
    return to_torch(array).cuda()


@cuda
@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("shape", [(1, 70, 9), (150, 200, 170), (37, 1100, 65)])
def test_cuda_gives_the_bits_of_the_cpu(name, shape, rng):
    m, k, n = shape
    x, w = rng.standard_normal((m, k)).astype(np.float32), rng.standard_normal((k, n)).astype(np.float32)
    expected = ENGINES[name].program(w).read(x, read=2)
    result = ENGINES[name].program(on_cuda(w)).read(on_cuda(x), read=2)
    assert (result.device.type, result.dtype) == ("cuda", torch.float32)
    assert same_bits(result.cpu(), expected)


@cuda
def test_streams_autocast_and_tf32_change_nothing_on_cuda(rng, monkeypatch):
    monkeypatch.setattr(torch_cuda, "_constants", {})
    x, w = rng.standard_normal((70, 300)), rng.standard_normal((300, 90))
    expected = {name: engine.program(w).read(x, read=2) for name, engine in ENGINES.items()}
    x, w = on_cuda(x), on_cuda(w)
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        for name, engine in ENGINES.items():
            for stream in (torch.cuda.Stream(), torch.cuda.Stream()):
                stream.wait_stream(torch.cuda.current_stream())
                with torch.cuda.stream(stream), torch.autocast("cuda", dtype=torch.float16):
                    result = engine.program(w).read(x, read=2)
                stream.synchronize()
                assert same_bits(result.cpu(), expected[name]), name
    finally:
        torch.backends.cuda.matmul.allow_tf32 = False


@cuda
def test_kernels_never_wait_for_the_device(monkeypatch):
    # the finite check of operands does, once, at the public edge: the kernels themselves must not
    digits = torch.ones((2, 70, 600), dtype=torch.int8, device="cuda")
    grid = torch.ones((2, 600, 90), dtype=torch.int16, device="cuda")
    scales = (
        torch.ones((70, 38), dtype=torch.float64, device="cuda"),
        torch.ones((38, 90), dtype=torch.float64, device="cuda"),
    )
    reading = plain_reading(
        strides=(1, 2),
        widths=(1, 1),
        signed=False,
        rows=16,
        bound=2**20,
        adc_gain=((1.0, 1.0),) * 2,
        code_range=(((0, 0),) * 2, ((255, 255),) * 2),
        shift_weights=((1.0, 2.0), (2.0, 4.0)),
    )
    draw = Draw(noise.lognormal_table(0.1), 0, 3, 3, shift=16, bound=30000, dtype="int16")
    address = noise.Address(1, 2, 3, noise.READ)

    def run():
        cells = torch_cuda.perturb(grid, draw, address)
        cells = torch_cuda.apply_stuck_cells(cells, address, high_share=2**30, low_share=2**30, high=9)
        return torch_cuda.read(digits, scales[0], cells, scales[1], reading, "float32")

    first = run()  # compiles
    monkeypatch.setattr(torch_cuda, "_constants", {})
    torch.cuda.set_sync_debug_mode("error")
    try:
        second = run()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert same_bits(first.cpu(), second.cpu())
    cells = reference.perturb(grid.cpu(), draw, address)
    cells = reference.apply_stuck_cells(cells, address, high_share=2**30, low_share=2**30, high=9)
    expected = reference.read(digits.cpu(), scales[0].cpu(), cells, scales[1].cpu(), reading, "float32")
    assert same_bits(first.cpu(), expected)
