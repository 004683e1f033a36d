"""Thousands of random messages against the reference model: every result and, at the end, every row.

BYUNIQUE_RANDOM sets how many, BYUNIQUE_SEED which ones.
"""

import os
import random

import pytest

from lib import check, gen, schemas

COUNT = int(os.environ.get("BYUNIQUE_RANDOM", "5000"))
SEED = int(os.environ.get("BYUNIQUE_SEED", "1"))


# As much as fits into one transaction; and batches so small that repeated ids and hot records mostly meet across them.
@pytest.mark.parametrize("share, batch", [(0.8, None), (0.2, 7)])
def test_results_and_tables_agree_with_the_model(site, share, batch):
    seed = SEED if batch is None else SEED + 1000000
    print("seed %d" % seed)
    world = gen.World(seed, site.partitions)
    site.init(*schemas.ALL)
    site.fill(world.model)
    messages = world.messages(int(COUNT * share))
    rhythm = random.Random(seed)
    sent = site.send(*messages[:len(messages) // 3])  # a backlog: the first batches are full
    site.worker(**({} if batch is None else {"batch.max.commands": batch}))
    while len(sent) < len(messages):
        burst = rhythm.choice([1, 1, 10, 200, 1000])
        sent += site.send(*messages[len(sent):len(sent) + burst])
    site.wait_results(len(sent), timeout_s=120)
    site.stop()
    results = site.result_reader.to_end()
    check.all_results(site, sent, check.run_model(world.model, sent), results)
    check.tables(site, world.model)
    check.dead_letters(site, sent, results, site.reader(site.dead_letters).to_end())
    assert site.admin.committed(site.group, site.commands) == {
        partition: end for partition, end in site.admin.log_ends(site.commands).items() if end > 0}
