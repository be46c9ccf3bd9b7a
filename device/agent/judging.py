"""What a capture brought, judged before it is kept: the right citizen's, good enough, or to be done again."""

import structlog

from device.agent import keeping
from device.agent.attempts import Attempts
from device.agent.captures import Running, Taken
from device.agent.holder import PinPad
from device.agent.records import KeptFinger
from device.agent.snapshot import Failure
from device.errors import Code, Remedy
from device.ports import CardReading, HolderProof, Photo, PinState
from protocol.bag import BagVisit
from protocol.catalogue import Service

log = structlog.get_logger()


class Judging:
    """Of one visit; `pad` is what the card in the reader said of its PIN."""

    def __init__(self) -> None:
        self.pad = PinPad()
        self._attempts: Attempts[Taken] = Attempts()

    def forget(self) -> None:
        self.pad.forget()
        self._attempts.forget()

    def judge(
        self, running: Running, taken: Taken, request: BagVisit, service: Service
    ) -> Taken | Failure | None:
        """What is to be kept, perhaps a better one of before, or why it is not; None: it was only shown."""
        if isinstance(taken, CardReading):
            return self._card(taken, request)
        if isinstance(taken, PinState):
            self.pad.told(taken)
            return None
        if isinstance(taken, HolderProof) and taken.outcome != "proven":
            return self._not_proven(running, taken, request.visit_id)
        if isinstance(taken, Photo | KeptFinger):
            return self._good_enough(running, taken, service)
        return taken

    def _card(self, card: CardReading, request: BagVisit) -> CardReading | Failure:
        failure = keeping.judge_card(card, request)
        if failure is None:
            return card
        log.info("card-refused", visit=request.visit_id, code=str(failure.code))
        return failure

    def _not_proven(self, running: Running, proof: HolderProof, visit_id: str) -> Failure | None:
        log.info("not-proven", visit=visit_id, outcome=proof.outcome)
        self.pad.answered(proof)
        if proof.outcome == "another-holder":
            return Failure(Code.WRONG_PERSON, Remedy.OFFICER, running.what)
        return None

    def _good_enough(self, running: Running, taken: Photo | KeptFinger, service: Service) -> Taken | Failure:
        rules = service.photo if isinstance(taken, Photo) else service.fingers
        best = self._attempts.judge((running.what, running.hand), taken, taken.hints, rules.tries)
        if best is not None:
            return best
        code = Code.PHOTO_POOR if isinstance(taken, Photo) else Code.FINGER_POOR
        return Failure(code, Remedy.RETRY, running.what, taken.hints)
