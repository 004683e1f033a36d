"""The generator reaches every outcome that the model knows, and the same seed makes the same messages."""

from collections import Counter

from lib import wire
from lib.gen import World
from lib.model import STATUS


def test_every_outcome_is_reached_often():
    world = World(1, 4)
    seen = Counter()
    for message in world.messages(5000):
        answer = world.model.answer_message(message.value, message.partition)[0]
        seen[answer.code or ("duplicate" if answer.duplicate else "done")] += 1
    for outcome in list(STATUS) + ["duplicate", "done"]:
        if outcome not in ("OutcomeExpired", "InternalError"):
            assert seen[outcome] >= 15, (outcome, seen)
    assert seen["done"] > 2000, seen


def test_same_seed_same_messages():
    assert World(7, 4).messages(500) == World(7, 4).messages(500)


def test_spellings_mean_the_value():
    world = World(3, 4)
    for _ in range(3000):
        command = world._valid()
        assert world.model.answer(command).status == 204, command
        assert wire.decode(wire.encode(command)) == (command, False)
