"""MobileOne: the folded net equals its branches, with fewer parameters and operations."""

import pytest

torch = pytest.importorskip("torch")

from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.efficient_architecture import mobileone as module  # noqa: E402

SMALL = {"batch": 2, "image": 21, "width_percent": 12, "depth": 2, "classes": 13, "branches": 3}


def relative_error(found, wanted):
    return ((found.double() - wanted).norm() / wanted.norm()).item()


def in_float64(weights):
    return {name: tensor.double() for name, tensor in weights.items()}


LAYERS = [
    pytest.param(module.Layer(6, 6, 3, 1, groups=6, branches=4), id="depthwise-with-skip"),
    pytest.param(module.Layer(6, 6, 3, 2, groups=6, branches=2), id="depthwise-with-stride"),
    pytest.param(module.Layer(5, 9, 1, branches=3), id="pointwise"),
    pytest.param(module.Layer(7, 7, 1, branches=1), id="pointwise-with-skip"),
    pytest.param(module.Layer(3, 8, 3, 2), id="stem"),
]


def layer_weights(layer, rand):
    shape = (layer.outputs, layer.inputs // layer.groups)
    norms = torch.stack([module._norm(layer, rand) for _ in range(layer.branches)])
    made = {"kernels": rand.gaussian(layer.branches, *shape, layer.kernel, layer.kernel), "norms": norms}
    if layer.has_scale:
        made |= {"scale": rand.gaussian(*shape, 1, 1), "scale_norm": module._norm(layer, rand)}
    if layer.has_skip:
        made |= {"skip_norm": module._norm(layer, rand)}
    return made


@pytest.mark.parametrize("layer", LAYERS)
def test_one_folded_convolution_equals_the_sum_of_branches(layer):
    rand = Rand(1, dtype=torch.float64)
    weights = layer_weights(layer, rand)
    x = rand.normal(2, layer.inputs, 9, 11)
    convolve, norm = torch.nn.functional.conv2d, module._normalise
    wanted = sum(
        norm(convolve(x, kernel, None, layer.stride, layer.kernel // 2, 1, layer.groups), statistics)
        for kernel, statistics in zip(weights["kernels"], weights["norms"], strict=True)
    )
    if layer.has_scale:
        wanted = wanted + norm(
            convolve(x, weights["scale"], None, layer.stride, 0, 1, layer.groups), weights["scale_norm"]
        )
    if layer.has_skip:
        wanted = wanted + norm(x, weights["skip_norm"])
    kernel, bias = module.fold(layer, weights)
    found = convolve(x, kernel, bias, layer.stride, layer.kernel // 2, 1, layer.groups)
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-6), (torch.bfloat16, 0.05)]
)
def test_folded_net_equals_its_branches(dtype, tolerance, distribution):
    rand = Rand(2, dtype=dtype, distribution=distribution)
    weights, (images,) = module.weights(SMALL, rand), module.inputs(SMALL, rand)
    wanted = module.make_eager(SMALL, in_float64(weights))(images.double())
    found = module.make_technique(SMALL, weights)(images)
    assert found.shape == (2, 13)
    assert relative_error(found, wanted) < tolerance


@pytest.mark.parametrize("name", ["technique", "eager", "mobilenet_v2"])
def test_images_and_weights_are_left_alone(name):
    rand = Rand(3)
    weights, (images,) = module.weights(SMALL, rand), module.inputs(SMALL, rand)
    before = {key: tensor.clone() for key, tensor in weights.items()}
    image_before = images.clone()
    result = module.SUBJECTS[name](SMALL, weights)(images)
    assert torch.isfinite(result).all()
    assert torch.equal(images, image_before)
    assert all(torch.equal(weights[key], tensor) for key, tensor in before.items())


def test_activations_keep_their_size_through_the_full_depth():
    axes = SMALL | {"depth": 10, "image": 40}
    rand = Rand(4, dtype=torch.float32)
    weights, (images,) = module.weights(axes, rand), module.inputs(axes, rand)
    assert 0.01 < module.make_technique(axes, weights)(images).std() < 100


def test_the_full_net_has_the_papers_parameters_and_operations():
    axes = {"batch": 1, "image": 224, "width_percent": 100, "depth": 10, "classes": 1000, "branches": 4}
    subject = module.make_technique(axes, module.weights(axes, Rand(5)))
    subject(torch.zeros(1, 3, 224, 224))
    found = subject.footprint()
    assert found["parameters"] == pytest.approx(2.1e6, rel=0.02)
    assert found["flops"] == pytest.approx(2 * 275e6, rel=0.02)


def test_folding_sheds_parameters_and_operations():
    rand = Rand(6)
    weights, (images,) = module.weights(SMALL, rand), module.inputs(SMALL, rand)
    folded, unfolded = (module.SUBJECTS[name](SMALL, weights) for name in ("technique", "eager"))
    assert "flops" not in folded.footprint()
    folded(images)
    unfolded(images)
    for measure in ("parameters", "flops"):
        assert folded.footprint()[measure] < unfolded.footprint()[measure] / 2


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_the_folded_net_equals_its_branches():
    axes = SMALL | {"image": 96, "depth": 10, "width_percent": 100}
    rand = Rand(7, dtype=torch.float16, device="cuda")
    weights, (images,) = module.weights(axes, rand), module.inputs(axes, rand)
    wanted = module.make_eager(axes, in_float64(weights))(images.double())
    assert relative_error(module.make_technique(axes, weights)(images), wanted) < 0.02
