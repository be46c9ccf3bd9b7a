"""The service asks for the photo again: the whole of it, with every program that is really there."""

import os

import pytest

from provisioning.demo import recapture
from provisioning.demo.progress import Progress
from tests.system.conftest import Staged

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]


@pytest.mark.skipif("THUISLOKET_LONG" not in os.environ, reason="the long form: THUISLOKET_LONG=1")
def test_a_visit_and_a_short_one_make_one_application(staged: Staged) -> None:
    with staged() as demo:
        recapture.act(demo, Progress(lambda line: None))
