"""A subject as a CUDA graph answers as it does without one; on a CPU it is called as it is."""

import pytest

torch = pytest.importorskip("torch")

from runners.blocks import graphs  # noqa: E402
from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.decoding_acceleration import medusa  # noqa: E402
from runners.implementations.efficient_architecture import block_transformer  # noqa: E402

NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device: graphs are recorded on one")


class Doubling:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, x):
        self.calls += 1
        return 2 * x

    def footprint(self):
        return {"parameters": 7}


def test_on_a_cpu_each_call_is_one_of_the_subject_itself():
    subject = Doubling()
    wrapped = graphs.graphed(lambda axes, weights: subject)({}, {})
    assert [wrapped(torch.tensor(value)).item() for value in (3, 4)] == [6, 8]
    assert subject.calls == 2
    assert wrapped.footprint() == {"parameters": 7}


@pytest.mark.parametrize(
    ("tokens", "dtype", "is_recorded"),
    [(1, torch.float32, True), (2, torch.float32, False), (1, torch.float64, False)],
)
def test_only_what_is_short_and_timed_is_recorded(tokens, dtype, is_recorded):
    make = graphs.graphed(lambda axes, weights: Doubling(), when=lambda axes: axes["tokens"] == 1)
    subject = make({"tokens": tokens}, {"ids": torch.zeros(1, dtype=torch.int64), "weight": torch.ones(1, dtype=dtype)})
    assert isinstance(subject, graphs.GraphedSubject) == is_recorded


class Recording:
    """Stands for CUDA's recording: the calls that it sees, and a replay that computes from the same tensors."""

    def __init__(self, succeeds):
        self.succeeds, self.replays = succeeds, 0

    def __call__(self, run):
        if not self.succeeds:
            return run

        def replay():
            self.replays += 1
            return run()

        return replay


@pytest.mark.parametrize("succeeds", [True, False])
def test_inputs_are_copied_to_where_they_were_recorded(monkeypatch, succeeds):
    recording, seen = Recording(succeeds), []
    monkeypatch.setattr(graphs, "recorded", recording)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda: 100)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 164)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: None)

    class OnDevice(torch.Tensor):
        is_cuda = True

    def subject(x):
        seen.append(x.data_ptr())
        return x

    wrapped = graphs.GraphedSubject(subject)
    given = [torch.tensor([value]).as_subclass(OnDevice) for value in (3.0, 4.0)]
    first, second = (wrapped(each) for each in given)
    assert (first.item(), second.item()) == (3, 4)
    assert len(set(seen)) == 1
    assert seen[0] not in {each.data_ptr() for each in (*given, first, second)}
    assert recording.replays == (2 if succeeds else 0)


@pytest.mark.gpu
@NEEDS_GPU
def test_the_peak_of_a_replay_is_that_of_the_call_that_was_recorded():
    x = torch.ones(2**20, device="cuda")
    subject = graphs.GraphedSubject(lambda x: (x[:, None] * torch.ones(8, device="cuda")).sum(1))
    subject(x)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    subject(x)
    assert 8 * x.nbytes <= torch.cuda.max_memory_allocated() - before < 12 * x.nbytes


@pytest.mark.gpu
@NEEDS_GPU
def test_replays_answer_for_the_inputs_that_they_are_given_and_keep_earlier_answers():
    wrapped = graphs.GraphedSubject(Doubling())
    first, second = wrapped(torch.tensor([3.0], device="cuda")), wrapped(torch.tensor([4.0], device="cuda"))
    assert (first.item(), second.item()) == (6, 8)


@pytest.mark.gpu
@NEEDS_GPU
def test_what_cannot_be_recorded_is_called_instead():
    def waits():
        return torch.ones(1, device="cuda") * torch.ones(1, device="cuda").item()

    with pytest.warns(UserWarning, match="no CUDA graph"):
        assert graphs.recorded(waits)().item() == 1


@pytest.mark.gpu
@NEEDS_GPU
@pytest.mark.parametrize("hits", [0, 70])
def test_medusa_decodes_the_same_text_with_recorded_passes(hits):
    axes = {
        "layers": 2, "hidden": 64, "heads": 2, "kv_heads": 1, "dim": 32, "ffn": 64, "vocab": 32, "prompt": 12,
        "new_tokens": 30, "heads_ahead": 4, "nodes": 20, "hits": hits, "temperature": 0, "joint": 0,
    }  # fmt: skip
    weights = medusa.weights(axes, Rand(1, device="cuda"))
    arguments = medusa.inputs(axes, Rand(2, device="cuda"))
    wanted = medusa.SUBJECTS["eager"](axes, weights)(*arguments)
    assert torch.equal(medusa.SUBJECTS["technique"](axes, weights)(*arguments), wanted)
    assert torch.equal(medusa.SUBJECTS["paper"](axes, weights)(*arguments), wanted)


@pytest.mark.gpu
@NEEDS_GPU
def test_the_block_transformer_decodes_the_same_as_a_graph():
    axes = {
        "layers": 2, "hidden": 64, "heads": 2, "kv_heads": 2, "dim": 32, "ffn": 64, "vocab": 40, "block": 4, "prefix": 2,
        "batch": 4, "context": 32, "new_tokens": 12, "vanilla_layers": 2, "vanilla_hidden": 32, "vanilla_dim": 16,
        "vanilla_ffn": 32, "vanilla_batch": 2,
    }  # fmt: skip
    weights = block_transformer.weights(axes, Rand(1, device="cuda"))
    subjects = [block_transformer.SUBJECTS[name](axes, weights) for name in ("technique", "eager")]
    for seed in (2, 3):
        found, wanted = (subject(*block_transformer.inputs(axes, Rand(seed, device="cuda"))) for subject in subjects)
        assert torch.allclose(found, wanted, atol=1e-5)
