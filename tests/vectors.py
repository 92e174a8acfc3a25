"""The published vectors of Philox4x32-10 (Random123), and addresses to draw at."""

from hypothesis import strategies as st

from mpimpy import noise
from mpimpy.noise import Address

VECTORS = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def parse(text):
    return [int(word, 16) for word in text.split()]


addresses = st.builds(
    Address,
    seed=st.integers(0, noise.MAX_SEED),
    chip=st.integers(0, noise.MAX_CHIP),
    read=st.integers(0, noise.MAX_READ),
    purpose=st.sampled_from([noise.WRITE, noise.READ, noise.STUCK, noise.VOLTAGE]),
    row=st.integers(0, 2**32 - 100),
    col=st.integers(0, 2**34),
    stream=st.none() | st.integers(0, noise.MAX_SEED),
)
