"""What fits on a machine or a cluster. Expected numbers are counted by hand."""

from __future__ import annotations

import os

import pytest

from tools.errors import UserError
from tools.integrations.daft.connection import _local_cluster
from tools.integrations.daft.resources import Machine, Workers, check_cluster, check_machine, fill


@pytest.mark.parametrize(
    ("machine", "takes", "room"),
    [
        (Machine(8, 0), {"cpus": 3}, 2),
        (Machine(8, 2), {"cpus": 1, "gpus": 1}, 2),
        (Machine(1, 2), {"cpus": 1, "gpus": 1}, 1),
        (Machine(64, 8), {"cpus": 4, "gpus": 2}, 4),
        (Machine(64, 3), {"cpus": 4, "gpus": 0.5}, 6),
        (Machine(64, 3), {"cpus": 4, "gpus": 0.6}, 3),  # two halves of different GPUs are no GPU
        (Machine(0.5, 0), {"cpus": 1}, 0),
    ],
)
def test_room(machine, takes, room):
    assert machine.room_for(Workers(**takes)) == room


def test_memory_takes_room_too():
    assert Machine(8, 0, memory=10).room_for(Workers(cpus=1), memory=4) == 2


def test_a_pool_that_takes_every_cpu_is_refused():
    with pytest.raises(
        UserError, match=r"2 workers with 1 CPUs each .* 2 CPUs .* 0 CPUs are left for reading"
    ):
        check_cluster(Workers(concurrency=2, cpus=1), [Machine(2, 0)])
    check_cluster(Workers(concurrency=1, cpus=1), [Machine(2, 0)])


def test_what_is_missing_is_said():
    with pytest.raises(UserError, match=r"3 workers with 2 CPUs and 1 GPU each .* 2 GPUs on 2 nodes: 2 fit"):
        check_cluster(Workers(gpus=1, concurrency=3), [Machine(8, 1), Machine(8, 1)])
    with pytest.raises(UserError, match="none fits"):  # 4 CPUs in all, but on no node
        check_cluster(Workers(cpus=3), [Machine(2, 0), Machine(2, 0)])


def test_gpus_of_one_machine_without_ray():
    with pytest.raises(UserError, match=r"1 workers with 2 CPUs and 1 GPU .* this machine has 0 GPUs"):
        check_machine(Workers(gpus=1), Machine(8, 0))
    with pytest.raises(UserError, match="does not deal out GPUs"):
        check_machine(Workers(gpus=1, concurrency=2), Machine(8, 2))
    check_machine(Workers(gpus=0.5, concurrency=2), Machine(8, 1))
    check_machine(Workers(cpus=2, concurrency=9), Machine(2, 0))  # these take turns
    with pytest.raises(UserError, match=r"1 workers with 3 CPUs each .* this machine has 2; ask for fewer"):
        check_machine(Workers(cpus=3), Machine(2, 0))
    with pytest.raises(UserError, match=r"2 x 3\.0 GiB are needed, this machine has 4\.0 GiB"):
        check_machine(Workers(concurrency=2), Machine(8, 0, memory=4 * 2**30), memory=3 * 2**30)


@pytest.mark.parametrize(
    ("there", "gpus", "share", "actors"),
    [
        ([Machine(2, 0)], 0, 1, 1),
        ([Machine(2, 0), Machine(2, 0)], 0, 1, 2),
        ([Machine(16, 0), Machine(16, 0)], 0, 15, 2),
        ([Machine(1, 0), Machine(16, 0)], 0, 15, 1),  # the small head node has none
        ([Machine(4, 0), Machine(97, 8), Machine(97, 8)], 1, 12, 16),
        ([Machine(9, 2)], 0.5, 2, 4),
    ],
)
def test_a_cluster_is_filled(there, gpus, share, actors):
    assert fill(there, gpus=gpus) == (share, actors)
    check_cluster(Workers(gpus=gpus, concurrency=actors, cpus=share), there)


@pytest.mark.parametrize(
    ("takes", "said"),
    [
        ({"concurrency": 0}, r"concurrency \(0\)"),
        ({"batch_size": 0}, r"batch_size \(0\)"),
        ({"num_workers": -1}, r"num_workers \(-1\)"),
        ({"gpus": 1.5}, r"gpus \(1\.5\)"),
        ({"cpus": 0}, r"cpus \(0\)"),
    ],
)
def test_values_out_of_range(takes, said):
    with pytest.raises(UserError, match=said):
        Workers(**takes)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processes are not pinned to cores here")
def test_a_cluster_of_a_machine_of_one_core_has_a_cpu_to_read_with():
    cores = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(cores)})
        there = [Machine(_local_cluster()["num_cpus"], 0)]
    finally:
        os.sched_setaffinity(0, cores)
    cpus, workers = fill(there)
    check_cluster(Workers(concurrency=workers, cpus=cpus), there)
    assert (cpus, workers) == (1, 1)
    with pytest.raises(UserError, match=r"^2 workers with 1 CPUs each are needed, the Ray"):
        check_cluster(Workers(concurrency=2, cpus=1), there)
