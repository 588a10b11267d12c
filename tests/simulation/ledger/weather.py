"""What goes wrong, how often: the network between callers, batcher and store, their clocks, and the batcher itself."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Weather:
    """Hold chances in a thousand. Calm weather is all zeros: everything arrives, once and soon."""

    lost: int = 0
    """Of each message on its way, and of each answer; the store has committed by then."""
    doubled: int = 0
    slow: int = 0
    crashes: int = 0
    """Of the batcher, at each batch: before it is sent, or while its answer is awaited."""
    jumps: int = 0
    """Of the store's clock, at each batch; forwards and back."""
    mends: int = 0
    """That somebody sets it right again, at each batch."""


STORM = Weather(lost=60, doubled=60, slow=80, crashes=30, jumps=40, mends=250)
CALM = Weather()


def strikes(source: Random, chance: int) -> bool:
    """Draw. A number is drawn in any weather, so that a change of it does not shift what follows."""
    return source.randrange(1000) < chance


def draw_delay_us(source: Random, weather: Weather) -> int:
    """Milliseconds; now and then so long that the caller has given up, and asked again, before it arrives."""
    if strikes(source, weather.slow):
        return source.randrange(SECOND_US, 90 * SECOND_US)
    return source.randrange(200, 20_000)


def draw_jump_us(source: Random) -> int:
    """Seconds to hours, forwards and back."""
    return source.choice([-1, 1]) * source.choice([1, 30, 61, 600, 4000]) * SECOND_US
