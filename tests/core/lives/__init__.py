"""Random lives of a session with a known truth: what a person does, what the real programs write, what breaks, and what
is right then. ``python -m tests.core.lives --count 1000`` says how many of them the engine gets right."""

from .judge import judge
from .left import Left, damage
from .life import ALSO, DAMAGES, STORIES, Life, life
from .store import write
from .truth import Truth, truth
from .world import World

__all__ = [
    "ALSO",
    "DAMAGES",
    "STORIES",
    "Left",
    "Life",
    "Truth",
    "World",
    "damage",
    "judge",
    "life",
    "play",
    "truth",
    "write",
]


def play(drawn: Life, number: int = 0) -> Left:
    """What is left of a life; ``number`` makes the session's id."""
    return damage(World(f"{number + 1:012x}", drawn))
