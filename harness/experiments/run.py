"""Runs an experiment: steady, workload, fault witnessed, observe, undo verified, steady again, verdict.

The undo is registered before the fault is applied and runs on every way out, Ctrl-C included; where this process dies
the keeper does it. Every phase has its budget and an outcome of its own.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from harness.errors import HarnessError, NotReady, ServiceError
from harness.experiments import measure
from harness.experiments.checkers.base import judge
from harness.experiments.experiment import Ending, Experiment, Live, Outcome, Phase
from harness.experiments.history import History
from harness.experiments.leads import LeadWatch, failover_time
from harness.experiments.standstill import Standstill, excused
from harness.experiments.verdicts import Finding
from harness.experiments.workload import Careful, Record, RunningWorkload
from harness.faults.base import Injection
from harness.model import Verdict
from harness.probes.poll import Deadline, NotYet, poll

FINAL = "final"
"""The client that does the last reads."""


def run(experiment: Experiment, history_file: Path | None = None) -> Outcome:
    """The outcome; never raises for what the system under test does. Ctrl-C passes through, after the undo."""
    return Trial(experiment, History(history_file)).run()


class Stop(Exception):
    """The trial ends here."""

    def __init__(self, ending: Ending, cause: str) -> None:
        super().__init__(cause)
        self.ending, self.cause = ending, cause


class Trial:
    """One run of one experiment."""

    def __init__(self, experiment: Experiment, history: History) -> None:
        self.experiment, self.history = experiment, history
        self.began = history.clock()
        self.workload = RunningWorkload(experiment.workload, history)
        self.watch = LeadWatch(experiment.leads, history.clock)
        self.standstill = Standstill()
        self.findings: list[Finding] = []
        self.phases: list[Phase] = []
        self.measured: dict[str, float | int | None] = {}
        self.witnessed = ""
        self.fault_at: float | None = None
        self.applied_at: float | None = None
        self.asked_until = math.inf
        self._undone = False

    def run(self) -> Outcome:
        """All phases, as far as they come."""
        ending, cause = Ending.COMPLETED, ""
        try:
            with ExitStack() as undos:
                undos.callback(self.history.close)
                undos.callback(self.workload.stop)
                undos.callback(self.watch.stop)
                undos.callback(self.standstill.stop)
                self._phases(undos)
        except Stop as stop:
            ending, cause = stop.ending, stop.cause
        except HarnessError as error:  # the workload broke or hangs: nothing can be said of the service
            self.findings.append(Finding("workload", Verdict.UNKNOWN, error.message))
        operations, self.findings = self.history.operations, excused(self.findings, self.standstill.longest)
        self._measure()
        cause = cause or next((str(found) for found in self.findings if found.verdict is not Verdict.VALID), "")
        points = measure.timeline(operations, self.began)
        changes = [change.as_data(self.began) for change in self.watch.changes]
        return Outcome(self.experiment.name, ending, tuple(self.findings), tuple(self.phases), self.witnessed, cause,
                       self.measured, points, changes)  # fmt: skip

    def _phases(self, undos: ExitStack) -> None:
        budgets = self.experiment.budgets
        with self._phase("steady"):
            self._steady(budgets.steady, Ending.NOT_STEADY)
        with self._phase("workload"):
            self.standstill.start()
            self.watch.start()
            self.workload.start()
            self._acknowledged(self.began, budgets.steady, Ending.NOT_STEADY)
        fault = self.experiment.fault
        if fault is not None:
            undos.push(lambda _kind, error, _trace: self._undo_at_last(fault, error))  # before it is applied
            self._inject(fault)
        with self._phase("observe"):
            self._observe()
        if fault is not None:
            self._undo(fault)
        with self._phase("recovery"):
            self._recover()
        self._judge()

    # -- before and during ------------------------------------------------------------------------------------

    def _steady(self, within: float, otherwise: Ending) -> None:
        expected = (NotYet, OSError, ServiceError)
        try:
            poll(self.experiment.steady, Deadline.after(within), "steady state", expected=expected)
        except NotReady as error:
            raise Stop(otherwise, error.message) from error

    def _acknowledged(self, since: float, within: float, otherwise: Ending) -> None:
        """Until the workload has had its `warm_up` acknowledged, begun after `since`."""
        wanted = self.experiment.warm_up

        def ask() -> None:
            recent = [item for item in self.history.since(since) if item.ok and item.started >= since]
            if len(recent) < wanted:
                errors = [item.error for item in self.history.operations[-3:] if item.error]
                raise NotYet(f"{len(recent)} of {wanted} operations acknowledged; {errors[-1] if errors else ''}")

        try:
            poll(ask, Deadline.after(within), "workload", interval=0.01)
        except NotReady as error:
            raise Stop(otherwise, error.message) from error

    def _inject(self, fault: Injection) -> None:
        self.watch.alert()
        with self._phase("fault"):
            self.fault_at = self.history.clock()
            try:
                fault.apply()
            except Exception as error:
                raise Stop(Ending.FAULT_FAILED, f"{fault.text}: {type(error).__name__}: {error}") from error
            self.applied_at = self.history.clock()
        with self._phase("witness"):
            self.witnessed = self._witness(fault, self.fault_at)

    def _witness(self, fault: Injection, fault_at: float) -> str:
        witness, before = self.experiment.witness, self.history.operations
        before = tuple(item for item in before if item.ended < fault_at)
        if witness is None:
            raise Stop(Ending.NOT_WITNESSED, "no witness was named")

        def ask() -> str:
            return witness(before, self.history.since(fault_at))

        try:
            return poll(ask, Deadline.after(self.experiment.budgets.witness), f"witness of {fault.text}", interval=0.01)
        except NotReady as error:
            raise Stop(Ending.NOT_WITNESSED, error.message) from error

    def _observe(self) -> None:
        now = self.history.clock()
        live = Live(self.history, self.fault_at or now, self.applied_at or now, self.witnessed)
        try:
            self.experiment.observe(live)
        except (AssertionError, HarnessError) as error:
            late = isinstance(error, NotReady)
            self.findings.append(Finding("observation", Verdict.INVALID, _first_line(error), timed=late))
        except Exception as error:  # a broken observer has seen nothing; the undo goes on
            self.findings.append(Finding("observation", Verdict.UNKNOWN, f"{type(error).__name__}: {error}"))

    # -- after ------------------------------------------------------------------------------------------------

    def _undo(self, fault: Injection) -> None:
        """The phase in which it is undone and verified, also on the way out of a trial that did not come to it."""
        self._undone = True
        with self._phase("undo"):
            self._undo_and_verify(fault)

    def _undo_and_verify(self, fault: Injection) -> None:
        """Undo, within its budget, and verify on the target. Raises Stop: the stack is to be discarded."""
        started, budgets = time.monotonic(), self.experiment.budgets
        try:
            fault.undo()
            took = time.monotonic() - started
            poll(lambda: fault.healed(), Deadline.after(budgets.healed), f"undo of {fault.text}",
                 expected=(NotYet, OSError, HarnessError))  # fmt: skip
        except Exception as error:
            raise Stop(Ending.UNDO_FAILED, f"undo of {fault.text}: {_first_line(error)}") from error
        self.measured["undo_seconds"] = measure.rounded(took)
        self.measured["healed_seconds"] = measure.rounded(time.monotonic() - started)
        allowed = budgets.undo * fault.parts
        verdict = Verdict.VALID if took <= allowed else Verdict.INVALID
        self.findings.append(Finding("undo", verdict, f"applied in {took:.2f} s, {allowed:g} s allowed", timed=True))

    def _undo_at_last(self, fault: Injection, leaving: BaseException | None) -> None:
        """On the way out of a trial that did not come to its undo. Ctrl-C stays Ctrl-C, whatever the undo comes to."""
        if self._undone:
            return
        try:
            self._undo(fault)
        except Stop:
            if leaving is None or isinstance(leaving, Exception):
                raise

    def _recover(self) -> None:
        started, within = self.history.clock(), self.experiment.budgets.recovery
        self._steady(within, Ending.NOT_RECOVERED)
        if self.experiment.resumes:
            self._acknowledged(self.history.clock(), within, Ending.NOT_RECOVERED)
        self.measured["recovery_seconds"] = measure.rounded(self.history.clock() - started)

    def _judge(self) -> None:
        self.asked_until = self.history.clock()
        self.workload.stop()
        self.experiment.final(Record(self.history, FINAL, Careful()))
        operations = self.history.operations
        self.findings += [judge(checker, operations, self.experiment.least) for checker in self.experiment.checkers]
        rto, allowed = self._rto(), self.experiment.budgets.rto
        if allowed is not None and self.fault_at is not None:
            verdict = Verdict.VALID if rto is not None and rto <= allowed else Verdict.INVALID
            summary = f"served again after {rto} s, {allowed:g} s allowed"
            self.findings.append(Finding("rto", verdict, summary, timed=rto is not None))

    def _rto(self) -> float | None:
        """Of the workload: the last read comes when all is calm, however long that took."""
        kinds = self.experiment.served_by
        asked = (item for item in self.history.operations if item.client != FINAL)
        served = measure.as_of(self.asked_until, asked)
        return None if self.fault_at is None else measure.recovery_time(served, self.fault_at, kinds)

    def _measure(self) -> None:
        operations = self.history.operations
        if self.fault_at is not None:
            self.measured["rto_seconds"] = self._rto()
            self.measured["detection_seconds"] = measure.detection_time(operations, self.fault_at)
            self.measured["failover_seconds"] = failover_time(self.watch.changes, self.fault_at)
        self.measured |= measure.loss(self.findings)
        self.measured["operations"] = len(operations)
        self.measured["standstill_seconds"] = measure.rounded(self.standstill.longest)

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        started = self.history.clock() - self.began
        try:
            yield
        finally:
            self.phases.append(Phase(name, round(started, 3), round(self.history.clock() - self.began, 3)))


def _first_line(error: BaseException) -> str:
    text = error.message if isinstance(error, HarnessError) else str(error)
    return (text or type(error).__name__).partition("\n")[0]


Runner = Callable[[Experiment], Outcome]
"""What tests are handed: runs, writes history and journal, and discards the stack where it must be."""
