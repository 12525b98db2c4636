import pytest

from workers import Cluster


@pytest.fixture
def cluster(tmp_path):
    return Cluster(tmp_path / "logs")
