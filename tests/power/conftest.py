"""The options of the privileged tier: `make test-power CUTS=200`."""

import pytest


def pytest_addoption(parser):
    parser.addoption("--cuts", type=int, default=200, help="power cuts of each kind on each filesystem")
    parser.addoption("--seed", type=int, default=6, help="what the random moments come from")


@pytest.fixture
def cuts(request):
    return request.config.getoption("--cuts")


@pytest.fixture
def seed(request):
    return request.config.getoption("--seed")
