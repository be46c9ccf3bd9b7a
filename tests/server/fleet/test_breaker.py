"""A line that does not answer rests, longer each time; one may look; an answer ends it."""

from server.fleet.forwarding.breaker import FAILURES, FIRST_REST_S, LONGEST_REST_S, Breaker


class Hours:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_few_failures_are_nothing() -> None:
    breaker = Breaker(Hours())
    for _ in range(FAILURES - 1):
        breaker.failed("a", "service-slow")
        assert breaker.rests_s("a") == 0
    breaker.heard("a")
    breaker.failed("a", "service-slow")
    assert breaker.rests_s("a") == 0


def test_rests_double_up_to_the_longest_and_touch_no_other_line() -> None:
    hours = Hours()
    breaker = Breaker(hours)
    for _ in range(FAILURES):
        breaker.failed("a", "service-slow")
    rests = []
    for _ in range(7):
        rests.append(breaker.rests_s("a"))
        assert breaker.rests_s("b") == 0
        hours.now += rests[-1]
        assert breaker.rests_s("a") == 0  # one may look
        assert breaker.rests_s("a") > 0  # and only one
        breaker.failed("a", "service-slow")
    assert (breaker.why("a"), breaker.why("b")) == ("service-slow", "")
    assert rests == sorted(rests)
    assert rests[:3] == [FIRST_REST_S, 2 * FIRST_REST_S, 4 * FIRST_REST_S]
    assert rests[-1] == LONGEST_REST_S


def test_an_answer_ends_the_rest_at_once() -> None:
    hours = Hours()
    breaker = Breaker(hours)
    for _ in range(FAILURES):
        breaker.failed("a", "service-slow")
    hours.now += FIRST_REST_S
    assert breaker.rests_s("a") == 0
    breaker.heard("a")
    assert [breaker.rests_s("a"), breaker.rests_s("a")] == [0, 0]
    assert breaker.why("a") == ""


def test_one_that_looked_and_never_came_back_holds_nobody_up_for_ever() -> None:
    hours = Hours()
    breaker = Breaker(hours)
    for _ in range(FAILURES):
        breaker.failed("a", "service-slow")
    hours.now += FIRST_REST_S
    assert breaker.rests_s("a") == 0
    assert breaker.rests_s("a") == FIRST_REST_S
    hours.now += FIRST_REST_S
    assert breaker.rests_s("a") == 0
