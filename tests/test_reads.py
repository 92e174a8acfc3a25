"""Streams of reads: copies of an engine count reads of their own, and any of them can be replayed."""

import copy
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
from libraries import RUNNERS, same_bits
from strategies import each_runner

import mpimpy
from mpimpy import ADC, DAC, Device, DPETensor, Engine, Format, SlicedData, Tile, Wires, bitslicedpe
from mpimpy.noise import MAX_READ
from mpimpy.reads import ReadCounter

x, w = np.random.default_rng(0).standard_normal((2, 70, 70))
x = x[:5]


def through_pickle(value):
    return pickle.loads(pickle.dumps(value))


def in_a_fork(function, times=1):
    """Return what `function` returns in forked processes, one after the other."""
    found = []
    for _ in range(times):
        inlet, outlet = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python's own, about forks beside threads
            child = os.fork()
        if child == 0:
            threading.Timer(60, os._exit, (3,)).start()  # rather than a hang for ever
            status = 1
            try:
                os.write(outlet, pickle.dumps(function()))  # less than a pipe holds
                status = 0
            finally:
                os._exit(status)
        os.close(outlet)
        with os.fdopen(inlet, "rb") as pipe:
            data = pipe.read()
        assert os.waitpid(child, 0)[1] == 0
        found.append(pickle.loads(data))
    return found


COPIES = {"pickle": through_pickle, "deepcopy": copy.deepcopy}


@pytest.mark.parametrize("clone", COPIES.values(), ids=COPIES)
def test_a_copy_of_a_counter_counts_on_in_a_stream_of_its_own(clone):
    counter = ReadCounter(3)
    first, second, third = clone(counter), clone(counter), clone(clone(counter))
    streams = {first.stream, second.stream, third.stream}
    assert len(streams) == 3
    assert all(len(stream) == 16 and int(stream, 16) >= 0 for stream in streams)
    assert first.next_read() == (3, first.stream)
    assert (first.reads, counter.reads) == (4, 3)
    assert counter.next_read() == (3, None)


def test_copies_of_one_pickle_have_streams_of_their_own():
    data = pickle.dumps(Engine(seed=1))
    assert len({pickle.loads(data).stream for _ in range(4)}) == 4


@pytest.mark.parametrize("clone", COPIES.values(), ids=COPIES)
def test_an_engine_and_its_matrices_are_copied_with_one_counter(clone):
    engine = DPETensor(seed=1)
    pair = engine.program(w), engine.program(w, name="second")
    pair[0].read(x)
    other, (first, second) = clone((engine, pair))
    assert other.stream == first.stream == second.stream
    assert engine.stream is None
    first.read(x)
    second.read(x)
    assert (other.reads, engine.reads) == (3, 1)


def test_a_shallow_copy_is_the_same_engine():
    engine = Engine(seed=1)
    matrix = engine.program(w)
    for original in (engine, matrix):
        assert copy.copy(original).stream is None
    found = {copy.copy(matrix).read(x).tobytes(), copy.copy(engine)(x, w).tobytes(), matrix.read(x).tobytes()}
    assert (len(found), engine.reads) == (3, 3)


EFFECTS = {
    "read variation": {"device": Device(var=0.1)},
    "DAC noise": {"device": Device(var=0), "dac": DAC(16, vnoise=0.05)},
    "ADC noise": {"device": Device(var=0), "adc": ADC(256, noise_lsb=1.0)},
    "solved for each read": {"device": Device(var=0.1), "tile": Tile(4, 4), "wires": Wires(2.0, 2.0, True)},
    "ideal ADC": {"device": Device(var=0.1), "dac": DAC(16, vnoise=0.05), "adc": ADC(None)},
}


@each_runner
@pytest.mark.parametrize("given", EFFECTS.values(), ids=EFFECTS)
def test_every_noise_of_a_read_is_of_the_stream(given, runner):
    make, backend = RUNNERS[runner]
    inputs, weights = make(x[:2, :4]), make(w[:4, :4])
    engine = Engine(seed=7, backend=backend, **given)
    matrix = engine.program(weights)
    other = copy.deepcopy(matrix)
    assert same_bits(other.read(inputs, read=0), matrix.read(inputs, read=0))  # numbers are the same everywhere
    found = other.read(inputs)
    assert not same_bits(found, matrix.read(inputs))
    # from the seed, the stream and the number alone
    replayed = Engine(seed=7, backend=backend, **given).in_stream(other.stream)(inputs, weights)
    assert same_bits(replayed, found)


FACES = {
    "complex weights": lambda engine: engine.program(w[:, :20] + 1j * w[:, 20:40]).read,
    "complex inputs": lambda engine: lambda rows: engine.program(w).read(rows * (1 + 1j)),
    "transposed": lambda engine: engine.replace(tile=Tile(reference="ideal")).program(w).T.read,
    "transposed complex": lambda engine: engine.replace(tile=Tile(reference="ideal")).program(w + 1j * w).T.read,
    "operator": lambda engine: engine.operator(w).T.read,
    "operator on two sets of cells": lambda engine: engine.replace(weights=Format(mapping="offset")).operator(w).T.read,
}


@pytest.mark.parametrize("face", FACES.values(), ids=FACES)
def test_every_face_of_a_matrix_is_read_in_the_stream(face):
    engine = Engine(Device(var=0.1), DAC(16, vnoise=0.05), ADC(256, noise_lsb=1.0), seed=7)
    other = copy.deepcopy(engine)
    found = face(other)(x)
    assert not same_bits(face(engine)(x), found)
    assert same_bits(face(engine.in_stream(other.stream))(x), found)


def test_a_complex_matrix_has_a_stream():
    engine = Engine(seed=1)
    matrix = engine.program(w + 1j * w)
    other = copy.deepcopy(matrix)
    assert (matrix.stream, other.stream) == (None, other.parts.stream)
    assert other.stream is not None
    found = other.read(x)
    assert not same_bits(matrix.read(x), found)
    assert same_bits(matrix.in_stream(other.stream).read(x), found)
    assert (engine.reads, matrix.reads, other.reads, other.parts.reads) == (1, 1, 1, 1)


def test_converters_of_a_transposed_read_have_noise_of_their_own_in_a_stream():
    # two rows of tiles are driven with the same inputs: equal noise in both would cancel
    weights = np.concatenate([np.eye(64), -np.eye(64)], axis=0)
    engine = Engine(Device(var=0), DAC(16, vnoise=0.05), ADC(None), seed=7).in_stream("a")
    halves = np.split(engine.program(weights).T.read(np.ones((3, 64))), 2, axis=1)
    assert np.abs(halves[0] + halves[1]).max() > 0.01


def test_what_is_programmed_stays_the_chip_s():
    device = Device(var=0, write_var=0.1, stuck_HGS=0.02, stuck_LGS=0.02, drift=mpimpy.Drift(0.05, 0.01))
    engine = Engine(device, adc=ADC(256, offset_lsb=1.0, gain_error=0.05), seed=7)
    other = engine.in_stream("other")
    matrix, second = engine.program(w), other.program(w)
    assert same_bits(second.conductance(), matrix.conductance())
    assert same_bits(second.read(x), matrix.read(x))  # offsets and gains too
    assert same_bits(second.at("30 d").read(x), matrix.at("30 d").read(x))


def test_a_stream_continues_where_it_is_asked_to():
    engine = Engine(Device(var=0.1), seed=1)
    other = copy.deepcopy(engine)
    reads = [other(x, w) for _ in range(3)]
    assert same_bits(engine.in_stream(other.stream, 2)(x, w), reads[2])
    matrix = engine.program(w)
    assert same_bits(matrix.in_stream(other.stream, reads=1).read(x), reads[1])
    assert same_bits(other.in_stream(None)(x, w), engine(x, w))
    assert (engine.stream, matrix.stream, other.reads) == (None, None, 3)


def test_named_streams_are_the_same_everywhere():
    first, second = (Engine(seed=1).in_stream(f"worker {k}") for k in range(2))
    assert (first.stream, second.reads) == ("worker 0", 0)
    assert not same_bits(first(x, w), second(x, w))
    assert same_bits(first(x, w), Engine(seed=1).in_stream("worker 0", 1)(x, w))


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        (("",), ValueError, "stream='' is no name: give a printable text"),
        (("a\n",), ValueError, "is no name: give a printable text"),
        (("\ud800",), ValueError, "is no name: give a printable text"),
        ((3,), TypeError, "stream=3 must be a text, as engine.stream shows it, or None"),
        (("a", -1), ValueError, "reads=-1 is out of range"),
        (("a", 2**32), ValueError, "reads=4294967296 is out of range"),
        (("a", 1.5), TypeError, "reads=1.5 must be a whole number"),
    ],
)
def test_what_is_no_stream_is_refused(given, kind, message):
    engine = Engine(seed=1)
    for value in (engine, engine.program(w)):
        with pytest.raises(kind, match=message):
            value.in_stream(*given)


def test_numbers_of_reads_end(tmp_path):
    matrix = Engine(seed=1).program(w).in_stream("a", MAX_READ)
    matrix.read(x)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"all 4294967296 numbers of reads are used: take another stream"):
            matrix.read(x)
    assert matrix.reads == MAX_READ + 1
    matrix.save(tmp_path / "chip.npz")
    assert mpimpy.load(tmp_path / "chip.npz").reads == MAX_READ + 1


def test_a_stream_is_shown():
    engine = Engine(seed=1)
    other, matrix = copy.deepcopy((engine, engine.program(w)))
    assert repr(other) == f"Engine(seed=1).in_stream({other.stream!r}, 0)"
    assert f"chip=0, stream={other.stream!r}" in repr(matrix)
    assert "stream" not in repr(engine) + repr(engine.program(w))


def test_engines_made_of_a_copy_are_in_its_stream():
    other = copy.deepcopy(Engine(seed=1))
    replaced, calibrated = other.replace(adc=ADC(512)), other.calibrate(x, w)
    assert (replaced.stream, calibrated.stream) == (other.stream, other.stream)
    assert (replaced.reads, Engine(seed=1).replace(adc=ADC(512)).stream) == (0, None)


def test_engines_of_the_predecessor_have_streams():
    engine = bitslicedpe(seed=1)
    other = copy.deepcopy(engine)
    digits = np.full((70, 9), 7)
    found = other(x, w), other.Num2R(digits, 15)
    assert not same_bits(found[0], engine(x, w))
    assert not same_bits(found[1], engine.Num2R(digits, 15))
    again = engine.in_stream(other.stream)
    assert isinstance(again, bitslicedpe)
    assert same_bits(again(x, w), found[0])
    assert same_bits(again.Num2R(digits, 15), found[1])
    assert other.reads == engine.reads == 2


def test_sliced_operands_are_read_in_the_stream():
    engine = DPETensor(seed=1)
    other = copy.deepcopy(engine)

    def product(on):
        left, right = SlicedData([1, 1, 2, 4]), SlicedData([1, 1, 2, 4], is_weight=True)
        left.slice_data_imp(on, x)
        right.slice_data_imp(on, w)
        return on(left, right)

    found = product(other)
    assert not same_bits(product(engine), found)
    assert same_bits(product(engine.in_stream(other.stream)), found)


def test_a_file_goes_on_counting_in_its_stream(tmp_path):
    matrix = Engine(seed=1).program(w)
    matrix.read(x)
    other = copy.deepcopy(matrix)
    for saved in (matrix, other):
        saved.save(tmp_path / "chip.npz")
        found = mpimpy.load(tmp_path / "chip.npz")
        assert (found.stream, found.reads) == (saved.stream, 1)
        assert same_bits(found.read(x), saved.read(x))


@pytest.mark.fork
def test_forks_do_not_repeat_each_other():
    engine = Engine(Device(var=0.1), seed=3)
    matrix = engine.program(w)
    matrix.read(x)

    def read():
        return engine.stream, matrix.read(x), matrix.stream, matrix.read(x, read=1), matrix.reads

    forks = [*in_a_fork(read, 3), *in_a_fork(lambda: in_a_fork(read)[0])]  # a child's child too
    mine = matrix.read(x)
    assert len({stream for stream, *_ in forks}) == len(forks)
    assert len({y.tobytes() for _, y, *_ in forks} | {mine.tobytes()}) == len(forks) + 1
    for stream, y, again, numbered, reads in forks:
        assert (again, reads) == (stream, 2)
        assert same_bits(numbered, mine)
        assert same_bits(matrix.in_stream(stream, 1).read(x), y)
    assert engine.stream is None


@pytest.mark.fork
def test_a_child_of_a_child_has_a_stream_of_its_own():
    counter = ReadCounter()
    mine, child = in_a_fork(lambda: (counter.stream, in_a_fork(lambda: counter.stream)[0]))[0]
    assert len({mine, child, counter.stream}) == 3


@pytest.mark.fork
def test_an_engine_that_a_fork_makes_anew_is_no_copy():
    expected = Engine(seed=1)(x, w)
    assert all(same_bits(y, expected) for y in in_a_fork(lambda: Engine(seed=1)(x, w), 2))


@pytest.mark.fork
def test_a_fork_while_an_engine_counts_does_not_hang():
    counter = ReadCounter()
    with counter._lock, mpimpy.reads._renewal:  # as when another thread is about to count
        (number, stream), renewed = in_a_fork(lambda: (counter.next_read(), counter.next_read()))[0]
    assert (number, renewed) == (0, (1, stream))
    assert counter.next_read() == (0, None)


@pytest.mark.fork
def test_threads_of_a_fork_share_one_stream():
    counter = ReadCounter()

    def count():
        seen, start = [], threading.Barrier(4)

        def work():
            start.wait()
            seen.extend(counter.next_read() for _ in range(200))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sorted(seen)

    seen = in_a_fork(count)[0]
    assert [number for number, _ in seen] == list(range(800))
    assert len({stream for _, stream in seen}) == 1


@pytest.mark.slow
@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_worker_processes_do_not_repeat_each_other(method):
    matrix = Engine(Device(var=0.1), seed=3).program(w)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with multiprocessing.get_context(method).Pool(2) as pool:
            counted = pool.map_async(matrix.read, [x] * 4, chunksize=1).get(timeout=300)
            numbered = pool.starmap_async(matrix.read, [(x, 5)] * 2, chunksize=1).get(timeout=300)
    assert len({y.tobytes() for y in [*counted, matrix.read(x)]}) == 5
    assert all(same_bits(y, matrix.read(x, read=5)) for y in numbered)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["loky", "multiprocessing", "threading"])
def test_joblib_s_workers_do_not_repeat_each_other(backend):
    joblib = pytest.importorskip("joblib")
    matrix = Engine(Device(var=0.1), seed=3).program(w)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        found = joblib.Parallel(2, backend=backend)(joblib.delayed(matrix.read)(x) for _ in range(4))
    assert len({y.tobytes() for y in [*found, matrix.read(x)]}) == 5


class Products:
    """Data set whose items are products with weights on a crossbar."""

    def __init__(self):
        self.matrix = Engine(Device(var=0.1), seed=3).program(w)

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return self.matrix.read(x), self.matrix.read(x, read=index), self.matrix.stream or ""


@pytest.mark.slow
@pytest.mark.fork
def test_workers_of_a_data_loader_do_not_repeat_each_other():
    data = pytest.importorskip("torch.utils.data")
    items = Products()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        loader = data.DataLoader(items, batch_size=None, num_workers=2, multiprocessing_context="fork")
        found = [list(map(np.asarray, item)) for _ in range(2) for item in loader]  # each epoch has new workers
    assert len({y.tobytes() for y, *_ in found} | {items.matrix.read(x).tobytes()}) == 9
    assert all(same_bits(numbered, items[index % 4][1]) for index, (_, numbered, _) in enumerate(found))
    assert len({str(stream) for *_, stream in found}) == 4


@pytest.mark.slow
@pytest.mark.fork
def test_forks_in_the_middle_of_counted_reads():
    code = """
import os, threading, numpy as np
from mpimpy import Engine
engine = Engine(seed=3)
W, x, stop = engine.program(np.eye(8)), np.ones((2, 8)), threading.Event()
W.read(x)
def work():
    while not stop.is_set():
        W.read(x)
        engine.reads, engine.stream
threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads:
    thread.start()
codes = []
for _ in range(30):
    child = os.fork()
    if child == 0:
        threading.Timer(60, os._exit, (2,)).start()
        W.read(x)
        os._exit(0 if W.stream else 1)
    codes.append(os.waitpid(child, 0)[1])
stop.set()
print(sum(codes))
"""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.stdout.strip() == "0", done.stderr
