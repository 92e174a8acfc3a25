"""The demonstrations of the command line: a photograph compressed on crossbars, and two matrix products."""

import importlib
import importlib.util
import math
import time
from dataclasses import dataclass
from typing import Any

from .analysis.metrics import SNR
from .analysis.report import Report
from .checks import as_float
from .compat.dpetensor import DPETensor
from .compat.sliced import SlicedData
from .engine import Engine

__all__ = ["Compression", "Product", "compress", "dct_matrix", "matmul", "photograph"]

BLOCK = 8
MID_GREY = 128.0
WHITE = 255.0
SIZE = 1000  # rows and columns of the matrices of `matmul`


@dataclass(frozen=True, eq=False)
class Compression:
    """Picture compressed exactly and on crossbars; its text is a summary.

    Attributes
    ----------
    original, exact, crossbar : float64 array, shape (H, W)
        Grey levels, not clipped: 0 is black and 255 white.
    coefficients, pixels : (float64 array, float64 array), shape (blocks, 64) each
        First and second product, (measured, exact). Mid-grey is subtracted from the pixels.
    kept : int
        Coefficients kept of the 64 of each block.
    reports : (Report, Report)
        Of the two products.
    seed, chip : int
    seconds, exact_seconds : float
        Time of the two products on the simulated crossbars, and in NumPy, s.
    """

    original: Any
    exact: Any
    crossbar: Any
    coefficients: tuple[Any, Any]
    pixels: tuple[Any, Any]
    kept: int
    reports: tuple[Report, Report]
    seed: int
    chip: int
    seconds: float
    exact_seconds: float

    def figures(self) -> dict[str, Any]:
        """Return all figures of the text, by name."""
        names = ("kept", "seed", "chip", "seconds", "exact_seconds", "reports")
        found = {name: getattr(self, name) for name in names}
        pairs = (("crossbar", "exact"), ("crossbar", "original"), ("exact", "original"))
        psnr = {f"psnr_{measured}_{reference}_dB": self.psnr(measured, reference) for measured, reference in pairs}
        return {"snr_dB": SNR(*self.pixels), "snr_first_dB": SNR(*self.coefficients), **psnr, **found}

    def psnr(self, measured: str, reference: str) -> float:
        """Return the peak signal-to-noise ratio between two of the pictures, dB.

        Parameters
        ----------
        measured, reference : {"original", "exact", "crossbar"}
        """
        difference = getattr(self, measured) - getattr(self, reference)
        error = float((difference**2).mean())
        return 10 * math.log10(WHITE**2 / error) if error > 0 else math.inf

    def __str__(self) -> str:
        height, width = self.original.shape
        arrays = sum(math.prod(report.tiles) for report in self.reports)
        rows, cols = self.reports[0].array
        lines = [
            f"picture          {width} x {height} pixels, {self.kept} of 64 coefficients kept in each 8 x 8 block",
            f"SNR              {SNR(*self.pixels):.2f} dB against the exact picture, mid-grey taken off both",
            f"                 {SNR(*self.coefficients):.2f} dB after the first of the two products",
            f"PSNR             {self.psnr('crossbar', 'exact'):.2f} dB against the exact picture",
            f"                 {self.psnr('crossbar', 'original'):.2f} dB against the original "
            f"(exact: {self.psnr('exact', 'original'):.2f} dB)",
            f"arrays           {arrays} of {rows} x {cols}",
            f"DAC conversions  {sum(report.dac_conversions for report in self.reports)}",
            f"ADC conversions  {sum(report.adc_conversions for report in self.reports)}",
            f"seed             {self.seed}, chip {self.chip}",
            f"time             {self.seconds:.4f} s on the simulated crossbars, {self.exact_seconds:.4f} s with np.dot",
        ]
        return "\n".join(lines)


def photograph() -> Any:
    """Return the photograph that comes with Matplotlib: Rear Admiral Grace Hopper.

    Returns
    -------
    float64 array, shape (600, 512)
        Grey levels, 0 to 255.
    """
    import numpy as np
    from matplotlib import cbook, image

    source: Any = cbook.get_sample_data("grace_hopper.jpg")
    with source as file:
        colours = image.imread(file, format="jpg")
    # luma of ITU-R BT.601, as JPEG has it
    return colours.astype(np.float64) @ np.array([0.299, 0.587, 0.114])


def dct_matrix() -> Any:
    """Return the matrix of the orthonormal two-dimensional DCT of 8 x 8 blocks.

    Returns
    -------
    float64 array, shape (64, 64)
        Its rows are the basis pictures: it turns a flattened block into coefficients.

    Examples
    --------
    >>> import numpy as np
    >>> matrix = dct_matrix()
    >>> bool(np.allclose(matrix @ matrix.T, np.eye(64)))
    True
    """
    import numpy as np

    k = np.arange(BLOCK, dtype=np.float64)
    line = np.sqrt(2 / BLOCK) * np.cos(np.pi * k[:, None] * (2 * k + 1) / (2 * BLOCK))
    line[0] /= np.sqrt(2)
    return np.kron(line, line)


def _cropped(picture: Any) -> Any:
    import numpy as np

    picture = np.asarray(picture, dtype=np.float64)
    if picture.ndim != 2 or min(picture.shape) < BLOCK:
        msg = f"the picture has shape {picture.shape}: it must be grey, and at least {BLOCK} x {BLOCK} pixels"
        raise ValueError(msg)
    height, width = (size // BLOCK * BLOCK for size in picture.shape)
    return picture[:height, :width]


def _to_rows(picture: Any) -> Any:
    # (H, W) -> (blocks, 64)
    height, width = picture.shape
    blocks = picture.reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK).swapaxes(1, 2)
    return blocks.reshape(-1, BLOCK * BLOCK)


def _from_rows(rows: Any, shape: tuple[int, int]) -> Any:
    height, width = shape
    return rows.reshape(height // BLOCK, width // BLOCK, BLOCK, BLOCK).swapaxes(1, 2).reshape(shape)


def _largest(coefficients: Any, kept: int) -> Any:
    import numpy as np

    # a stable sort keeps the lower frequency of equal coefficients
    order = np.argsort(-np.abs(coefficients), axis=1, kind="stable")[:, :kept]
    out = np.zeros_like(coefficients)
    np.put_along_axis(out, order, np.take_along_axis(coefficients, order, axis=1), axis=1)
    return out


def _timed(x: Any, w: Any) -> tuple[Any, float]:
    start = time.perf_counter()
    y = x @ w
    return y, time.perf_counter() - start


def _transform(rows: Any, forward: Any, inverse: Any, kept: int) -> tuple[Any, Any, Any, float]:
    # matrices may be in memory or in crossbars
    coefficients, first = _timed(rows, forward)
    chosen = _largest(coefficients, kept)
    pixels, second = _timed(chosen, inverse)
    return coefficients, chosen, pixels, first + second


def _programmed(engine: Engine, matrix: Any) -> tuple[Any, Any]:
    # each has cells of its own
    return engine.program(matrix.T, name="dct"), engine.program(matrix, name="inverse dct")


def compress(picture: Any, engine: Engine, keep: float = 0.25) -> Compression:
    """Compress a picture as JPEG does, by the largest coefficients of its 8 x 8 blocks.

    A block is a row of 64 pixels, from which mid-grey is subtracted. One product by a 64 x 64 matrix gives
    its coefficients. A second product returns its pixels. Both are computed on crossbars, and exactly.

    Parameters
    ----------
    picture : array_like, shape (H, W)
        Grey levels, 0 to 255; cropped to whole blocks.
    engine : Engine
    keep : float
        Share of the coefficients kept, above 0 and at most 1; at least one of each block.

    Returns
    -------
    Compression

    Raises
    ------
    ValueError, TypeError
        If the picture is not grey or has no whole block, or `keep` is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> ramp = np.add.outer(np.arange(16.0), np.arange(24.0))
    >>> compress(ramp, DPETensor(radc=None, var=0, seed=1)).crossbar.shape
    (16, 24)
    """
    kept = max(1, round(as_float("keep", keep, 0, 1, above=True) * BLOCK**2))
    original = _cropped(picture)
    rows, matrix = _to_rows(original) - MID_GREY, dct_matrix()
    # untimed, since the first products of a process compile the kernels and start the threads
    warm = engine.replace()
    _transform(rows[:1], *_programmed(warm, matrix), kept)
    _transform(rows, matrix.T, matrix, kept)

    forward, inverse = _programmed(engine, matrix)
    measured, chosen, measured_pixels, seconds = _transform(rows, forward, inverse, kept)
    exact, _, exact_pixels, exact_seconds = _transform(rows, matrix.T, matrix, kept)
    return Compression(
        original=original,
        exact=_from_rows(exact_pixels + MID_GREY, original.shape),
        crossbar=_from_rows(measured_pixels + MID_GREY, original.shape),
        coefficients=(measured, exact),
        pixels=(measured_pixels, exact_pixels),
        kept=kept,
        reports=(forward.report(rows, matrix.T), inverse.report(chosen, matrix)),
        seed=engine.seed,
        chip=engine.chip,
        seconds=seconds,
        exact_seconds=exact_seconds,
    )


# -- two products -----------------------------------------------------------------------------


# The two examples of the predecessor: axes of the inputs before the last two, slices of the operands, and
# settings of the engine.
_EXAMPLES: dict[int, tuple[tuple[int, ...], dict[str, Any], dict[str, Any]]] = {
    0: (
        (2,),
        {"slice_method": (1, 1, 2, 4), "bw_e": 8, "quant_gran": (64, 64)},
        {"var": 0.05, "g_level": 16, "rdac": 16, "radc": 2**8},
    ),
    1: (
        (),
        {"slice_method": (1, 1, 2, 2), "bw_e": None, "quant_gran": (64, 64)},
        {"var": 0.0, "g_level": 16, "rdac": 16, "radc": 2**12},
    ),
}


@dataclass(frozen=True, eq=False)
class Product:
    """Product of one of the predecessor's examples; its text has the predecessor's lines and some more.

    Attributes
    ----------
    mode : int
    library : str
        "torch" or "numpy".
    measured, exact : float64 ndarray
    seconds, exact_seconds : float
        Time of slicing and product on the simulated crossbars, and of the exact product, s.
    """

    mode: int
    library: str
    measured: Any
    exact: Any
    seconds: float
    exact_seconds: float

    def figures(self) -> dict[str, Any]:
        """Return the figures of the text, by name."""
        names = ("mode", "library", "seconds", "exact_seconds")
        return {"snr_dB": SNR(self.measured, self.exact)} | {name: getattr(self, name) for name in names}

    def __str__(self) -> str:
        _, slicing, settings = _EXAMPLES[self.mode]
        given = ", ".join(f"{name}={value}" for name, value in (slicing | settings).items())
        return (
            f"mode {self.mode} on {self.library}, {given}\n"
            f"SNR(dB) {SNR(self.measured, self.exact):.2f}\n"
            f"time {self.seconds:.3f} s, {self.library}.matmul {self.exact_seconds:.3f} s"
        )


def _torch() -> Any:
    return importlib.import_module("torch") if importlib.util.find_spec("torch") else None


def _example_data(batch: tuple[int, ...]) -> tuple[str, Any, Any]:
    """Return library, inputs and weights: the predecessor's numbers if torch is installed, else NumPy's."""
    shapes = (*batch, SIZE, SIZE), (SIZE, SIZE)
    torch = _torch()
    if torch is not None:
        with torch.random.fork_rng(devices=[]):  # the caller's random numbers do not change
            torch.manual_seed(42)
            x, w = (torch.randn(*shape, dtype=torch.float64) for shape in shapes)
            return "torch", x, w
    import numpy as np

    rng = np.random.default_rng(42)
    return "numpy", rng.standard_normal(shapes[0]), rng.standard_normal(shapes[1])


def _sliced_product(engine: Engine, slicing: dict[str, Any], x: Any, w: Any) -> Any:
    weights = SlicedData(is_weight=True, paral_size=(64, 64), **slicing)
    inputs = SlicedData(paral_size=(64, 64), **slicing)
    for operand, data in ((weights, w), (inputs, x)):
        operand.slice_data_imp(engine, data)
    return engine(inputs, weights)


def matmul(mode: int, *, seed: int | None = None, chip: int = 0, backend: str | None = None) -> Product:
    """Run one of the predecessor's two examples.

    Parameters
    ----------
    mode : int
        0: two matrices times one, 8-bit slices with shared exponents, an 8-bit ADC and 5 %
        variation. 1: 6-bit integers, a 12-bit ADC, no variation.
    seed, chip, backend
        As for `DPETensor`.

    Returns
    -------
    Product

    Raises
    ------
    ValueError, TypeError
        If `seed`, `chip` or `backend` is out of range.
    """
    import numpy as np

    batch, slicing, settings = _EXAMPLES[mode]
    engine = DPETensor(**settings, seed=seed, chip=chip, backend=backend)
    library, x, w = _example_data(batch)
    # untimed, as in `compress`
    _sliced_product(DPETensor(**settings, seed=0, backend=backend), slicing, x[..., :64, :64], w[:64, :64])
    start = time.perf_counter()
    measured = _sliced_product(engine, slicing, x, w)
    seconds = time.perf_counter() - start
    exact, exact_seconds = _timed(x, w)
    return Product(mode, library, np.asarray(measured), np.asarray(exact), seconds, exact_seconds)
