"""Random words inside Triton kernels."""

import triton
import triton.language as tl


@triton.jit
def word(number):
    # 32 bits; they arrive as a signed number so that one compiled kernel serves all values
    return number.to(tl.uint32, bitcast=True)


@triton.jit
def eight(group, row, read, tag, key_0, key_1, ROWS: tl.constexpr, GROUPS: tl.constexpr):
    # the eight 16-bit words of each group of columns, shape (ROWS, 8 * GROUPS)
    seed = (word(key_1).to(tl.uint64) << 32) | word(key_0).to(tl.uint64)
    zero = tl.zeros((ROWS, GROUPS), tl.uint32)
    w0, w1, w2, w3 = tl.philox(seed, zero + group[None, :], zero + row[:, None], zero + word(read), zero + tag)
    # last axes: word pair, word in the pair, half
    words = tl.join(tl.join(w0, w2), tl.join(w1, w3))
    halves = tl.join(words & 0xFFFF, words >> 16)
    return tl.reshape(halves, (ROWS, GROUPS * 8)).to(tl.int64)
