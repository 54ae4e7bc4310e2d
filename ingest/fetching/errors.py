"""The one error of fetching: which address, what was wrong, what to do."""


class FetchError(Exception):
    """A fetch that gave nothing. Nothing of it was kept, apart from the beginning of a download that can be gone on with.

    address: what was asked for. problem: what was wrong with it. remedy: what a person can do. status: of the answer, if
    there was one.
    """

    def __init__(self, address: str, problem: str, remedy: str, *, status: int | None = None) -> None:
        super().__init__(f"{address}: {problem}; {remedy}")
        self.address = address
        self.problem = problem
        self.remedy = remedy
        self.status = status


class Refused(FetchError):
    """Our own rules forbid to ask there: no request was sent."""


class TryAgain(FetchError):
    """What may be better in a moment. retry_after_s: how long the host asked us to stay away, None where it did not say."""

    def __init__(
        self,
        address: str,
        problem: str,
        remedy: str = "try again later",
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(address, problem, remedy, status=status)
        self.retry_after_s = retry_after_s
