"""Technique families: weighted phrases, counted in the title, in the paper's own part and (faintly) in its
background."""

from __future__ import annotations

from .text import Document
from .vocabulary import LEXICON, Evidence, weighted_phrases
from .words import folded

_STRONG, _PLAIN, _WEAK = 3.0, 2.0, 1.0
_VOCABULARY: dict[str, dict[float, str]] = {
    "quantization": {
        _STRONG: """
            gptq, awq, smoothquant, hadamard rotation, mixed precision, quantization error, w4a4, w8a8, fp4 training, fp8 training, quantization noise, bit allocation, microscaling,
            quantization, quantize, quantizing, post training quantization, quantization aware training, ptq,
            qat, low bit, mixed precision quantization, weight quantization, binarization, binary neural
            network, ternary, 1 bit, 2 bit, 3 bit, 4 bit, int4, int8, fp8, fp4, fp6, nf4, binarized,
            bitnet, low precision, weight only""",
        _PLAIN: """
            quantized,
            8 bit, bit width, bitwidth, integer only, precision format, full precision, dequantization""",
    },
    "sparsity-pruning": {
        _STRONG: """
            sparsegpt, wanda, semi structured sparsity, 2 4 sparsity, filter pruning, neuron pruning, pruned model, unstructured pruning, sparse weight, block sparsity, expert pruning, width pruning,
            pruning, prune, pruned, sparsification, lottery ticket, unstructured sparsity, structured sparsity,
            n m sparsity, sparse training, structured pruning, channel pruning, magnitude pruning, weight
            sparsity, activation sparsity, dynamic sparse training, head pruning, layer pruning, slimming""",
        _PLAIN: """
            sparsity, sparse network, sparse neural network, sparse subnetwork, sparse model, depth pruning""",
    },
    "distillation": {
        _STRONG: """
            knowledge distillation, distillation, distill, distilling, teacher student, student
            model, kd, self distillation""",
        _PLAIN: """
            distilled,
            teacher, student, teacher model, student network, dark knowledge""",
    },
    "low-rank": {
        _STRONG: """
            low rank decomposition, low rank structure, tensor factorization, rank one, monarch, butterfly matrix, structured matrix,
            low rank, svd, singular value decomposition, tensor decomposition, matrix factorization, tucker,
            tensor train, low rank approximation, low rank adaptation, matrix decomposition, matrix product
            operator, kronecker, low rank factorization""",
        _PLAIN: """
            factorization, factorized, rank decomposition, lora, tensor product decomposition""",
    },
    "peft": {
        _STRONG: """
            efficient task adaptation, efficient adaptation, few trainable parameter, vera, dora, ia3, hypernetwork adapter, visual prompt, parameter efficient finetuning, lora fine tuning, lora adapter, adapters,
            parameter efficient fine tuning, parameter efficient transfer learning, parameter efficient tuning,
            peft, lora, qlora, prompt tuning, prefix tuning, adapter, adapter tuning, low rank adaptation, low
            rank adapter, soft prompt, parameter efficient adaptation, bitfit""",
        _PLAIN: """
            trainable parameter, parameter efficient, frozen backbone, learnable prompt, side network, fine
            tuning only, visual prompt tuning""",
    },
    "efficient-attention": {
        _STRONG: """
            memory efficient attention, memory efficient self attention, shifted window, windowed attention, attention complexity, ring attention, longformer, bigbird, linformer, nystrom, cosine attention, attention free, random feature attention, grouped attention, kernel attention, dilated attention, native sparse attention, sparse attention mask,
            linear attention, sparse attention, efficient attention, sub quadratic, subquadratic attention,
            local attention, window attention, flash attention, flashattention, attention approximation, low
            rank attention, kernelized attention, linear transformer, performer, block sparse attention, sliding
            window attention, attention sparsity, linear self attention, sparse
            transformer""",
        _PLAIN: """
            efficient transformer,
            quadratic complexity, linear complexity, self attention complexity, attention mechanism complexity,
            efficient self attention, axial attention, attention kernel, quadratic cost, quadratic, long
            sequence, windowed, softmax attention, attention computation, linear time""",
    },
    "kv-cache": {
        _STRONG: """
            kv cache quantization, key value cache compression, cache quantization, cross layer kv sharing, multi head latent attention, cache reuse, prefix cache,
            kv cache, key value cache, kv cache compression, kv cache eviction, cache eviction, cross layer
            attention, multi query attention, grouped query attention, kv caching, kv compression, kv""",
        _PLAIN: """
            cache compression, attention sink, prefix caching, cache size""",
    },
    "ssm-recurrent": {
        _STRONG: """
            deltanet, delta rule, mamba 2, linear state space, hybrid mamba, gated linear recurrence, griffin, s5, minimal rnn, legendre memory unit, recurrent memory, liquid,
            state space model, ssm, mamba, rwkv, linear recurrent, recurrent neural network, retnet, s4,
            selective state space, xlstm, gated linear attention, linear rnn, mamba based, vision mamba, hyena,
            structured state space, state space""",
        _PLAIN: """
            recurrent, rnn, lstm, recurrence, gated recurrent, long convolution, initial state""",
    },
    "mixture-of-experts": {
        _STRONG: """
            expert offloading, expert pruning, sparse moe, load balancing loss, mixtral, moe layer, expert merging, fine grained expert,
            mixture of expert, moe, expert parallelism, sparse expert, sparsely activated, switch transformer,
            expert routing, sparse mixture, moes, expert choice, upcycling""",
        _PLAIN: """
            expert, gating network, router, routing strategy, top k routing""",
    },
    "conditional-computation": {
        _STRONG: """
            mixture of depths, layerskip, depth adaptive, adaptive compute, token level routing, skip connection routing, stochastic depth inference, subnetwork selection,
            early exit, early exiting, layer skipping, skip layer, dynamic depth, adaptive computation,
            conditional computation, dynamic inference, adaptive depth, mixture of depth, dynamic network,
            slimmable, matryoshka, dynamic routing, input adaptive, dynamic neural network, anytime,
            layer dropping, skipping layer, adaptive inference, dynamic width, multi exit, model
            cascade, cascade""",
        _PLAIN: """
            nested, elastic,
            dynamically skip, adaptively, per input, exit, skipping, halting, dynamic router""",
    },
    "token-reduction": {
        _STRONG: """
            fewer token, fewer visual token, compact token, 1d tokenizer, 1 dimensional tokenizer, 1 dimensional token, tome, patch merging, token pooling, visual token pruning, token compressor, gist token, kv token pruning, sparse token, early token,
            token pruning, token merging, token reduction, token compression, visual token reduction, token
            dropping, token sparsification, token selection, prompt compression, context compression, visual
            token, token eviction, token skipping, patch pruning, redundant token, token clustering, image
            token, visual token compression""",
        _PLAIN: """
            fewer token, unimportant token, important token, token importance, compress token, sequence length
            reduction, low bitrate token, fewer codebook, token downsampling""",
    },
    "decoding-acceleration": {
        _STRONG: """
            speculative verification, eagle, tree attention, draft and verify, block diffusion decoding, parallel generation, fast decoding, draft tree, lossless acceleration,
            speculative decoding, speculative sampling, multi token prediction, non autoregressive, parallel
            decoding, draft model, lookahead decoding, medusa, blockwise parallel, draft token, self
            speculative, jacobi decoding, speculative, drafter, semi autoregressive, speculation""",
        _PLAIN: """
            drafting, accepted token, acceptance rate, token verification, autoregressive decoding""",
    },
    "kernels-compilers": {
        _STRONG: """
            flash attention kernel, flashattention 2, kernel generation, operator scheduling, graph compiler, sparse kernel, cutlass, warp, gpu programming, deep learning compiler, kernel optimization, fft convolution,
            attention kernel, custom kernel, optimized kernel, efficient kernel,
            cuda gpu kernel, kernel fusion, compiler, triton, operator fusion, gemm, spmm,
            gpu kernel, cuda kernel, triton kernel, gemm kernel, int4 kernel, fp8 kernel, inference kernel, compute kernel, roofline,
            tensor core, io aware, fused kernel, code generation for, cuda, tiling, auto tuning, tvm, mlir,
            matrix multiplication kernel, block fusion, cublas, loop optimization""",
        _PLAIN: """
            kernel, kernels,
            hardware efficient, hardware aware implementation, gpu efficient implementation, fused, on chip
            memory, matrix multiplication, fast fourier transform""",
    },
    "distributed-training": {
        _STRONG: """
            megatron, 3d parallelism, gradient synchronization, diloco, local update, communication compression, federated optimization, gradient quantization, elastic training, volunteer computing, fault tolerant training,
            distributed training, data parallel, data parallelism, pipeline parallelism, tensor parallelism,
            model parallelism, gradient compression, federated learning, decentralized training, all reduce,
            zero redundancy, sequence parallelism, local sgd, communication efficient, expert parallelism, fully
            sharded, asynchronous training, parameter server, distributed learning, decentralized learning,
            distributed optimization, federated, context parallelism, heterogeneous fsdp, collective
            communication, gradient sparsification, distributed deep learning, checkpointing failure""",
        _PLAIN: """
            communication overhead, communication cost, multi node, cluster, parallelism, byzantine,
            communication round, sharding, non iid, straggler""",
    },
    "memory-efficient-training": {
        _STRONG: """
            galore, lomo, mezo, adafactor, 8 bit optimizer, low memory optimizer, memory efficient finetuning, memory efficient adaptation, activation offloading, gradient accumulation, momentum compression, invertible,
            activation checkpointing, gradient checkpointing, optimizer state, memory efficient training, memory
            efficient fine tuning, reversible, offloading, rematerialization, gradient low rank projection,
            memory efficient optimizer, activation compression, zeroth order, optimizer memory, cpu offloading,
            activation memory, training memory, recomputation, memory efficient optimization, zero offload,
            memory efficient backpropagation""",
        _PLAIN: """
            memory efficient, memory footprint during training, gpu memory, optimizer, backpropagation free,
            memory usage during training""",
    },
    "training-efficiency": {
        _STRONG: """
            stacking, layer freezing, progressive stacking, data echoing, efficient optimizer, shampoo, sophia, lion optimizer, schedule free, sample weighting, loss weighting, faster pretraining, hyperparameter transfer, token dropping training, early stopping, low cost training,
            faster convergence, accelerate training, curriculum learning, large batch,
            progressive growing, model growth, efficient training, training acceleration, faster training,
            efficient pretraining, efficient pre training, convergence speed, converging speed, learning rate
            schedule, fast pretraining, speed up training, progressive training, compute optimal,
            pretraining efficiency, accelerating training, reduce training time, training
            speedup, warm start, second order optimizer, mup, weight
            averaging, network expansion""",
        _PLAIN: """
            muon, training efficiency, training cost, slow convergence, sharpness, training recipe,
            convergence, optimizer, training time, wall clock, training compute, adam, batch size, training
            speed, sgd, learning rate""",
    },
    "efficient-architecture": {
        _STRONG: """
            squeezenet, mobilevit, shufflenet, ghostnet, efficient block, pointwise convolution, group convolution, large kernel convolution, attention convolution hybrid, lightweight transformer, compact network, resource efficient, lightweight design, metaformer, parameter free, fewer computation,
            lightweight network, lightweight model, efficient architecture, mobilenet, depthwise efficient lightweight architecture, efficientnet, lightweight backbone, compact model,
            separable convolution, efficient network, inverted residual, light weight, efficient cnn,
            lightweight convolutional, efficient convolution, lightweight, efficient model, small language
            model, efficient design, token mixing, mlp fewer parameter, inverted bottleneck, efficient
            network design, tiny model, computationally efficient vision transformer, hybrid
            architecture, efficient deep neural network, mixer, compact architecture,
            efficient encoder decoder""",
        _PLAIN: """
            fewer flop, parameter efficient, flop, real time inference, inference speed, number of parameter,
            accuracy latency trade off, small model, model size, fewer computation, efficient, low
            latency, macs, computational cost, computational complexity, less computation, backbone,
            accuracy speed trade off, convolution, speed accuracy trade off, high efficiency, fast
            inference, low complexity, model complexity""",
        _WEAK: """
            efficient, efficiency, latency, throughput, compact, real time, backbone, convolution, on mobile, lightweight network""",
    },
    "nas": {
        _STRONG: """
            supernetwork, zero shot architecture search, training free nas, architecture parameter, predictor based nas, evolutionary nas, automl, cell based search, hardware aware nas,
            neural architecture search, nas, architecture search, supernet, one shot nas, differentiable
            architecture search, darts, zero cost proxy, zero shot nas, search space, architecture optimization,
            once for all, evolutionary search, latency predictor, hardware aware search, performance predictor,
            weight sharing nas""",
        _PLAIN: """
            searched architecture, found architecture, search cost, searching, search strategy""",
    },
    "weight-sharing": {
        _STRONG: """
            parameter sharing, weight sharing, weight tying, layer tying, shared parameter, recursive
            transformer, universal transformer, cross layer sharing, share parameter, sharing parameter, looped
            transformer, shared weight, layer sharing, tied weight, hypernetwork compression, looped""",
        _PLAIN: """
            shared across layer, share weight, hash embedding, reuse layer, shared layer""",
    },
    "retrieval-efficiency": {
        _STRONG: """
            hnsw, ivf, matryoshka embedding, embedding retrieval, cross encoder, bi encoder, passage index, token pruning retrieval, binary embedding, hash code, graph based ann, multi vector retrieval,
            approximate nearest neighbor, dense retrieval, vector search, nearest neighbor search, product
            quantization, embedding compression, late interaction, embedding table, hashing, retrieval
            efficiency, colbert, efficient retrieval, vector database, inverted index, semantic hashing, index
            size, learned sparse retrieval, embedding dimension, similarity search, ann
            search""",
        _PLAIN: """
            retriever, retrieval, index, reranking, embedding size, passage retrieval""",
    },
    "diffusion-acceleration": {
        _STRONG: """
            deepcache, latent consistency, distribution matching distillation, adversarial distillation, score distillation sampling step, fewer denoising step, timestep distillation, caching diffusion, one step diffusion model, shortcut model, mean flow, fast sampler, dpm solver, denoiser acceleration,
            efficient diffusion, fewer sampling step,
            few step, one step generation, consistency model, step distillation, sampling step, denoising step,
            diffusion distillation, guidance distillation, fast sampling, diffusion acceleration, feature
            caching, accelerating single step, one step diffusion, ode solver, progressive distillation, fast diffusion, consistency distillation, number of function evaluation,
            nfe, sampling acceleration, few step generation, rectified flow, faster diffusion, classifier free
            guidance""",
        _PLAIN: """
            diffusion transformer, diffusion model, flow matching, denoising, sampler, diffusion, timestep""",
        _WEAK: """
            diffusion""",
    },
    "serving-systems": {
        _STRONG: """
            inference service, microservice architecture, ml serving, request batching, multi lora serving, prefill decoding, cold start, serverless, kv cache management, llm inference system, inference system, throughput oriented, chunked prefill, query scheduling,
            serving system, llm serving, inference serving, continuous batching, request scheduling, paged
            attention, pagedattention, serving throughput, model serving, prefill decode disaggregation,
            inference engine, goodput, scheduling request, disaggregated, inference server, cloud serving, vllm,
            service level objective, slo, online serving, serving framework, multi tenant, autoscaling,
            microservice, recommendation system serving, real time recommendation, serving llm, load balancing""",
        _PLAIN: """
            serving, batching, request, deployment pipeline, time to first token, queue, throughput,
            fault tolerance, online training""",
    },
    "data-efficiency": {
        _STRONG: """
            dataset pruning, data valuation, data attribution, curated data, instruction data selection, weak supervision, self training, transfer from few, zero labeled, pseudo labeling, label efficiency,
            data efficient, data efficiency, data selection, dataset distillation, dataset condensation, data
            pruning, coreset, few shot learning, active learning, sample efficient, sample efficiency, semi
            supervised, label efficient, data distillation, few labeled, limited data, low resource, less data, data subset, synthetic data, limited labeled data, limited training data, small
            dataset, data deduplication, data mixture, instruction selection, data filtering""",
        _PLAIN: """
            unlabeled data, data quality, data curation,
            labeled example, fewer sample, annotation cost, unlabeled, labeled data, few shot, limited
            annotation, fewer example, data scarcity, pseudo label""",
    },
    "edge-deployment": {
        _STRONG: """
            tflite, core ml, coreml, tensorrt mobile, on device inference, on device training, arm cpu, edge gpu, edge tpu, embedded platform, drone, iot, offline device, mobile deployment, smart glass,
            on the edge, mobile vision, edge devices, edge assisted,
            edge device, mobile device, on device, edge deployment, tinyml, microcontroller, resource
            constrained device, embedded device, edge computing, mobile phone, smartphone, edge ai, iot device,
            embedded system, mobile deployment, raspberry pi, jetson, resource limited device, on iphone, mcu, edge platform, mobile, edge assisted, low power device, wearable,
            mobile gpu, mobile accelerator, cortex, edge hardware, mobile cpu, mobile platform, mobile
            application, edge inference""",
        _PLAIN: """
            mobile, embedded, edge,
            resource constrained, constrained device, battery, edge server, low power, iot, resource limited,
            limited resource, consumer device""",
    },
    "hardware-accelerators": {
        _STRONG: """
            compute in memory, risc v, hls, high level synthesis, dataflow, tensor processing unit, reconfigurable, energy efficient hardware, neural accelerator, dnn accelerator, approximate multiplier, near memory,
            hardware accelerator, fpga, asic, in memory computing, systolic array, hardware design,
            neuromorphic, hardware software co design, processing in memory, accelerator design, accelerator
            architecture, chip, dataflow accelerator, npu design, photonic, memristor, domain specific
            accelerator, analog computing, spiking, rtl, co design, processing element, hardware architecture,
            architecture design space""",
        _PLAIN: """
            accelerator, energy efficiency, on chip, custom hardware, design space exploration, simulator, tpu""",
    },
}  # fmt: skip
_IGNORED = """
    vector quantization, residual vector quantization, vector quantized, kernel size, convolution kernel, large
    kernel, kernel method, kernel trick, gaussian kernel, convolutional kernel, small kernel, expert knowledge,
    score distillation, score distillation sampling, human expert, domain expert, expert demonstration, expert annotation, policy distillation, teacher forcing,
    hardware accelerator for, semantic segmentation, data augmentation, edge detection, bottleneck """
"""Phrases that hold a family's word in another sense."""
_TABLE = LEXICON.add(weighted_phrases(_VOCABULARY, _IGNORED))
_STRONG_PHRASES: dict[str, frozenset[str]] = {
    family: frozenset(" ".join(folded(phrase)) for phrase in rows.get(_STRONG, "").split(","))
    for family, rows in _VOCABULARY.items()
}
_FACTORS = (3.2, 0.35, 1.0)
"""Of a phrase in the title, the background and the paper's own part."""
_ENOUGH, _SHARE_OF_FIRST, _SECOND = 3.0, 0.25, 3.0
_NO_FAMILY_KINDS = frozenset({"dataset"})


_ARE_ARCHITECTURES = frozenset({"ssm-recurrent", "mixture-of-experts"})
"""Families whose papers propose efficient architectures as a matter of course."""
_EXPLAINS_ARCHITECTURE = frozenset({"ssm-recurrent", "mixture-of-experts", "efficient-attention", "weight-sharing"})
"""Families that say what makes an architecture efficient, and so stand before "efficient architecture"; where a
method is to run stands behind what it is."""


def weigh_families(document: Document) -> Evidence:
    """How loudly title and abstract speak for each family."""
    evidence = Evidence()
    evidence.weigh(document.found[_TABLE], _FACTORS)
    return evidence


def first_family(evidence: Evidence) -> str:
    """The family that is spoken for loudest, before kind and claims are known; "" for none."""
    scores = _adjusted(evidence.scores, "technique", 0)
    told = [f for f in scores if scores[f] >= _ENOUGH and _is_told(f, evidence.phrases[f])]
    return _ranked(scores, told)[0] if told else ""


def find_families(evidence: Evidence, kind: str, claims: int) -> tuple[tuple[str, ...], list[str]]:
    """Up to three families, the primary one first, and the phrases behind them; `claims` counts the claims read."""
    if kind in _NO_FAMILY_KINDS:
        return (), []
    scores = _adjusted(evidence.scores, kind, claims)
    told = [f for f in scores if scores[f] >= _ENOUGH and _is_told(f, evidence.phrases[f])]
    ranked = _ranked(scores, told)
    if not ranked:
        return (("efficient-architecture",), ["claims"]) if claims and kind == "architecture" else ((), [])
    enough = max(_SECOND, _SHARE_OF_FIRST * scores[ranked[0]])
    chosen = [f for rank, f in enumerate(ranked) if rank == 0 or scores[f] >= enough]
    if chosen[0] in _ARE_ARCHITECTURES and "efficient-architecture" in chosen:
        chosen.remove("efficient-architecture")
    elif chosen[0] == "nas" and claims and "efficient-architecture" not in chosen:
        # A search whose gains are claimed gives efficient networks.
        chosen.insert(1, "efficient-architecture")
    return tuple(chosen[:3]), evidence.strongest(chosen[:3])


def _ranked(scores: dict[str, float], told: list[str]) -> list[str]:
    halved = set()
    if any(f in _EXPLAINS_ARCHITECTURE and scores[f] >= _SECOND for f in told):
        halved.add("efficient-architecture")
    if len(told) > 1:
        halved.add("edge-deployment")
    return sorted(told, key=lambda f: -scores[f] * (0.5 if f in halved else 1.0))


def _is_told(family: str, evidence: dict[str, float]) -> bool:
    """Whether at least one phrase means this family alone; "teacher" or "diffusion model" only add to such a phrase."""
    if family == "efficient-architecture" and sum(value > 0 for value in evidence.values()) >= 2:
        return True
    return not _STRONG_PHRASES[family].isdisjoint(evidence)


def _adjusted(found: dict[str, float], kind: str, claims: int) -> dict[str, float]:
    """An efficient architecture is what is left when a model is proposed, gains are claimed and no technique
    explains them."""
    scores = dict(found)
    general = scores.get("efficient-architecture", 0.0)
    if not general:
        return scores
    others = max((s for f, s in scores.items() if f != "efficient-architecture"), default=0.0)
    if kind == "architecture":
        scores["efficient-architecture"] = general * 1.15 + (2.0 if claims else 0.0)
    elif others >= _ENOUGH:
        scores["efficient-architecture"] = general * 0.35
    elif not claims:
        scores["efficient-architecture"] = general * 0.75
    return scores
