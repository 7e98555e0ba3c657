"""Two agents of torchrun, each in a network of its own where the system lets us make one, with two processes each."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tests.faults.test_machines import GAPS, events, write_gaps
from tests.faults.test_processes import free_port
from tests.fixtures.runs import ENVIRONMENT, command, last_network, run, steps_logged, train_command

Agents = list[subprocess.Popen]


class Network:
    """Two machines: network namespaces joined by a cable, or this machine's loopback twice."""

    def __init__(self, apart: bool) -> None:
        self.names = [f"framecast{os.getpid()}{side}" for side in "ab"] if apart else []
        self.cables = [f"fc{os.getpid()}{side}" for side in "ab"]
        self.address = "10.77.0.1" if apart else "127.0.0.1"

    def make(self) -> None:
        for name in self.names:
            self._ip("netns", "add", name)
        self._ip("link", "add", self.cables[0], "type", "veth", "peer", "name", self.cables[1])
        for number, (name, cable) in enumerate(zip(self.names, self.cables, strict=True), 1):
            self._ip("link", "set", cable, "netns", name)
            self._ip("-n", name, "addr", "add", f"10.77.0.{number}/24", "dev", cable)
            self._ip("-n", name, "link", "set", cable, "up")
            self._ip("-n", name, "link", "set", "lo", "up")

    def remove(self) -> None:
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)

    def start(self, words: list[str], port: int) -> Agents:
        return [self._start(number, words, port) for number in (0, 1)]

    def _start(self, number: int, words: list[str], port: int) -> subprocess.Popen:
        rendezvous = [f"--node_rank={number}", f"--master_addr={self.address}", f"--master_port={port}"]
        launcher = ["-m", "torch.distributed.run", "--nnodes=2", "--nproc_per_node=2", *rendezvous]
        inside = ["ip", "netns", "exec", self.names[number]] if self.names else []
        network = {"GLOO_SOCKET_IFNAME": self.cables[number]} if self.names else {}
        # without a pipe that nobody reads while both run
        return subprocess.Popen(
            [*inside, sys.executable, *launcher, *words[1:]],
            env={**ENVIRONMENT, **network},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _ip(self, *words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture(params=["apart", "loopback"])
def network(request: pytest.FixtureRequest) -> Iterator[Network]:
    network = Network(request.param == "apart")
    if network.names:
        if shutil.which("ip") is None:
            pytest.skip("no command ip here")
        try:
            network.make()
        except subprocess.CalledProcessError as error:
            network.remove()
            pytest.skip(f"no network namespaces here: {error.stderr.decode().strip()}")
    yield network
    network.remove()


def wait(agents: Agents) -> list[int]:
    try:
        return [agent.wait(timeout=400) for agent in agents]
    finally:
        for agent in agents:
            agent.kill()


@pytest.mark.slow
def test_two_agents_train_stop_and_resume_to_the_bits_of_one_process(tmp_path: Path, network: Network) -> None:
    """Frames with gaps; a signal to one agent stops all four processes, which go on to what one process has."""
    given = {**GAPS, "data.source": write_gaps(tmp_path), "train__log_every": 1}
    alone, both = tmp_path / "alone", tmp_path / "both"
    single = run(train_command(alone, 40, train__accumulate=4, **given))
    assert single.returncode == 0, single.stderr
    agents = network.start(train_command(both, 40, **given), free_port())
    end = time.monotonic() + 200
    while steps_logged(both) < 6 and time.monotonic() < end and all(agent.poll() is None for agent in agents):
        time.sleep(0.05)
    agents[1].send_signal(signal.SIGTERM)
    assert wait(agents) == [1, 1]  # torchrun's own code; its processes have saved and ended with 143
    done = len(events(both))
    assert 6 <= done < 40
    assert (both / "checkpoints" / f"step-{done:08d}.json").exists()
    resumed = network.start(command("resume", str(both), "--device", "cpu", "--quiet"), free_port())
    assert wait(resumed) == [0, 0]
    assert events(both) == events(alone)
    first, second = last_network(both), last_network(alone)
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert (both / "report.html").exists()
